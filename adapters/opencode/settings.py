"""How opencode is started or found: the `opencode:` section, and what only the composition root knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.opencode.supervisor import Pace
from core.model import SessionId

GRACE = 3.0  # seconds; a prompt's first sign of life takes up to 2 s on a cold server

Trace = Callable[[SessionId, str, bytes], None]  # session, "sent" or "received", JSON


@dataclass(frozen=True, slots=True)
class OpencodeServerSettings:
    """The same for both transports; what is about a lasting server means nothing to `OpencodeCommand`."""

    state_file: Path  # opencode-server.json in the state directory
    command: str = "opencode"
    candidates: Sequence[Path] = ()  # tried when `command` is missing or of another version
    url: str = ""  # attach to this server; it is never started nor ended
    password: str = ""
    env: dict[str, str] = field(default_factory=dict)
    hidden_env: frozenset[str] = frozenset()  # names of secrets in our own environment
    max_rss_mb: int = 2000
    allow_migration: bool = False  # opencode may bring the data of an earlier version up to date, for good
    take_over: bool = False  # go on with a server that an earlier process was killed over, and what runs there
    grace: float = GRACE
    pace: Pace = field(default_factory=Pace)
