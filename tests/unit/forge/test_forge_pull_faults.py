"""What can go wrong while a pull request is looked for, opened, or its checks are read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import ForgeError, ForgeNotFound, PullRequestExists
from core.ports import Checks, Forge
from tests.unit.forge.conftest import PROJECT, TOKEN, Ask, Start
from tests.unit.forge.raw_server import Received, Write, as_json, response

KINDS = ["github", "gitea", "gitlab"]
HTML = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TITLE = "Add it"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def pull(title: str = TITLE, **fields: Any) -> dict[str, Any]:
    """Enough for every kind."""
    side = {"ref": "work", "label": "work", "sha": COMMIT, "repo": {"id": 1}}
    return {
        "number": 5,
        "iid": 5,
        "title": title,
        "state": "open",
        "sha": COMMIT,
        "head": side,
        "base": side,
        "source_branch": "work",
        "source_project_id": 1,
        "target_project_id": 1,
        "html_url": "https://git.test/5",
        "web_url": "https://git.test/5",
        **fields,
    }


async def make(forge: Forge, branch: str = "work") -> Any:
    return await forge.open_pull_request(PROJECT, branch, "main", TITLE, "As asked")


async def failed(forge: Forge) -> tuple[ForgeError, ForgeError, ForgeError]:
    """All three questions; nothing of the token is said, and no way out that is none here."""
    errors = []
    for question in (forge.pull_request(PROJECT, "work"), make(forge), forge.checks(PROJECT, COMMIT)):
        with pytest.raises(ForgeError) as caught:
            await question
        said = f"{caught.value} {caught.value.hint}"
        assert "git.test" in str(caught.value)
        assert caught.value.hint
        assert TOKEN not in said
        assert "`start`" not in said
        assert said.isprintable()
        errors.append(caught.value)
    return errors[0], errors[1], errors[2]


def posts(received: list[Received]) -> int:
    return sum(got.method == "POST" for got in received)


# what is refused

STATUSES = [
    (401, {"message": "Bad credentials"}, "refuses the token: Bad credentials"),
    (403, {"message": "Not for you"}, "refuses to open"),
    (403, {"error": "insufficient_scope"}, "insufficient_scope"),
    (404, {"message": "Not Found"}, "cannot open"),
    (404, HTML, "cannot open"),
    (405, {"message": "No"}, "does not open"),
    (423, {"message": "Repository is archived"}, "Repository is archived"),
    (301, "", "does not open"),
    (422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}, "Failed: head invalid"),
    (422, {"message": "Validation Failed", "errors": ["No commits", {"message": "b"}]}, "Failed: No commits; b"),
    (422, {"message": {"base": ["Requests are switched off"], "title": ["is odd"]}}, ": Requests are switched off;"),
    (400, {"error": "title is missing"}, "title is missing"),
    (422, HTML, "status 422"),
    (422, {"message": {"a": {"b": {"c": {"d": "deep"}}}}, "errors": [[[[["deep"]]]]]}, "status 422"),
]


@pytest.mark.parametrize(("status", "body", "says"), STATUSES)
async def test_refusals_are_sentences(kind: str, status: int, body: Any, says: str, start: Start, ask: Ask) -> None:
    content = response(body, status, "text/html") if isinstance(body, str) else as_json(body, status)
    server = await start(lambda got: content if got.method == "POST" else as_json([]))
    with pytest.raises(ForgeError) as caught:
        await make(ask(kind, server.url))
    assert says in str(caught.value)
    assert "html" not in str(caught.value).lower()
    assert not isinstance(caught.value, PullRequestExists)
    assert posts(server.received) == len(server.received) == 1


RIGHTS = {"github": "“Pull requests: write”", "gitea": "`write:repository`", "gitlab": "the scope `api`"}


async def test_the_right_that_is_missing_is_named(kind: str, start: Start, ask: Ask) -> None:
    for status in (403, 404):
        server = await start(lambda _, status=status: as_json({"message": "no"}, status))
        _, opening, checks = await failed(ask(kind, server.url))
        assert RIGHTS[kind] in opening.hint
        assert "`forges: {git.test: {token: …}}`" in opening.hint
        assert "`forges: {git.test: {token: …}}`" in checks.hint


async def test_questions_that_are_refused(kind: str, start: Start, ask: Ask) -> None:
    for status, said in ((401, "refuses the token"), (403, "refuses to"), (500, "down or overloaded")):
        server = await start(lambda _, status=status: as_json({"message": f"not {TOKEN}"}, status))
        for error in await failed(ask(kind, server.url)):
            assert said in str(error)


async def test_one_that_is_there_is_known_by_the_answer(kind: str, start: Start, ask: Ask) -> None:
    there = {
        "github": (
            422,
            {"message": "Validation Failed", "errors": [{"message": "A pull request already exists for x."}]},
        ),
        "gitea": (409, {"message": "pull request already exists for these targets [id: 1]"}),
        "gitlab": (409, {"message": ["Un autre merge request existe: !5"]}),
    }[kind]
    for listed in ([pull("Another")], [], [pull("Old", state="closed")], "nonsense"):
        server = await start(
            lambda got, listed=listed: as_json(there[1], there[0]) if got.method == "POST" else as_json(listed)
        )
        with pytest.raises(PullRequestExists, match=r"for `work` of git\.test/shoko/kugetsu already") as caught:
            await make(ask(kind, server.url))
        assert ("“Another”" in str(caught.value)) == (listed == [pull("Another")])
        assert caught.value.hint


# what was asked


async def test_what_is_posted(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(pull(), 201))
    await ask(kind, server.url).open_pull_request(PROJECT, "fix/#1 ü", "main", " Add\nit ", "a\r\nb")
    [got] = server.received
    assert (got.method, got.headers["content-type"]) == ("POST", "application/json")
    sent = json.loads(got.body)
    if kind == "gitlab":
        words = {"source_branch": "fix/#1 ü", "target_branch": "main", "description": "a\nb"}
    else:
        words = {"head": "fix/#1 ü", "base": "main", "body": "a\nb"}
    assert sent == {"title": TITLE, **words}


async def test_a_github_draft_is_said_to_be_one(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json(pull(), 201))
    await ask("github", server.url).open_pull_request(PROJECT, "work", "main", TITLE, "", draft=True)
    assert json.loads(server.received[0].body)["draft"] is True


# where it cannot be told whether it was made


async def silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{")


LOST: list[bytes | Write] = [
    silent,
    cut,
    b"",
    as_json({"message": "Gateway Timeout"}, 504),
    response(HTML, 502, "text/html"),
    response(HTML, 201, "text/html"),
    as_json({"ok": True}, 201),
    response('{"number": 5', 201),
    response("[" * 5_000_000, 201),
]


@pytest.mark.parametrize("answer", LOST, ids=range(len(LOST)))
async def test_an_answer_that_is_lost_is_made_up_for_by_looking(
    kind: str, answer: bytes | Write, start: Start, ask: Ask
) -> None:
    server = await start(lambda got: answer if got.method == "POST" else as_json([pull()]))
    made = await make(ask(kind, server.url, timeout=0.3))
    assert (made.ref.number, made.title, made.head) == (5, TITLE, COMMIT)
    assert posts(server.received) == 1


@pytest.mark.parametrize("answer", LOST[:5], ids=range(5))
@pytest.mark.parametrize("listed", [[], [pull("Another")], [pull(state="closed")]], ids=["none", "another", "closed"])
async def test_what_is_found_and_not_ours_is_no_answer(
    kind: str, answer: bytes | Write, listed: list[Any], start: Start, ask: Ask
) -> None:
    server = await start(lambda got: answer if got.method == "POST" else as_json(listed))
    with pytest.raises(ForgeError, match="is not there so far") as caught:
        await make(ask(kind, server.url, timeout=0.3))
    assert caught.value.hint
    assert posts(server.received) == 1


async def test_where_looking_fails_too_that_is_said(kind: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: silent)
    with pytest.raises(ForgeError, match="was opened cannot be told") as caught:
        await make(ask(kind, server.url, timeout=0.1))
    assert caught.value.hint == "Look in the browser before you try again"
    assert posts(server.received) == 1


async def test_what_never_left_is_no_doubt(kind: str, ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for error in await failed(ask(kind, url)):
            assert str(error) == f"git.test cannot be reached at {url}: Connection refused"


async def test_cancelling_cancels(kind: str, start: Start, ask: Ask) -> None:
    asked = asyncio.Event()

    async def nothing(_: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    server = await start(lambda _: nothing)
    task = asyncio.create_task(make(ask(kind, server.url)))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.received) == 1


# redirects


async def test_a_post_is_passed_on_by_the_same_server_only(kind: str, start: Start, ask: Ask) -> None:
    def respond(got: Received) -> bytes:
        if got.target == "/new":
            return as_json(pull(), 201)
        return response(status=307, location=f"http://{got.headers['host']}/new")

    server = await start(respond)
    made = await make(ask(kind, server.url))
    assert made.ref.number == 5
    assert [got.method for got in server.received] == ["POST", "POST"]
    assert server.received[0].body == server.received[1].body

    elsewhere = await start(lambda _: as_json(pull(), 201))
    server = await start(lambda _: response(status=307, location=f"{elsewhere.url}/new"))
    with pytest.raises(ForgeError, match="redirects to"):
        await make(ask(kind, server.url))
    assert elsewhere.received == []


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_would_make_it_a_question_is_not_followed(
    kind: str, status: int, start: Start, ask: Ask
) -> None:
    server = await start(lambda _: response(status=status, location="/new"))
    with pytest.raises(ForgeError, match=f"status {status}"):
        await make(ask(kind, server.url))
    assert len(server.received) == 1


# answers that are none


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (response(HTML, content_type="text/html"), "instead of JSON"),
        (response('[{"number": 5'), "instead of JSON|something else than"),
        (response("[" * 500_000), "instead of JSON|something else than"),
        (response("[" + " " * 5_000_000), "more than 4 MB"),
        (as_json({"message": "welcome"}), "something else than"),
        (as_json("x"), "something else than"),
        (as_json([1]), "something else than"),
        (as_json(None), "something else than"),
    ],
    ids=range(8),
)
async def test_no_lists(kind: str, content: bytes, says: str, start: Start, ask: Ask) -> None:
    server = await start(lambda _: content)
    forge = ask(kind, server.url)
    with pytest.raises(ForgeError, match=says):
        await forge.pull_request(PROJECT, "work")
    if kind == "gitea" and content == as_json({"message": "welcome"}):
        assert await forge.checks(PROJECT, COMMIT) == Checks("none")  # every field may be missing there
    else:
        with pytest.raises(ForgeError, match=says):
            await forge.checks(PROJECT, COMMIT)


@pytest.mark.parametrize("missing", [{"repo": None}, {"repo": {"id": 2}}, {"ref": "", "label": "other"}])
async def test_heads_that_are_not_ours(missing: dict[str, Any], start: Start, ask: Ask) -> None:
    head = {"ref": "work", "label": "x:work", "sha": None, "repo": {"id": 1}, **missing}
    server = await start(lambda _: as_json([pull(head=head), pull(head=None), pull(base=None)]))
    for kind in ("github", "gitea"):
        assert await ask(kind, server.url).pull_request(PROJECT, "work") is None


async def test_gitlab_requests_whose_fork_is_gone(start: Start, ask: Ask) -> None:
    gone = [pull(source_project_id=None, target_project_id=None), pull(source_project_id=2)]
    server = await start(lambda _: as_json(gone))
    assert await ask("gitlab", server.url).pull_request(PROJECT, "work") is None


async def test_fields_that_may_be_null(kind: str, start: Start, ask: Ask) -> None:
    side = {"ref": "work", "label": "work", "sha": None, "repo": {"id": 1}}
    bare = pull("\x1b\u202e", sha=None, head=side, html_url="javascript:x", web_url=None)
    server = await start(lambda _: as_json([bare]))
    found = await ask(kind, server.url).pull_request(PROJECT, "work")
    assert found
    assert (found.title, found.url, found.head, found.state) == (found.ref.tag, "", "", "open")


async def test_endless_pages_come_to_an_end(kind: str, start: Start, ask: Ask) -> None:
    others = [pull(head={"ref": "x"}, source_branch="x")] * 50
    many = {"check_runs": [{"status": "completed"}], "statuses": [{"state": "success", "status": "success"}]}

    def respond(got: Received) -> bytes:
        body: Any = others if "requests" in got.target or "/pulls" in got.target else many
        if kind == "gitlab" and body is many:
            body = [{"id": 1, "status": "success", "name": "x"}]
        return as_json(body, link='</next>; rel="next"')

    server = await start(respond)
    forge = ask(kind, server.url)
    assert await forge.pull_request(PROJECT, "work") is None
    assert len(server.received) <= 20
    with pytest.raises(ForgeError, match="There are more than 20 of"):
        await forge.checks(PROJECT, COMMIT)
    assert len(server.received) <= 50


# GitHub's ways to say how it went

CONCLUSIONS = [
    *((word, "passed") for word in ("success", "neutral", "skipped")),
    *(
        (word, "failed")
        for word in ("failure", "cancelled", "timed_out", "action_required", "startup_failure", "stale")
    ),
    ("what_is_new", "failed"),
    (None, "failed"),
]


def github(runs: Callable[[], bytes], statuses: Any = ()) -> Callable[[Received], bytes]:
    def respond(got: Received) -> bytes:
        return runs() if "/check-runs" in got.target else as_json({"state": "pending", "statuses": list(statuses)})

    return respond


@pytest.mark.parametrize(("word", "state"), CONCLUSIONS)
async def test_conclusions(word: str | None, state: str, start: Start, ask: Ask) -> None:
    run = {"status": "completed", "conclusion": word, "name": "tests", "output": {"title": None, "summary": None}}
    server = await start(github(lambda: as_json({"check_runs": [run]})))
    assert (await ask("github", server.url).checks(PROJECT, COMMIT)).state == state


@pytest.mark.parametrize("word", ["queued", "in_progress", "waiting", "requested", "pending"])
async def test_whatever_is_not_completed_is_pending(word: str, start: Start, ask: Ask) -> None:
    done = {"status": "completed", "conclusion": "failure", "name": "tests"}
    server = await start(github(lambda: as_json({"check_runs": [{"status": word}, done]})))
    found = await ask("github", server.url).checks(PROJECT, COMMIT)
    assert (found.state, found.total, [check.name for check in found.failed]) == ("pending", 2, ["tests"])


async def test_what_a_check_run_says(start: Start, ask: Ask) -> None:
    run = {
        "status": "completed",
        "conclusion": "failure",
        "name": "tests\x1b[0m",
        "html_url": None,
        "details_url": "https://ci.test/1",
        "output": {"title": "2 failed", "summary": "* `a`\r\n* `b`"},
    }
    server = await start(github(lambda: as_json({"check_runs": [run]})))
    [check] = (await ask("github", server.url).checks(PROJECT, COMMIT)).failed
    assert (check.name, check.url, check.summary) == ("tests [0m", "https://ci.test/1", "2 failed\n\n* `a`\n* `b`")


async def test_never_more_failures_than_can_be_read(start: Start, ask: Ask) -> None:
    run = {"status": "completed", "conclusion": "failure", "output": {"summary": "x" * 9_000}}
    server = await start(github(lambda: as_json({"check_runs": [run] * 120})))
    found = await ask("github", server.url).checks(PROJECT, COMMIT)
    assert (found.total, len(found.failed), found.failed[0].name) == (120, 50, "unnamed")


async def test_a_token_that_cannot_see_check_runs_is_shown_workflow_runs(start: Start, ask: Ask) -> None:
    run = {
        "status": "completed",
        "conclusion": "failure",
        "name": "CI",
        "display_title": "Add it",
        "html_url": "https://github.test/runs/1",
    }

    def respond(got: Received) -> bytes:
        if "/check-runs" in got.target:
            return as_json({"message": "Resource not accessible by personal access token"}, 403)
        if "/actions/runs" in got.target:
            assert f"head_sha={COMMIT}" in got.target
            return as_json({"total_count": 1, "workflow_runs": [run]})
        return as_json({"state": "pending", "statuses": []})

    server = await start(respond)
    found = await ask("github", server.url).checks(PROJECT, COMMIT)
    assert found.state == "failed"
    assert [(check.name, check.summary) for check in found.failed] == [("CI", "Add it")]


async def test_a_token_that_may_see_nothing_of_it(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json({"message": "Resource not accessible by personal access token"}, 403))
    with pytest.raises(ForgeError, match="refuses to show the checks of 0123456789ab") as caught:
        await ask("github", server.url).checks(PROJECT, COMMIT)
    assert "“Actions: read”" in caught.value.hint


async def test_a_rate_limit_is_not_a_missing_right(start: Start, ask: Ask) -> None:
    server = await start(lambda _: as_json({"message": "slow down"}, 403, x_ratelimit_remaining="0"))
    with pytest.raises(ForgeError, match="rate limit is used up"):
        await ask("github", server.url).checks(PROJECT, COMMIT)
    assert len(server.received) == 1


# Gitea's


async def test_an_unknown_commit_is_told_from_an_unknown_project(start: Start, ask: Ask) -> None:
    missing = as_json({"message": "The target couldn't be found."}, 404)
    server = await start(lambda got: missing if "/commits/" in got.target else as_json({"id": 1}))
    assert await ask("gitea", server.url).checks(PROJECT, COMMIT) == Checks("none")
    server = await start(lambda _: missing)
    with pytest.raises(ForgeNotFound, match=r"does not know git\.test/shoko/kugetsu"):
        await ask("gitea", server.url).checks(PROJECT, COMMIT)


async def test_an_empty_answer_is_no_checks(start: Start, ask: Ask) -> None:
    server = await start(lambda _: response(""))
    assert await ask("gitea", server.url).checks(PROJECT, COMMIT) == Checks("none")
