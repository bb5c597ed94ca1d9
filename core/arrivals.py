"""Files that come with messages: fetched into the state directory under safe names, spoken ones put into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from core import view_chat
from core.errors import KugetsuError, UsageError
from core.messages import Messenger
from core.model import Attachment, Document, Inbound, IncomingFile

MAX_FILES = 20  # of one message
MAX_NAME = 80  # characters, and …
MAX_BYTES = 200  # … in UTF-8: file systems take 255, of which our own number needs some
_UNSAFE = re.compile(r"[^\w.()+-]+")


class Transcriber(Protocol):
    """Speech to text."""

    async def text(self, file: Path, mime: str) -> str:
        """Raises KugetsuError with the reason."""


class Arrivals:
    """`folder` is below the state directory; the agent reads the files there."""

    def __init__(self, folder: Path, transcriber: Transcriber | None) -> None:
        self._folder = folder
        self._transcriber = transcriber

    async def of(
        self, messenger: Messenger, inbound: Inbound, row: int
    ) -> tuple[str, tuple[Attachment, ...], Sequence[Document]]:
        """The message's text with what was spoken, its files, and what is to be said about them.

        Raises ChatError when a file cannot be had, UsageError for too many: the message is refused then, and says why.
        """
        if len(inbound.files) > MAX_FILES:
            raise UsageError(f"That are {len(inbound.files)} files; {MAX_FILES} are the limit.", "Send fewer at once.")
        text, notes, attachments = inbound.text, list[Document](), list[Attachment]()
        for number, file in enumerate(inbound.files):
            name = safe_name(file.name, f"file-{number + 1}")
            target = self._folder / str(row) / f"{number + 1}-{name}"
            await messenger.fetch(file, target)
            spoken = await self._spoken(file, target, notes) if file.voice else ""
            if spoken:
                text = f"{text}\n{spoken}".strip()
                notes.append(Document(view_chat.heard(spoken)))
            else:
                attachments.append(Attachment(target, file.mime or "application/octet-stream", name))
        return text, tuple(attachments), notes

    async def _spoken(self, file: IncomingFile, target: Path, notes: list[Document]) -> str:
        if self._transcriber is None:
            notes.append(Document(view_chat.not_transcribed()))
            return ""
        try:
            spoken = (await self._transcriber.text(target, file.mime)).strip()
        except KugetsuError as error:
            notes.append(Document(view_chat.not_transcribed(str(error))))
            return ""
        if not spoken:
            notes.append(Document(view_chat.not_transcribed("no words were heard in it")))
        return spoken


def safe_name(name: str, instead: str) -> str:
    """A sender's name for a file, fit for any file system: one component, no dots in front, no control characters."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    cleaned = _UNSAFE.sub("_", last).strip("._ ")
    stem, dot, suffix = cleaned.rpartition(".")
    if not (dot and 0 < len(suffix) <= 10):
        stem, suffix = cleaned, ""
    ending = f".{suffix}" if suffix else ""
    stem = stem[: MAX_NAME - len(ending)]
    while len(f"{stem}{ending}".encode()) > MAX_BYTES:
        stem = stem[:-1]
    return f"{stem}{ending}" if stem else instead
