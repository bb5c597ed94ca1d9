"""JSON that anybody may have written: nothing in it is believed before it is looked at. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from adapters.store.files import Unreadable
from adapters.store.mirror import FOLDER
from core.model import SessionId, SessionKey

SESSION_KEYS = ("session", "session_id", "opencode_session_id", "id")  # the first that holds a session's id
MAX_NAME_BYTES = 255  # what file systems allow

_SESSION_ID = re.compile(r"ses_[A-Za-z0-9_]{1,100}")

Json = dict[str, Any]


def json_object(content: bytes) -> Json:
    """Raises Unreadable for anything else."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable("it is not valid JSON") from None
    if not isinstance(value, dict):
        raise Unreadable("it is no JSON object")
    return value


def parsed(content: bytes | None) -> Json:
    """What the mirror last knew to be in a file; nothing when it did not."""
    try:
        return json_object(content or b"{}")
    except Unreadable:
        return {}


def file_name(value: str) -> str | None:
    """The path below state_dir, when it can only be that of a file in sessions/."""
    name = value.removeprefix(f"{FOLDER}/")
    plain = name.isprintable() and "/" not in name and "\\" not in name and not name.startswith(".")
    if not plain or not name.endswith(".json") or len(name.encode()) > MAX_NAME_BYTES:
        return None
    return f"{FOLDER}/{name}"


def is_session_id(value: str) -> bool:
    """Whether it looks like one of opencode's, and can be asked for."""
    return bool(_SESSION_ID.fullmatch(value))


def session_id(about: Json) -> SessionId | None:
    """The opencode session an object of unknown shape names."""
    values = (about.get(name) for name in SESSION_KEYS)
    return next((SessionId(v) for v in values if isinstance(v, str) and is_session_id(v)), None)


def own_key(about: Json, parse: Callable[[str], SessionKey | None]) -> SessionKey | None:
    """Which session a file in the mirror's form is of."""
    ref, name = text_of(about, "ref"), text_of(about, "name")
    return parse(f"{ref}~{name}" if name else ref) if ref else None


def text_of(about: Json, name: str) -> str:
    """Empty when it is none."""
    value = about.get(name)
    return value if isinstance(value, str) else ""


def object_in(about: Json, name: str) -> Json:
    """Empty when it is none."""
    value = about.get(name)
    return value if isinstance(value, dict) else {}


def differ(now: Json, before: Json, name: str) -> bool:
    """Whether `name` was changed, added or removed."""
    return (name in now) != (name in before) or bool(now.get(name) != before.get(name))


def shown(text: str) -> str:
    """Short and printable."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= 60 else f"{safe[:60]}…"
