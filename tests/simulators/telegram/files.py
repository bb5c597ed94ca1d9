"""Stored files and how messages speak of them."""

from __future__ import annotations

import hashlib
import mimetypes
import struct
from pathlib import PurePath
from typing import Any

from .state import StoredFile, World

_PREFIX = {"document": ("BQACAgI", "Document", "documents"), "photo": ("AgACAgI", "Photo", "photos")}
_PREFIX |= {"voice": ("AwACAgI", "VoiceNote", "voice")}
_SIDES = (("s", 90), ("m", 320), ("x", 800), ("y", 1280))


def store(world: World, kind: str, content: bytes, name: str, mime: str = "", size: int | None = None) -> StoredFile:
    """Keep a file. Its id cannot be guessed, its unique id is the same for the same content."""
    prefix, telegram_kind, folder = _PREFIX[kind]
    number = world.number()
    digest = hashlib.sha256(content + kind.encode()).hexdigest()
    suffix = {"photo": ".jpg", "voice": ".oga"}.get(kind, PurePath(name).suffix)
    mime = mime if mime not in {"", "application/octet-stream"} else mimetypes.guess_type(name)[0] or mime
    stored = StoredFile(
        f"{prefix}{number:06d}{digest[:40]}",
        f"AgAD{digest[:12]}",
        telegram_kind,
        content,
        len(content) if size is None else size,
        name,
        mime or "application/octet-stream",
        f"{folder}/file_{number}{suffix}",
    )
    world.files[stored.file_id] = stored
    return stored


def media(
    world: World, kind: str, content: bytes, name: str, mime: str = "", size: int | None = None, duration: int = 1
) -> dict[str, Any]:
    """A file of a new message: {"document": {…}}, {"photo": [sizes…]} or {"voice": {…}}."""
    if kind == "photo":
        width, height = picture_size(content) or (1280, 960)
        sizes = []
        for _, side in [s for s in _SIDES if s[1] < max(width, height)] + [("w", max(width, height))]:
            scale = side / max(width, height)
            stored = store(world, kind, content, name, "image/jpeg", size)
            sizes.append(_view(stored) | {"width": round(width * scale), "height": round(height * scale)})
        return {"photo": sizes}
    stored = store(world, kind, content, name, mime, size)
    if kind == "voice":
        return {"voice": _view(stored) | {"duration": duration, "mime_type": "audio/ogg"}}
    return media_of(world, stored)


def media_of(world: World, stored: StoredFile) -> dict[str, Any]:
    """A file sent again by its id."""
    if stored.kind == "Photo":
        width, height = picture_size(stored.content) or (1280, 960)
        return {"photo": [_view(stored) | {"width": width, "height": height}]}
    if stored.kind == "VoiceNote":
        return {"voice": _view(stored) | {"duration": 1, "mime_type": "audio/ogg"}}
    return {"document": _view(stored) | {"file_name": stored.name, "mime_type": stored.mime}}


def _view(stored: StoredFile) -> dict[str, Any]:
    return {"file_id": stored.file_id, "file_unique_id": stored.unique_id, "file_size": stored.size}


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP; None for what is no picture."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        return struct.unpack(">II", content[16:24])
    if content[:6] in {b"GIF87a", b"GIF89a"} and len(content) >= 10:
        return struct.unpack("<HH", content[6:10])
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return 512, 512
    if content.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 < len(content) and content[position] == 0xFF:
        marker, (length,) = content[position + 1], struct.unpack(">H", content[position + 2 : position + 4])
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return width, height
        position += 2 + length
    return None
