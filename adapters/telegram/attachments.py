"""The files of a message (pure)."""

from __future__ import annotations

from adapters.telegram import wire, words
from core.model import IncomingFile


def of(message: wire.Message) -> tuple[IncomingFile, ...]:
    """At most one: an album is several messages."""
    number = message.message_id
    if message.photo:  # several sizes of one picture
        largest = max(message.photo, key=lambda size: (size.width * size.height, size.file_size))
        return (_file(largest, f"photo-{number}.jpg", "image/jpeg"),)
    if message.voice:
        return (_file(message.voice, f"voice-{number}.ogg", "audio/ogg", voice=True),)
    # An animation comes as a document too.
    for file, name, mime in (
        (message.animation, f"animation-{number}.mp4", "video/mp4"),
        (message.video, f"video-{number}.mp4", "video/mp4"),
        (message.video_note, f"video-note-{number}.mp4", "video/mp4"),
        (message.audio, f"audio-{number}.mp3", "audio/mpeg"),
        (message.document, f"file-{number}", "application/octet-stream"),
    ):
        if file:
            return (_file(file, name, mime),)
    if message.sticker:
        return (_sticker(message.sticker, number),)
    return ()


def _sticker(sticker: wire.File, number: int) -> IncomingFile:
    if sticker.is_animated:
        return _file(sticker, f"sticker-{number}.tgs", "application/x-tgsticker")
    if sticker.is_video:
        return _file(sticker, f"sticker-{number}.webm", "video/webm")
    return _file(sticker, f"sticker-{number}.webp", "image/webp")


def _file(file: wire.File, name: str, mime: str, *, voice: bool = False) -> IncomingFile:
    return IncomingFile(
        id=words.clean(file.file_id),
        name=words.line(file.file_name, 200) or name,
        mime=words.line(file.mime_type, 100).lower() or mime,
        size=max(0, file.file_size),
        voice=voice,
    )
