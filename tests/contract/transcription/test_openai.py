"""Speech to text over a real local server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from adapters.transcription.openai import MAX_ANSWER, OpenAiTranscriber, TranscriptionError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.answer: Handler = self.good
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.answer(request)

    async def good(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        self.requests.append(
            {
                "model": str(form["model"]),
                "name": file.filename,
                "mime": file.content_type,
                "said": file.file.read().decode(),
                "key": request.headers.get("Authorization", ""),
            }
        )
        return web.json_response({"text": "do it", "more": [1, 2]})


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", service.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/"
    yield service
    await runner.cleanup()


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    file = tmp_path / "1-voice.ogg"
    file.write_bytes(b"OggS voice")
    return file


async def test_a_voice_note_becomes_text(service: Service, voice: Path) -> None:
    assert await OpenAiTranscriber(service.url, "sk-1", "whisper-2").text(voice, "audio/ogg; codecs=opus") == "do it"
    [request] = service.requests
    assert request["model"] == "whisper-2"
    assert request["said"] == "OggS voice"
    assert request["key"] == "Bearer sk-1"
    assert request["name"] == "1-voice.ogg"


async def test_without_key_and_model_and_with_a_mime_that_is_none(service: Service, voice: Path) -> None:
    assert await OpenAiTranscriber(service.url, "", "").text(voice, "x\r\nEvil: yes") == "do it"
    [request] = service.requests
    assert (request["model"], request["key"], request["mime"]) == ("whisper-1", "", "application/octet-stream")


@pytest.mark.parametrize("status", [401, 404, 429, 500, 302])
async def test_a_refusal_names_its_status_and_never_the_key(service: Service, voice: Path, status: int) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="sk-secret", headers={"Location": "http://elsewhere.example/"})

    service.answer = refuse
    with pytest.raises(TranscriptionError, match=str(status)) as refused:
        await OpenAiTranscriber(service.url, "sk-secret", "").text(voice, "audio/ogg")
    assert "sk-secret" not in str(refused.value)


async def test_an_answer_in_pieces_is_read_to_its_end(service: Service, voice: Path) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"te', b'xt": "slow', b'ly"}'):
            await response.write(piece)
            await asyncio.sleep(0.02)
        return response

    service.answer = drip
    assert await OpenAiTranscriber(service.url, "", "").text(voice, "audio/ogg") == "slowly"


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"text": 7}', b'{"words": "x"}', b"\xff\xfe", b"{}" * 10])
async def test_nonsense_is_an_error_with_a_reason(service: Service, voice: Path, body: bytes) -> None:
    async def nonsense(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    service.answer = nonsense
    with pytest.raises(TranscriptionError, match="something else than a text"):
        await OpenAiTranscriber(service.url, "", "").text(voice, "audio/ogg")


async def test_an_answer_without_end_is_not_read(service: Service, voice: Path) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(2 * MAX_ANSWER // 65536):
            await response.write(b" " * 65536)
        return response

    service.answer = flood
    with pytest.raises(TranscriptionError, match="far too much"):
        await OpenAiTranscriber(service.url, "", "").text(voice, "audio/ogg")


async def test_a_service_that_hangs_is_not_waited_for(service: Service, voice: Path) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    service.answer = hang
    with pytest.raises(TranscriptionError, match="cannot be reached: TimeoutError"):
        await OpenAiTranscriber(service.url, "", "", patience=0.2).text(voice, "audio/ogg")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "nonsense", ""])
async def test_a_service_that_is_not_there(voice: Path, url: str) -> None:
    with pytest.raises(TranscriptionError):
        await OpenAiTranscriber(url, "", "", patience=2.0).text(voice, "audio/ogg")
