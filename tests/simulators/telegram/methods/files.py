"""Files both ways."""

from __future__ import annotations

import struct
from typing import Any

from tests.simulators.telegram import files as store
from tests.simulators.telegram import views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import Refused, bad
from tests.simulators.telegram.params import Params, Upload, formatted
from tests.simulators.telegram.state import Message

from . import sending
from .table import method

MOST_UP, MOST_PHOTO, MOST_DOWN = 50 << 20, 10 << 20, 20 << 20
_KINDS = {"document": "Document", "photo": "Photo", "voice": "VoiceNote"}
_ALBUM_NAMES = {"document": "Document", "photo": "Photo"}


def _input(core: Core, params: Params, raw: str, direct: str, kind: str) -> dict[str, Any] | None:
    """The media field of a message from an upload, an `attach://` name or a file_id. None when there is nothing."""
    upload = params.files.get(direct)
    if upload is None and raw.startswith("attach://"):
        upload = params.files.get(raw.removeprefix("attach://"))
        if upload is None:
            return None
    if upload is not None:
        _check_upload(upload, kind)
        return store.media(core.world, kind, upload.content, upload.name, upload.mime)
    if not raw:
        return None
    if raw.startswith(("http://", "https://")):
        raise bad("failed to get HTTP URL content")  # nothing can be fetched here
    if raw.startswith("file:"):
        raise bad("wrong HTTP URL specified")
    stored = core.world.files.get(raw)
    if stored is None:
        raise bad("wrong remote file identifier specified: Wrong character in the string")
    if stored.kind != _KINDS[kind]:
        raise bad(f"can't use file of type {stored.kind} as {_KINDS[kind]}")
    return store.media_of(core.world, stored)


def _check_upload(upload: Upload, kind: str) -> None:
    size = len(upload.content)
    if not size:
        raise bad("file must be non-empty")
    if size > MOST_UP:
        raise Refused(413, "Request Entity Too Large")
    if kind != "photo":
        return
    if size > MOST_PHOTO:
        raise bad(f"file of size {size} bytes is too big for a photo; the maximum size is {MOST_PHOTO} bytes")
    dimensions = store.picture_size(upload.content)
    if dimensions is None:
        raise bad("IMAGE_PROCESS_FAILED")
    width, height = dimensions
    if width + height > 10_000 or max(width, height) > 20 * max(1, min(width, height)):
        raise bad("PHOTO_INVALID_DIMENSIONS")


def _send(core: Core, params: Params, kind: str) -> Any:
    try:
        media = _input(core, params, params.text(kind), kind, kind)
    except struct.error:
        raise bad("IMAGE_PROCESS_FAILED") from None
    if media is None:
        raise bad(f"there is no {kind} in the request")
    said = params.formatted("caption", "caption_entities")
    chat, fields = sending.destination(core, params, kind, lambda: sending.check_caption(said))
    above = params.flag("show_caption_above_media")
    message = sending.send(core, chat, text=said.text, entities=said.entities, media=media, above=above, **fields)
    return views.message(core.world, message)


@method("sendDocument")
def send_document(core: Core, params: Params) -> Any:
    return _send(core, params, "document")


@method("sendPhoto")
def send_photo(core: Core, params: Params) -> Any:
    return _send(core, params, "photo")


@method("sendVoice")
def send_voice(core: Core, params: Params) -> Any:
    """What is no OGG is sent as a document, as on Telegram."""
    upload = params.files.get("voice")
    if upload and upload.content and not upload.content.startswith(b"OggS"):
        values = params.values | {"document": "attach://document"}
        return _send(core, Params(values, {"document": upload}), "document")
    return _send(core, params, "voice")


@method("sendMediaGroup")
def send_media_group(core: Core, params: Params) -> Any:
    raw = params.json("media", "media JSON object")
    if raw is None:
        raise bad("Can't parse media JSON object")
    if not isinstance(raw, list):
        raise bad("Expected an Array of InputMedia")
    items = [_album_item(core, params, item) for item in raw]
    if not items:
        raise bad("there are no messages to send")
    if len(items) > 10:
        raise bad("too many messages to send as an album")
    kinds = {next(iter(media)) for media, _ in items}
    if len(kinds) > 1 and "document" in kinds:
        raise bad("Document can't be mixed with other media types")
    chat, fields = sending.destination(core, params, next(iter(kinds)), lambda: _check_captions(items), len(items))
    fields.pop("markup")
    group = str(13_000_000_000_000_000 + core.world.number()) if len(items) > 1 else ""
    sent: list[Message] = []
    for media, said in items:
        more = fields if not sent else fields | {"silent": True}  # an album rings once
        sent.append(sending.send(core, chat, media=media, text=said.text, entities=said.entities, group=group, **more))
    return [views.message(core.world, message) for message in sent]


def _check_captions(items: list[tuple[dict[str, Any], Any]]) -> None:
    for _, said in items:
        sending.check_caption(said)


def _album_item(core: Core, params: Params, raw: Any) -> tuple[dict[str, Any], Any]:
    what = "Can't parse InputMedia: "
    if not isinstance(raw, dict):
        raise bad(f"{what}expected an Object")
    if "type" not in raw:
        raise bad(f'{what}Can\'t find field "type"')
    if raw["type"] not in _ALBUM_NAMES:
        raise bad(f'{what}type "{raw["type"]}" is not supported here')
    said = formatted(raw.get("caption") or "", raw.get("parse_mode") or "", raw.get("caption_entities"))
    media = _input(core, params, str(raw.get("media") or ""), "", raw["type"])
    if media is None:
        raise bad(f"{what}media not found")
    return media, said


@method("getFile")
def get_file(core: Core, params: Params) -> Any:
    file_id = params.text("file_id")
    if not file_id:
        raise bad("file_id not specified")
    stored = core.world.files.get(file_id)
    if stored is None:
        raise bad("invalid file_id")
    if stored.size > MOST_DOWN:
        raise bad("file is too big")
    view = {"file_id": stored.file_id, "file_unique_id": stored.unique_id, "file_size": stored.size}
    return view | {"file_path": stored.path}
