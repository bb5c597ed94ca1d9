"""What core is told of failed calls, and that the token is in none of it."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
from telegram.error import NetworkError, TelegramError, TimedOut

from adapters.telegram.calls import Calls, Conflict
from adapters.telegram.request import NoAnswer, Refusal, Request, tls_context
from adapters.telegram.settings import TelegramSettings, Times
from core.errors import ChatDenied, ChatDoubt, ChatError, ChatLimited, ChatUnreachable, PlaceGone
from core.model import Place

TOKEN = "12345:s3cr3t/token-"
PLACE = Place("telegram", "-5", "r7")


@pytest.fixture
def calls() -> Calls:
    return Calls(TelegramSettings(TOKEN, api_base="http://127.0.0.1:1", times=Times()))


def network(cause: Exception) -> NetworkError:
    error = NetworkError(f"httpx.{type(cause).__name__}: {cause}")
    error.__cause__ = cause
    return error


def timed_out(cause: Exception) -> TimedOut:
    error = TimedOut()
    error.__cause__ = cause
    return error


TROUBLE: list[tuple[BaseException, type[ChatError], type[ChatError]]] = [
    (network(httpx.ConnectError("All connection attempts failed")), ChatUnreachable, ChatUnreachable),
    (timed_out(httpx.ConnectTimeout("")), ChatUnreachable, ChatUnreachable),
    (timed_out(httpx.PoolTimeout("")), ChatUnreachable, ChatUnreachable),
    (network(httpx.ProxyError("407")), ChatUnreachable, ChatUnreachable),
    (timed_out(httpx.ReadTimeout("")), ChatDoubt, ChatUnreachable),
    (timed_out(httpx.WriteTimeout("")), ChatDoubt, ChatUnreachable),
    (network(httpx.ReadError("")), ChatDoubt, ChatUnreachable),
    (network(httpx.WriteError("")), ChatDoubt, ChatUnreachable),
    (network(httpx.RemoteProtocolError("Server disconnected")), ChatDoubt, ChatUnreachable),
    (NoAnswer(502), ChatDoubt, ChatUnreachable),
    (NoAnswer(200), ChatDoubt, ChatUnreachable),
    (NoAnswer(407), ChatUnreachable, ChatUnreachable),
    (NoAnswer(302), ChatUnreachable, ChatUnreachable),
    (NoAnswer(413), ChatError, ChatError),
    (TelegramError("something new"), ChatDoubt, ChatUnreachable),
    (TimeoutError(), ChatDoubt, ChatUnreachable),
    (KeyError("message_id"), ChatDoubt, ChatUnreachable),
    (Refusal(500, "Internal Server Error: restart"), ChatDoubt, ChatUnreachable),
    (Refusal(429, "Too Many Requests: retry after 7", 7.0), ChatLimited, ChatLimited),
    (Refusal(429, "Too Many Requests"), ChatLimited, ChatLimited),
    (Refusal(401, "Unauthorized"), ChatDenied, ChatDenied),
    (Refusal(403, "Forbidden: user is deactivated"), PlaceGone, PlaceGone),
    (Refusal(404, "Not Found: method not found"), ChatError, ChatError),
    (Refusal(409, "Conflict: terminated by other getUpdates request"), Conflict, Conflict),
    (Refusal(400, "Bad Request: chat not found"), PlaceGone, PlaceGone),
]


@pytest.mark.parametrize(("error", "shown", "again"), TROUBLE, ids=[repr(row[0])[:60] for row in TROUBLE])
async def test_translation(calls: Calls, error: BaseException, shown: type[ChatError], again: type[ChatError]) -> None:
    for shows, kind in ((True, shown), (False, again)):
        with pytest.raises(ChatError) as caught:
            async with calls.translate(PLACE, shows=shows):
                raise error
        assert type(caught.value) is kind
        assert str(caught.value)


async def test_how_long_to_wait(calls: Calls) -> None:
    for refusal, seconds in ((Refusal(429, "", 300), 300.0), (Refusal(429, ""), 5.0)):
        with pytest.raises(ChatLimited) as caught:
            async with calls.translate():
                raise refusal
        assert caught.value.retry_after == seconds


async def test_where_a_group_went(calls: Calls) -> None:
    with pytest.raises(PlaceGone) as caught:
        async with calls.translate(PLACE):
            raise Refusal(400, "Bad Request: group chat was upgraded", moved_to=-1009)
    assert caught.value.instead == Place("telegram", "-1009", "r7")


async def test_a_404_for_the_first_call_is_about_the_token(calls: Calls) -> None:
    with pytest.raises(ChatDenied) as caught:
        async with calls.translate(first=True):
            raise Refusal(404, "Not Found")
    assert "@BotFather" in caught.value.hint
    assert "127.0.0.1:1" in caught.value.hint


async def test_calls_end(calls: Calls) -> None:
    with pytest.raises(ChatDoubt, match="in time"):
        async with calls.translate(shows=True, seconds=0.01):
            await asyncio.sleep(5)


async def test_being_cancelled_is_no_error_of_telegrams(calls: Calls) -> None:
    async def call() -> None:
        async with calls.translate():
            await asyncio.sleep(5)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "error",
    [
        network(httpx.ConnectError(f"no route to http://x/bot{TOKEN}/getMe")),
        network(httpx.ReadError(f"/bot{TOKEN.replace('/', '%2F')}/getMe")),
        Refusal(400, f"Bad Request: {TOKEN}"),
        Refusal(500, TOKEN),
        TelegramError(f"The token `{TOKEN}` was rejected"),
        KeyError(TOKEN),
    ],
)
async def test_the_token_is_in_nothing_that_may_be_logged(calls: Calls, error: Exception) -> None:
    with pytest.raises(ChatError) as caught:
        async with calls.translate(PLACE, shows=True):
            raise error
    chain: BaseException | None = caught.value
    assert "s3cr3t" not in caught.value.hint
    while chain:
        assert "s3cr3t" not in f"{chain!s} {chain!r}"
        chain = chain.__cause__


async def test_httpx_logs_no_token(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    assert calls.method_base
    caplog.set_level(logging.DEBUG, "httpx")
    logging.getLogger("httpx").info(
        'HTTP Request: %s %s "%s"', "POST", httpx.URL("http://x/bot12345:s3cr3t/getMe"), "200 OK"
    )
    assert 'HTTP Request: POST http://x/bot[hidden]/getMe "200 OK"' in caplog.text


@pytest.mark.parametrize("payload", [b"", b"<html>", b"[]", b"{}", b'{"ok": true}', b"[" * 100_000, b"\xff"])
def test_answers_that_are_none(payload: bytes) -> None:
    with pytest.raises(NoAnswer):
        Request.parse_json_payload(payload)


def test_half_characters_do_not_spoil_an_answer() -> None:
    assert Request.parse_json_payload(b'{"result": "\\ud83d"}') == {"result": "\ud83d"}


async def test_a_pool_that_is_full_for_too_long_is_replaced() -> None:
    async def silent(_reader: object, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    released = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    request = Request(Times(pool=0.02, wedged=0.1), tls_context(), connections=1)
    first = request._client
    hanging = asyncio.create_task(request.post(url))
    await asyncio.sleep(0.05)
    for _ in range(3):
        with pytest.raises(TimedOut, match="Pool timeout"):
            await request.post(url)
    assert request._client is first
    await asyncio.sleep(0.1)
    with pytest.raises(TimedOut):
        await request.post(url)
    assert request._client is not first
    with pytest.raises(NetworkError):  # what hung was cut off
        await hanging
    released.set()
    await request.shutdown()
    server.close()
