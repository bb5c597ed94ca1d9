"""`POST <url>/audio/transcriptions`, as OpenAI defined it and many servers of one's own understand it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import msgspec

from core.errors import KugetsuError

PATIENCE = 60.0  # seconds for one voice note
MAX_ANSWER = 1024 * 1024  # bytes
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w-]+)*", re.ASCII)


class _Answer(msgspec.Struct):
    text: str


class TranscriptionError(KugetsuError):
    """The service cannot be reached, refuses, or answers something else."""

    code = "transcription"


class OpenAiTranscriber:
    """A `core.arrivals.Transcriber`. `url` is the base, such as https://api.openai.com/v1."""

    def __init__(self, url: str, key: str, model: str, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._url = f"{url.rstrip('/')}/audio/transcriptions"
        self._key = key
        self._model = model

    async def text(self, file: Path, mime: str) -> str:
        """Raises TranscriptionError."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        form = aiohttp.FormData()
        form.add_field("model", self._model or "whisper-1")
        form.add_field(
            "file", await asyncio.to_thread(file.read_bytes), filename=file.name, content_type=_checked(mime)
        )
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._patience)) as session,
                session.post(self._url, data=form, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise TranscriptionError(f"the transcription service answered {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise TranscriptionError("the transcription service answered far too much")
                return msgspec.json.decode(bytes(body), type=_Answer).text
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TranscriptionError(f"the transcription service cannot be reached: {type(error).__name__}") from error
        except msgspec.DecodeError as error:
            raise TranscriptionError("the transcription service answered something else than a text") from error


def _checked(mime: str) -> str:
    """What a chat says a file is; no header can be made of everything."""
    return mime if _MIME.fullmatch(mime) else "application/octet-stream"
