"""What GitHub does and its emulator does not."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import ForgeNotFound
from tests.unit.forge.conftest import PROJECT, REF, Ask, Start
from tests.unit.forge.raw_server import Received, as_json


def wire(number: int, *, pull: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    extra = {"pull_request": pull} if pull is not None else {}
    return {"number": number, "title": f"issue {number}", "state": "open", "comments": 0, **extra, **fields}


@pytest.mark.parametrize(
    ("pull", "state", "expected"),
    [
        ({"merged_at": None}, "open", "open"),
        ({"merged_at": None}, "closed", "closed"),
        ({"merged_at": "2026-03-01T12:00:00Z"}, "closed", "merged"),
        ({}, "closed", "closed"),
    ],
)
async def test_pull_requests_are_issues_too(
    pull: dict[str, Any], state: str, expected: str, start: Start, ask: Ask
) -> None:
    server = await start(lambda _: as_json(wire(14, pull=pull, state=state)))
    found = await ask("github", server.url).issue(REF)
    assert (found.request, found.state, len(server.received)) == (True, expected, 1)


async def test_the_headers_github_asks_for(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(wire(14)))
    await ask("github", f"{server.url}/api/v3/", token=" secret\n").issue(REF)
    [got] = server.received
    assert got.target == "/api/v3/repos/shoko/kugetsu/issues/14"
    assert got.headers["accept"] == "application/vnd.github+json"
    assert got.headers["x-github-api-version"] == "2022-11-28"
    assert got.headers["authorization"] == "Bearer secret"
    assert got.headers["user-agent"] == "kugetsu"


async def test_a_pull_request_where_issues_are_switched_off(start: Start, ask: Ask) -> None:
    def respond(got: Received) -> bytes:
        if "/comments" in got.target:
            return as_json([{"created_at": "2026-03-01T12:00:00Z", "body": "nice"}])
        if got.target.endswith("/pulls/14"):
            return as_json(wire(14, merged_at="2026-03-01T12:00:00Z", state="closed"))
        return as_json({"message": "Issues are disabled for this repo"}, 410)

    server = await start(respond)
    found = await ask("github", server.url).issue(REF)
    assert (found.request, found.state, [c.text for c in found.comments]) == (True, "merged", ["nice"])
    assert urlsplit(server.received[-1].target).path == "/repos/shoko/kugetsu/issues/14/comments"


async def test_missing_is_said_once(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json({"message": "Not Found"}, 404))
    with pytest.raises(ForgeNotFound):
        await ask("github", server.url).issue(REF)
    assert [got.target.split("/")[-2] for got in server.received] == ["issues", "pulls"]


async def test_pages_full_of_pull_requests_are_passed_over(start: Start, ask: Ask) -> None:
    def respond(got: Received) -> bytes:
        page = int(parse_qs(urlsplit(got.target).query)["page"][0])
        pulls = [wire(page * 100 + n, pull={}) for n in range(49)]
        return as_json([*pulls, wire(page)])

    server = await start(respond)
    found = await ask("github", server.url, token="").recent(PROJECT, 5)
    assert [issue.ref.number for issue in found] == [1, 2, 3]
    assert len(server.received) == 3


async def test_a_token_of_no_person_has_no_issues_of_its_own(start: Start, ask: Ask) -> None:
    def respond(got: Received) -> bytes:
        if got.target == "/user":
            return as_json({"message": "Resource not accessible by integration"}, 403)
        return as_json([wire(1)])

    server = await start(respond)
    forge = ask("github", server.url)
    assert [issue.ref.number for issue in await forge.recent(PROJECT, 5)] == [1]
    await forge.recent(PROJECT, 5)
    assert [got.target for got in server.received].count("/user") == 1


async def test_a_comment_that_came_meanwhile_is_on_a_page_of_its_own(start: Start, ask: Ask) -> None:
    """The count said 20; by the time of the second call there are 21."""

    def respond(got: Received) -> bytes:
        if "/comments" not in got.target:
            return as_json(wire(14, comments=20))
        page = int(parse_qs(urlsplit(got.target).query)["page"][0])
        numbers = range(20) if page == 1 else range(20, 21)
        said = [{"created_at": "2026-03-01T12:00:00Z", "body": str(n)} for n in numbers]
        return as_json(said, link='</next?page=2>; rel="next", </next?page=2>; rel="last"' if page == 1 else "")

    server = await start(respond)
    found = await ask("github", server.url).issue(REF)
    assert [comment.text for comment in found.comments] == [str(n) for n in range(1, 21)]
    assert found.comments_left_out == 1


async def test_comments_deleted_meanwhile(start: Start, ask: Ask) -> None:
    server = await start(lambda got: as_json([] if "/comments" in got.target else wire(14, comments=41)))
    found = await ask("github", server.url).issue(REF)
    assert found.comments == ()
