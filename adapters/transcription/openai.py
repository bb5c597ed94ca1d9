"""`POST <url>/audio/transcriptions`, as OpenAI defined it and many servers of one's own understand it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgspec

from core.errors import KugetsuError

PATIENCE = 60.0  # seconds for one voice note
MAX_ANSWER = 1024 * 1024  # bytes


class _Answer(msgspec.Struct):
    text: str


class TranscriptionError(KugetsuError):
    """The service cannot be reached, refuses, or answers something else."""

    code = "transcription"


class OpenAiTranscriber:
    """A `core.arrivals.Transcriber`. `url` is the base, such as https://api.openai.com/v1."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self._url = f"{url.rstrip('/')}/audio/transcriptions"
        self._key = key
        self._model = model

    async def text(self, file: Path, mime: str) -> str:
        """Raises TranscriptionError."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        form = aiohttp.FormData()
        form.add_field("model", self._model or "whisper-1")
        form.add_field("file", await asyncio.to_thread(file.read_bytes), filename=file.name, content_type=mime)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
                session.post(self._url, data=form, headers=headers, allow_redirects=False) as response,
            ):
                body = await response.content.read(MAX_ANSWER)
                if response.status != 200:
                    raise TranscriptionError(f"the transcription service answered {response.status}")
                return msgspec.json.decode(body, type=_Answer).text
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TranscriptionError(f"the transcription service cannot be reached: {type(error).__name__}") from error
        except msgspec.DecodeError as error:
            raise TranscriptionError("the transcription service answered something else than a text") from error
