"""What a forge, or something that stands in its place, can do wrong: said, bounded, and without a leak."""

from __future__ import annotations

import asyncio
import json
import socket
import zlib
from typing import Any

import pytest

from core.errors import ForgeError, ForgeNotFound
from core.ports import Forge, Issue
from tests.unit.forge.conftest import PROJECT, REF, TOKEN, Ask, Start
from tests.unit.forge.raw_server import RawServer, Received, as_json, response

KINDS = ["github", "gitea", "gitlab"]
HTML = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def issue(**fields: Any) -> dict[str, Any]:
    """Enough for every kind."""
    return {"number": 14, "iid": 14, "title": "Login", "state": "open", "comments": 0, "user_notes_count": 0, **fields}


async def failed(forge: Forge) -> ForgeError:
    """Both questions fail alike; nothing of the token is said."""
    with pytest.raises(ForgeError) as listed:
        await forge.recent(PROJECT, 5)
    with pytest.raises(ForgeError) as caught:
        await forge.issue(REF)
    for error in (listed.value, caught.value):
        assert "git.test" in str(error)
        assert error.hint
        assert TOKEN not in f"{error} {error.hint}"
    return caught.value


async def told(kind: str, body: Any, start: Start, ask: Ask) -> Issue:
    server = await start(lambda _: as_json(body))
    return await ask(kind, server.url).issue(REF)


STATUSES = [
    (401, {"message": "Bad credentials"}, "refuses the token: Bad credentials"),
    (403, {"message": "Resource protected by organization SAML enforcement."}, "SAML enforcement"),
    (404, {"message": "Not Found"}, "does not know git.test/shoko/kugetsu#14, or the token may not see it"),
    (410, {"message": "Issues are disabled"}, "does not know git.test/shoko/kugetsu#14"),
    (422, {"message": "Validation Failed"}, "status 422 when asked for git.test/shoko/kugetsu#14: Validation Failed"),
    (451, {"message": {"block": "dmca"}}, "status 451"),
    (500, {"message": f"panic, your token was {TOKEN}"}, "down or overloaded: it answered with status 500: panic"),
    (502, HTML, "down or overloaded: it answered with status 502"),
    (503, "", "status 503"),
    (302, "", "status 302"),  # without a Location
]


@pytest.mark.parametrize(("status", "body", "says"), STATUSES)
async def test_statuses_are_sentences(kind: str, status: int, body: Any, says: str, start: Start, ask: Ask) -> None:
    content = response(body, status, "text/html") if isinstance(body, str) else as_json(body, status)
    server = await start(lambda _: content)
    error = await failed(ask(kind, server.url))
    assert says in str(error)
    assert "html" not in str(error).lower()
    assert isinstance(error, ForgeNotFound) == (status in {404, 410})


async def test_without_a_token_the_hint_says_how_to_give_one(kind: str, start: Start, ask: Ask) -> None:
    for status in (401, 404):
        server = await start(lambda _, status=status: as_json({"message": "no"}, status))
        error = await failed(ask(kind, server.url, token=""))
        assert isinstance(error, ForgeNotFound)
        assert "without a token" in str(error)
        assert "`forges: {git.test: {token: …}}`" in error.hint
        assert {"authorization", "private-token"}.isdisjoint(server.received[0].headers)


LIMITS = [
    (429, {}, "for now"),
    (429, {"retry_after": "600"}, "until 12:10 UTC (10 min)"),
    (429, {"retry_after": "Sun, 01 Mar 2026 13:00:00 GMT"}, "until 13:00 UTC (60 min)"),
    (429, {"ratelimit_reset": "1772368200"}, "until 12:30 UTC (30 min)"),
    (429, {"ratelimit_reset": "120"}, "until 12:02 UTC (2 min)"),
    (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1772368200"}, "until 12:30 UTC (30 min)"),
    (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1772542800"}, "until 2026-03-03 13:00 UTC (2940 min)"),
    (403, {"x_ratelimit_remaining": "12", "retry_after": "60"}, "until 12:01 UTC (1 min)"),
    (429, {"retry_after": "9" * 40}, "for now"),
    (429, {"retry_after": "soon"}, "for now"),
    (429, {"x_ratelimit_reset": "nan"}, "for now"),
    (429, {"x_ratelimit_reset": "1e300"}, "for now"),
]


@pytest.mark.parametrize(("status", "headers", "says"), LIMITS)
async def test_rate_limits_say_when_they_end(
    kind: str, status: int, headers: dict[str, str], says: str, start: Start, ask: Ask
) -> None:
    server = await start(lambda _: as_json({"message": "slow down"}, status, **headers))
    error = await failed(ask(kind, server.url))
    assert str(error) == f"git.test answers no more requests {says}: its rate limit is used up"
    again = "in some minutes" if says == "for now" else "then"
    assert error.hint == f"Try again {again}, or give `start` a message, which works without the forge"
    anonymous = await failed(ask(kind, server.url, token=""))
    assert "raises the limit" in anonymous.hint


async def test_a_secondary_limit_is_known_by_its_words(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json({"message": "You have exceeded a secondary rate limit."}, 403))
    assert "its rate limit is used up" in str(await failed(ask("github", server.url)))


NO_JSON = [
    (response(HTML, content_type="text/html; charset=utf-8"), "text/html instead of JSON: “<!DOCTYPE html> <html>"),
    (response("", content_type="text/plain"), "text/plain instead of JSON"),
    (response('{"title": "Log'), 'application/json instead of JSON: “{"title": "Log”'),
    (response(b'{"title": "\xff"}'), "instead of JSON"),
    (response('{"x":' + "[" * 500_000), 'instead of JSON: “{"x":[[['),
    (response('{"number": 1, "iid": 1, "title": "\\ud800", "state": "open"}'), "instead of JSON"),
    (response(f"<p>You sent:{TOKEN}", content_type="text/html"), "“<p>You sent:…”"),
    (response("\x1b[2J\x00" + "x" * 900, content_type="\x7ftext/\u00e9vil"), "instead of JSON: “[2J xxx"),
]


@pytest.mark.parametrize(("content", "says"), NO_JSON)
async def test_what_is_no_json_is_quoted(kind: str, content: bytes, says: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: content)
    error = await failed(ask(kind, server.url))
    assert says in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 250
    assert server.url in error.hint  # the address is what is probably wrong
    assert "`forges.git.test.api_base`" in error.hint


NO_ISSUES = [
    None,
    [],
    "ok",
    {"message": "welcome"},
    issue(title=None),
    issue(number="x", iid="x"),
    issue(title={"a": 1}),
    issue(state=None),
]


@pytest.mark.parametrize("body", NO_ISSUES)
async def test_json_that_is_no_issue(kind: str, body: Any, start: Start, ask: Ask) -> None:
    with pytest.raises(ForgeError, match=r"something else than git\.test/shoko/kugetsu#14"):
        await told(kind, body, start, ask)


async def test_fields_that_may_be_missing_or_null(kind: str, start: Start, ask: Ask) -> None:
    nulls = dict.fromkeys(("body", "description", "user", "author", "html_url", "web_url", "pull_request", "assignee"))
    for body in (issue(), issue(**nulls)):
        found = await told(kind, body, start, ask)
        assert (found.text, found.author, found.url, found.request) == ("", "ghost", "", False)


async def test_comments_of_nobody_without_text(kind: str, start: Start, ask: Ask) -> None:
    said = [{"created_at": "2026-03-01T12:00:00Z", "user": None, "author": None, "body": None}]
    whole = issue(comments=1, user_notes_count=1)
    server = await start(lambda received: as_json(said if "/14/" in received.target else whole))
    [comment] = (await ask(kind, server.url).issue(REF)).comments
    assert (comment.author, comment.text) == ("ghost", "")


async def test_comments_that_nobody_counted(kind: str, start: Start, ask: Ask) -> None:
    said = [{"created_at": f"2026-03-01T12:00:{n:02}Z", "body": str(n)} for n in range(3)]
    whole = issue(comments=None, user_notes_count=None)
    server = await start(lambda got: as_json(said if "/14/" in got.target else whole))
    found = await ask(kind, server.url).issue(REF)
    assert sorted(comment.text for comment in found.comments) == ["0", "1", "2"]
    assert found.comments_left_out == 0


async def test_a_hostile_title_and_address(kind: str, start: Start, ask: Ask) -> None:
    body = issue(title="\x1b]0;x\x07 a\n\u202eb" + "y" * 3_000_000, html_url="javascript:alert(1)", web_url="file:///x")
    found = await told(kind, body, start, ask)
    assert found.title.startswith("]0;x a byyy")
    assert len(found.title) == 300
    assert found.url == ""
    assert (await told(kind, issue(title="\u202e\x00 "), start, ask)).title == "#14"


async def test_ten_megabytes_are_not_read(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(issue(body="x" * 10_000_000)))
    error = await failed(ask(kind, server.url))
    assert "more than 4 MB" in str(error)
    assert server.sent < 9_000_000


async def test_ten_megabytes_unannounced(kind: str, start: Start, ask: Ask) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    server = await start(lambda _: endless)
    assert "more than 4 MB" in str(await failed(ask(kind, server.url)))


async def test_ten_megabytes_packed_into_ten_kilobytes(kind: str, start: Start, ask: Ask) -> None:
    packed = zlib.compress(b"[" + b" " * 10_000_000)
    server = await start(lambda _: response(packed, content_encoding="deflate"))
    assert "more than 4 MB" in str(await failed(ask(kind, server.url)))


async def test_packed_rubbish(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: response(b"rubbish", content_encoding="gzip"))
    assert "cannot be reached" in str(await failed(ask(kind, server.url)))


async def test_too_many_comments_do_not_cost_the_issue(kind: str, start: Start, ask: Ask) -> None:
    whole = issue(comments=7, user_notes_count=7)
    server = await start(lambda got: as_json("x" * 5_000_000 if "/14/" in got.target else whole))
    found = await ask(kind, server.url).issue(REF)
    assert (found.title, found.comments, found.comments_left_out) == ("Login", (), 7)


async def test_a_slow_body_is_given_up(kind: str, start: Start, ask: Ask) -> None:
    async def drops(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    server = await start(lambda _: drops)
    assert "did not answer within 0.1 s" in str(await failed(ask(kind, server.url, timeout=0.1)))


async def test_the_time_limit_is_for_all_calls_together(start: Start, ask: Ask) -> None:
    server: RawServer

    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3 if len(server.received) == 1 else 60)
        writer.write(as_json(issue(comments=3)))

    server = await start(lambda _: late)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ForgeError, match=r"within 0\.4 s"):
        await ask("gitea", server.url, timeout=0.4).issue(REF)
    assert len(server.received) == 2
    assert loop.time() - began < 0.65  # not 0.3 and another 0.4


async def test_a_silent_server(kind: str, start: Start, ask: Ask) -> None:
    async def nothing(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server = await start(lambda _: nothing)
    error = await failed(ask(kind, server.url, timeout=0.05))
    assert "give `start` a message" in error.hint


async def test_a_cut_connection(kind: str, start: Start, ask: Ask) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
    for content in (b"", b"rubbish\r\n\r\n", cut):
        server = await start(lambda _, content=content: content)
        assert "cannot be reached" in str(await failed(ask(kind, server.url)))


async def test_nobody_there(kind: str, ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = await failed(ask(kind, url))
    assert str(error) == f"git.test cannot be reached at {url}: Connection refused"


async def test_no_such_host(kind: str, ask: Ask) -> None:
    """One that nobody is asked about: a part of a name has at most 63 characters."""
    assert "its name is not known" in str(await failed(ask(kind, f"http://{'a' * 64}.invalid")))


async def test_no_tls_there(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(issue()))
    url = server.url.replace("http:", "https:")
    error = await failed(ask(kind, url, timeout=2))
    assert "cannot be reached" in str(error)
    assert "`forges.git.test.api_base`" in error.hint


async def test_the_token_never_goes_to_another_server(kind: str, start: Start, ask: Ask) -> None:
    elsewhere = await start(lambda _: as_json(issue()))
    port = elsewhere.url.rpartition(":")[2]
    for location in (
        f"{elsewhere.url}/api",
        f"//127.0.0.1:{port}/",
        f"http://localhost:{port}/",
        f"http://git.test@127.0.0.1:{port}/",
    ):
        server = await start(lambda _, location=location: response(status=301, location=location))
        error = await failed(ask(kind, server.url))
        assert f":{port}" in str(error)
        assert "only the forges it is configured for" in str(error)
    assert elsewhere.received == []


@pytest.mark.parametrize(
    "location",
    ["http://[", "http://h:99999/", "javascript:alert(1)", "https://127.0.0.1/", "\x7f\u202e://x", f"http://[{TOKEN}"],
)
async def test_redirects_to_nowhere(kind: str, location: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: response(status=302, location=location))
    error = await failed(ask(kind, server.url))
    assert "redirects to" in str(error)
    assert str(error).isprintable()


async def test_a_circle_of_redirects_ends(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda got: response(status=302, location=got.target))
    with pytest.raises(ForgeError, match="redirects again and again"):
        await ask(kind, server.url).issue(REF)
    assert len(server.received) == 4


async def test_renamed_repositories_are_followed(kind: str, start: Start, ask: Ask) -> None:
    """GitHub moves to /repositories/1; what is below the issue is asked for at its new place."""

    def respond(got: Received) -> bytes:
        if got.target.startswith("/new/14/"):
            return as_json([{"created_at": "2026-03-01T12:00:00Z", "body": "hi"}])
        if got.target == "/new/14":
            return as_json(issue(comments=1, user_notes_count=1))
        return response(status=301, location=f"http://someone@{got.headers['host']}/new/14")

    server = await start(respond)
    found = await ask(kind, server.url).issue(REF)
    assert (found.ref, [comment.text for comment in found.comments]) == (REF, ["hi"])
    assert len(server.received) == 3
    assert all(TOKEN in json.dumps(dict(got.headers)) for got in server.received)


async def test_a_broken_link_header_is_no_header(kind: str, start: Start, ask: Ask) -> None:
    said = [{"created_at": "2026-03-01T12:00:00Z", "body": "hi"}]
    whole = issue(comments=1, user_notes_count=1)
    for link in ("<http://[>; rel=last", "<x?page=99999999999999>; rel=last", '<x>; rel="next', "<>;;,,"):
        server = await start(lambda got, link=link: as_json(said if "/14/" in got.target else whole, link=link))
        assert [c.text for c in (await ask(kind, server.url).issue(REF)).comments][:1] == ["hi"]


@pytest.mark.parametrize("token", ["with\nbreak", "schlüssel", "\x00"])
async def test_a_token_that_cannot_be_one(kind: str, token: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(issue()))
    error = await failed(ask(kind, server.url, token=token))
    assert "characters that no token has" in str(error)
    assert token not in f"{error} {error.hint}"
    assert server.received == []


async def test_cancelling_cancels(kind: str, start: Start, ask: Ask) -> None:
    asked = asyncio.Event()

    async def nothing(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    server = await start(lambda _: nothing)
    task = asyncio.create_task(ask(kind, server.url).issue(REF))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
