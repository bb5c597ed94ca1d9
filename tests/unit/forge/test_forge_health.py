"""What `doctor` says of a forge that does not answer as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.forge import ForgeConfig, Forges, Health
from core.errors import ForgeError
from tests.fakes.clock import ManualClock
from tests.unit.forge.conftest import TOKEN, Start
from tests.unit.forge.raw_server import Received, Respond, as_json, response

KINDS = ["github", "gitea", "gitlab"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


class Asking:
    def __init__(self, start: Start, kind: str) -> None:
        self._start = start
        self._kind = kind
        self.opened: list[Forges] = []

    async def __call__(self, respond: Respond, token: str = TOKEN, timeout: float = 5.0) -> Health:
        server = await self._start(respond)
        self.opened.append(Forges({"git.test": ForgeConfig(self._kind, token, server.url)}, ManualClock(), timeout))
        return await self.opened[-1].health("git.test")


@pytest.fixture
async def health(start: Start, kind: str) -> AsyncIterator[Asking]:
    asking = Asking(start, kind)
    yield asking
    for forges in asking.opened:
        await forges.close()


def answers(received: Received) -> bytes:
    """As each of them would."""
    if received.target == "/rate_limit":
        return as_json({"rate": {"limit": 5000, "remaining": 4980, "reset": 1}})
    if received.target == "/user":
        return as_json({"login": "me", "username": "me"}, RateLimit_Remaining="1999")
    return as_json([{"id": 1}], RateLimit_Remaining="399")


async def test_what_is_left_of_the_rate_limit(health: Asking, kind: str) -> None:
    assert await health(answers) == Health("me", 4980 if kind == "github" else 1999)
    assert await health(answers, token="") == Health(None, 4980 if kind == "github" else 399)


async def test_a_token_that_is_no_good(health: Asking) -> None:
    with pytest.raises(ForgeError, match="refuses the token: Bad credentials") as caught:
        await health(lambda _: as_json({"message": "Bad credentials"}, 401))
    assert "token" in caught.value.hint
    assert TOKEN not in f"{caught.value} {caught.value.hint}"


WRONG = [
    (response("<html>Sign in</html>", content_type="text/html"), "text/html instead of JSON"),
    (response("<html>Not here</html>", 404, content_type="text/html"), "does not know"),
    (response("[" * 5_000_000), "more than 4 MB"),
    (response("", 302, location="http://elsewhere.test/user"), "redirects to http://elsewhere.test"),
    (as_json({"message": "down"}, 503), "down or overloaded"),
]


@pytest.mark.parametrize(("answer", "said"), WRONG, ids=[said for _, said in WRONG])
async def test_what_is_no_forge_is_said(health: Asking, answer: bytes, said: str) -> None:
    with pytest.raises(ForgeError, match=said) as caught:
        await health(lambda _: answer)
    assert caught.value.hint


async def test_one_that_hangs_is_given_up(health: Asking) -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    with pytest.raises(ForgeError, match="did not answer within"):
        await health(lambda _: never, timeout=0.05)


@pytest.mark.parametrize("kind", ["github"], indirect=True)
async def test_github_enterprise_without_a_rate_limit(health: Asking) -> None:
    def respond(received: Received) -> bytes:
        if received.target == "/rate_limit":
            return as_json({"message": "Rate limiting is not enabled."}, 404)
        return as_json({"login": "me"})

    assert await health(respond) == Health("me", None)
