"""The Telegram rows: beside bare HTTP on the real opencode, when something breaks, and in a hundred chats at once."""

from __future__ import annotations

from pathlib import Path

from benchmarks import telegram_many, telegram_real
from benchmarks.report import Section


async def measure(folder: Path, opencode: Path) -> list[Section]:
    """All of them, in about six minutes."""
    folder.mkdir()
    return [*await telegram_real.measure(folder, opencode), *await telegram_many.measure(folder)]
