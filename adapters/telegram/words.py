"""What a message says, and whether it says it to the bot (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.telegram import wire
from core import commands

_COMMAND = re.compile(r"([/!][A-Za-z][A-Za-z0-9_]*)(?:@([A-Za-z0-9_]+))?(?=\s|$)")
_LEADING = re.compile(r"@([A-Za-z0-9_]+)[,:]?(?=\s|$)\s*")


@dataclass(frozen=True, slots=True)
class Said:
    """`text` without the bot's name at its beginning."""

    text: str
    meant: bool = False  # a command or a mention
    other_bot: bool = False


def read(text: str, entities: Sequence[wire.Entity], bot_id: int, username: str) -> Said:
    """In a group, where only what is meant for the bot is taken. Names compare without case, as on Telegram."""
    ours = username.casefold()
    meant = _mentioned(text, entities, bot_id, ours)
    text = text.strip()
    leading = _LEADING.match(text)
    if leading and leading[1].casefold() == ours:
        text, meant = text[leading.end() :], True
    command = _COMMAND.match(text)
    if command is None:
        return Said(text, meant)
    word, name = command[1], command[2] or ""
    if name and name.casefold() != ours:
        return Said(text, meant, other_bot=not meant)
    if name:
        text, meant = word + text[command.end() :], True
    # Many bots listen to `!`: without our name on it, only a command of ours is one.
    known = word.startswith("/") or commands.find(word[1:]) is not None
    return Said(text, meant or known)


def is_command(text: str) -> bool:
    """As core will see it."""
    return commands.is_command(text)


def _mentioned(text: str, entities: Sequence[wire.Entity], bot_id: int, ours: str) -> bool:
    raw = text.encode("utf-16-le")
    for entity in entities:
        if entity.type == "text_mention" and entity.user and entity.user.id == bot_id:
            return True
        if entity.type == "mention" and entity.offset >= 0 and entity.length > 0:
            said = raw[entity.offset * 2 : (entity.offset + entity.length) * 2].decode("utf-16-le", "replace")
            if ours and said.casefold() == f"@{ours}":
                return True
    return False


def units(text: str) -> int:
    """Its length as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def clean(text: str) -> str:
    """Something every database and encoding takes; offsets of entities stay right."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def line(text: str, limit: int) -> str:
    """On one line, without what is invisible or turns the direction of what follows."""
    seen = "".join(char if char.isprintable() else " " for char in clean(text))
    return " ".join(seen.split())[:limit]
