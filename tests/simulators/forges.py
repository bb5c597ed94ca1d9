"""Gitea and GitLab for tests: small fakes that keep issues, pull requests and what ran on commits, and refuse what the
real ones do not know.

Written after the projects' own sources and documentation. Anything asked that is not here (a path, a verb, a query
parameter, a token in the wrong header) is refused, so that a mistake shows as a failing test.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from aiohttp import web

TOKEN = "token-of-me"
ME = "me"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN_URL = "https://ci.test/runs/1"


@dataclass(slots=True)
class FakeComment:
    author: str  # empty: the account was deleted
    text: str
    created: datetime
    updated: datetime
    system: bool = False  # GitLab's own notes


@dataclass(slots=True)
class FakeIssue:
    number: int
    title: str
    text: str | None
    author: str
    created: datetime
    updated: datetime
    request: bool
    assignee: str = ""
    state: str = "open"  # open | closed | merged
    comments: list[FakeComment] = field(default_factory=list)
    head: str = "work"
    base: str = "main"
    fork: bool = False  # the head is in ann's fork


@dataclass(slots=True)
class FakeRun:
    """A commit status of Gitea's, a job of GitLab's; `state` in the forge's own words."""

    name: str
    state: str
    said: str = ""
    pipeline: int = 0
    may_fail: bool = False


@dataclass(slots=True)
class FakePipeline:
    number: int
    commit: str
    ref: str
    state: str


@dataclass(slots=True)
class FakeRepository:
    private: bool = False
    issues: list[FakeIssue] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)  # to the commit each is at
    runs: dict[str, list[FakeRun]] = field(default_factory=dict)  # by commit
    pipelines: list[FakePipeline] = field(default_factory=list)

    def find(self, number: int, *, request: bool | None = None) -> FakeIssue | None:
        same = (i for i in self.issues if i.number == number and request in {None, i.request})
        return next(same, None)


class FakeForge:
    """State and server of both. Time goes on by a second with every change."""

    web_base = "https://forge.test"
    separate_numbers = False  # requests are counted apart from issues

    def __init__(self) -> None:
        self.repositories: dict[str, FakeRepository] = {}
        self.asked: list[str] = []  # method, path and query of each request
        self.url = ""
        self.now = START
        self.read_only = False  # the token may not write
        self._runner: web.AppRunner | None = None

    # what happened on the forge
    def add_repository(self, path: str, *, private: bool = False) -> None:
        self.repositories[path] = FakeRepository(private, branches={"main": commit_of(f"{path}:main")})

    def branch(self, path: str, name: str) -> str:
        self.repositories[path].branches[name] = commit_of(f"{path}:{name}:{self.tick()}")
        return self.repositories[path].branches[name]

    def add(self, path: str, title: str, text: str | None, *, author: str, assignee: str, request: bool) -> int:
        issues = self.repositories[path].issues
        same = [i for i in issues if i.request == request] if self.separate_numbers else issues
        now = self.tick()
        issues.append(FakeIssue(len(same) + 1, title, text, author, now, now, request, assignee))
        return issues[-1].number

    def comment(self, issue: FakeIssue, author: str, text: str, *, system: bool = False) -> None:
        issue.updated = self.tick()
        issue.comments.append(FakeComment(author, text, issue.updated, issue.updated, system))

    def tick(self, by: timedelta = timedelta(seconds=1)) -> datetime:
        self.now += by
        return self.now

    # the server
    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        known = self.token_in(request)
        if known not in {"", TOKEN}:
            raise _refusal(401, "401 Unauthorized")
        parts = [unquote(part) for part in request.raw_path.partition("?")[0].split("/")[1:]]
        if request.method == "GET":
            return self.answer(parts, dict(request.query), bool(known))
        if request.method != "POST" or request.query:
            raise _refusal(405, "Method Not Allowed")
        if not known:
            raise _refusal(401, "401 Unauthorized")
        return self.make(parts, await body_of(request))

    def repository(self, path: str, known: bool) -> FakeRepository:
        repository = self.repositories.get(path)
        if repository is None or (repository.private and not known):
            raise _refusal(404, "404 Not Found")
        return repository

    def token_in(self, request: web.Request) -> str:
        raise NotImplementedError

    def answer(self, parts: list[str], query: dict[str, str], known: bool) -> web.StreamResponse:
        raise NotImplementedError

    def make(self, parts: list[str], body: dict[str, Any]) -> web.StreamResponse:
        raise NotImplementedError

    def made(self, path: str, title: str, text: str, head: str, base: str) -> FakeIssue:
        number = self.add(path, title, text, author=ME, assignee="", request=True)
        found = self.repositories[path].find(number, request=True)
        assert found
        found.head, found.base = head, base
        return found

    @staticmethod
    def same(repository: FakeRepository, head: str, base: str) -> FakeIssue | None:
        """An open request of the same branches."""
        asked = (head, base, False, "open")
        found = (i for i in repository.issues if i.request and (i.head, i.base, i.fork, i.state) == asked)
        return next(found, None)


class FakeGitea(FakeForge):
    """`/api/v1`. At most 50 a page, comments all at once. Forgejo `sorts` by update when asked, Gitea ignores it."""

    max_page = 50

    def __init__(self, *, sorts: bool = False) -> None:
        super().__init__()
        self._sorts = sorts

    def token_in(self, request: web.Request) -> str:
        return request.headers.get("Authorization", "").removeprefix("token ")

    def answer(self, parts: list[str], query: dict[str, str], known: bool) -> web.StreamResponse:
        match parts:
            case ["api", "v1", "version"] if not query:
                return web.json_response({"version": "1.24.0"})
            case ["api", "v1", "user"] if not query:
                if not known:
                    raise _refusal(401, "token is required")
                return web.json_response({"login": ME, "id": 1, "full_name": ""})
            case ["api", "v1", "repos", owner, repo] if not query:
                self.repository(f"{owner}/{repo}", known)
                return web.json_response({"id": 1, "full_name": f"{owner}/{repo}"})
            case ["api", "v1", "repos", owner, repo, "pulls"]:
                repository = self.repository(f"{owner}/{repo}", known)
                return self._pulls(f"{owner}/{repo}", repository, query)
            case ["api", "v1", "repos", owner, repo, "commits", commit, "status"]:
                return self._status(self.repository(f"{owner}/{repo}", known), commit, query)
            case ["api", "v1", "repos", owner, repo, "issues"]:
                repository = self.repository(f"{owner}/{repo}", known)
                return web.json_response(self._list(f"{owner}/{repo}", repository, query))
            case ["api", "v1", "repos", owner, repo, "issues", number, *rest] if number.isdigit():
                found = self.repository(f"{owner}/{repo}", known).find(int(number))
                if not found:
                    raise _refusal(404, "issue does not exist [id: 0, repo_id: 1]")
                if not rest and not query:
                    return web.json_response(self._issue(f"{owner}/{repo}", found))
                if rest == ["comments"]:
                    return web.json_response(self._comments(found, query))
        raise _refusal(404, "404 page not found")

    def make(self, parts: list[str], body: dict[str, Any]) -> web.StreamResponse:
        match parts:
            case ["api", "v1", "repos", owner, repo, "pulls"]:
                path = f"{owner}/{repo}"
                repository = self.repository(path, known=True)
                if self.read_only:
                    scopes = "token does not have at least one of required scope(s): [write:repository]"
                    raise _refusal(403, scopes)
                _known(body, "title", "head", "base", "body")
                for key in ("title", "head", "base"):
                    if not str(body.get(key, "")).strip():
                        raise _refusal(422, f"[{key.title()}]: Required")
                head, base = body["head"], body["base"]
                if head == base:
                    raise _refusal(422, "Invalid PullRequest: There are no changes between the head and the base")
                if not {head, base} <= repository.branches.keys():
                    raise _refusal(404, "The target couldn't be found.")
                if same := self.same(repository, head, base):
                    targets = f"[id: 7, issue_id: {same.number}, head_branch: {head}, base_branch: {base}]"
                    raise _refusal(409, f"pull request already exists for these targets {targets}")
                made = self.made(path, body["title"], body.get("body", ""), head, base)
                return web.json_response(self._pull(path, repository, made), status=201)
        raise _refusal(404, "404 page not found")

    def _pulls(self, path: str, repository: FakeRepository, query: dict[str, str]) -> web.Response:
        _only(query, "state", "limit", "page")
        state = query.get("state", "open")
        if state not in {"open", "closed", "all"}:
            raise _refusal(422, "state is invalid")
        found = [i for i in repository.issues if i.request]
        found = [i for i in found if state == "all" or (i.state == "open") == (state == "open")]
        found.sort(key=lambda i: i.created, reverse=True)
        size, page = min(int(query.get("limit", "30")), self.max_page), int(query.get("page", "1"))
        part = found[(page - 1) * size : page * size]
        answer = web.json_response([self._pull(path, repository, issue) for issue in part])
        if page * size < len(found):
            answer.headers["Link"] = f'<{self.web_base}/api/v1/next?page={page + 1}&limit={size}>; rel="next"'
        return answer

    def _pull(self, path: str, repository: FakeRepository, issue: FakeIssue) -> dict[str, Any]:
        wire = self._issue(path, issue)
        del wire["pull_request"]
        there = issue.head in repository.branches
        head = {
            "label": issue.head,
            "ref": issue.head if there or issue.fork else f"refs/pull/{issue.number}/head",
            "sha": repository.branches.get(issue.head, commit_of(issue.head)),
            "repo_id": 2 if issue.fork else 1,
            "repo": {"id": 2, "full_name": "ann/work"} if issue.fork else {"id": 1, "full_name": path},
        }
        base = {"label": issue.base, "ref": issue.base, "sha": "", "repo_id": 1, "repo": {"id": 1, "full_name": path}}
        merged = issue.state == "merged"
        at = _zoned(issue.updated) if merged else None
        return {**wire, "head": head, "base": base, "merged": merged, "merged_at": at}

    def _status(self, repository: FakeRepository, commit: str, query: dict[str, str]) -> web.Response:
        _only(query, "limit", "page")
        if commit not in {*repository.branches.values(), *repository.runs}:
            raise _refusal(404, "The target couldn't be found.")
        runs = repository.runs.get(commit, [])
        if not runs and not self._sorts:
            return web.Response(content_type="application/json")  # as Gitea once did
        size, page = min(int(query.get("limit", "30")), self.max_page), int(query.get("page", "1"))
        part = [
            {"id": 1, "context": run.name, "status": run.state, "description": run.said, "target_url": RUN_URL}
            for run in runs[(page - 1) * size : page * size]
        ]
        return web.json_response(
            {"state": "", "sha": commit, "statuses": part or None, "total_count": len(part), "repository": None}
        )

    def _list(self, path: str, repository: FakeRepository, query: dict[str, str]) -> list[dict[str, Any]]:
        _only(query, "state", "type", "assigned_by", "since", "limit", "page", "sort")
        assert query.get("sort") in {None, "recentupdate"}
        found = [i for i in repository.issues if query.get("state", "open") == ("open" if i.state == "open" else "")]
        if query.get("type") == "issues":
            found = [i for i in found if not i.request]
        if assignee := query.get("assigned_by"):
            found = [i for i in found if i.assignee == assignee]
        if since := query.get("since"):
            found = [i for i in found if i.updated >= datetime.fromisoformat(since)]
        limit = min(int(query.get("limit", "30")), self.max_page)
        by_update = self._sorts and "sort" in query
        newest = sorted(found, key=lambda i: i.updated if by_update else i.created, reverse=True)
        return [self._issue(path, issue) for issue in newest[:limit]]

    def _issue(self, path: str, issue: FakeIssue) -> dict[str, Any]:
        kind = "pulls" if issue.request else "issues"
        merged = issue.state == "merged"
        return {
            "id": 1000 + issue.number,
            "number": issue.number,
            "url": f"{self.web_base}/api/v1/repos/{path}/issues/{issue.number}",
            "html_url": f"{self.web_base}/{path}/{kind}/{issue.number}",
            "title": issue.title,
            "body": issue.text or "",
            "user": self._user(issue.author),
            "state": "open" if issue.state == "open" else "closed",
            "comments": len(issue.comments),
            "created_at": _zoned(issue.created),
            "updated_at": _zoned(issue.updated),
            "assignees": [self._user(issue.assignee)] if issue.assignee else None,
            "pull_request": {"merged": merged, "merged_at": _zoned(issue.updated) if merged else None}
            if issue.request
            else None,
        }

    def _comments(self, issue: FakeIssue, query: dict[str, str]) -> list[dict[str, Any]]:
        _only(query, "since", "before")
        since = datetime.fromisoformat(query["since"]) if "since" in query else START
        return [
            {
                "id": index,
                "body": comment.text,
                "user": self._user(comment.author),
                "created_at": _zoned(comment.created),
                "updated_at": _zoned(comment.updated),
            }
            for index, comment in enumerate(issue.comments)
            if comment.updated >= since
        ]

    @staticmethod
    def _user(name: str) -> dict[str, Any] | None:
        return {"id": 7, "login": name, "username": name, "full_name": name.title()} if name else None


class FakeGitLab(FakeForge):
    """`/api/v4`. Merge requests are counted apart; notes of its own are among the comments."""

    separate_numbers = True
    max_page = 100

    def token_in(self, request: web.Request) -> str:
        return request.headers.get("PRIVATE-TOKEN", "")

    def answer(self, parts: list[str], query: dict[str, str], known: bool) -> web.StreamResponse:
        match parts:
            case ["api", "v4", "user"] if not query:
                if not known:
                    raise _refusal(401, "401 Unauthorized")
                return web.json_response(self._user(ME))
            case ["api", "v4", "projects"]:
                _only(query, "per_page")
                return web.json_response([{"id": 1, "path_with_namespace": "group/open"}][: int(query["per_page"])])
            case ["api", "v4", "projects", path, "merge_requests"]:
                return self._paged(self._requests(path, self.repository(path, known), query), query)
            case ["api", "v4", "projects", path, "pipelines"]:
                _only(query, "sha", "order_by", "sort", "per_page", "page")
                assert (query["order_by"], query["sort"]) == ("id", "desc")
                found = [p for p in self.repository(path, known).pipelines if p.commit == query["sha"]]
                return self._paged([self._pipeline(path, p) for p in found[::-1]], query)
            case ["api", "v4", "projects", path, "pipelines", number, "jobs"] if number.isdigit():
                _only(query, "per_page", "page")
                runs = self.repository(path, known).runs.values()
                return self._paged(
                    [self._job(path, r) for some in runs for r in some if r.pipeline == int(number)], query
                )
            case ["api", "v4", "projects", path, "issues"]:
                return self._paged(self._list(path, self.repository(path, known), query, known), query)
            case ["api", "v4", "projects", path, ("issues" | "merge_requests") as kind, number, *rest]:
                found = self.repository(path, known).find(int(number), request=kind == "merge_requests")
                if not found:
                    raise _refusal(404, "404 Not found")
                if not rest and not query:
                    return web.json_response(self._issue(path, found))
                if rest == ["notes"]:
                    _only(query, "sort", "order_by", "per_page", "page")
                    assert query.get("order_by", "created_at") == "created_at"
                    notes = [self._note(note) for note in found.comments]
                    return self._paged(notes if query.get("sort") == "asc" else notes[::-1], query)
        raise _refusal(404, "404 Not Found", key="error")

    def make(self, parts: list[str], body: dict[str, Any]) -> web.StreamResponse:
        match parts:
            case ["api", "v4", "projects", path, "merge_requests"]:
                repository = self.repository(path, known=True)
                if self.read_only:
                    raise _refusal(403, "insufficient_scope", key="error")
                _known(body, "title", "source_branch", "target_branch", "description")
                for key in ("title", "source_branch", "target_branch"):
                    if not body.get(key):
                        raise _refusal(400, f"{key} is missing", key="error")
                head, base = body["source_branch"], body["target_branch"]
                if head == base:
                    raise _refusal(422, ["You can't use same project/branch for source and target"])
                for branch in (head, base):
                    if branch not in repository.branches:
                        raise _refusal(422, [f'Branch "{branch}" does not exist'])
                if same := self.same(repository, head, base):
                    said = f"Another open merge request already exists for this source branch: !{same.number}"
                    raise _refusal(409, [said])
                made = self.made(path, body["title"], body.get("description", ""), head, base)
                return web.json_response(self._request(path, repository, made), status=201)
        raise _refusal(404, "404 Not Found", key="error")

    def _requests(self, path: str, repository: FakeRepository, query: dict[str, str]) -> list[dict[str, Any]]:
        _only(query, "source_branch", "state", "scope", "order_by", "sort", "per_page", "page")
        assert (query["scope"], query["order_by"], query["sort"]) == ("all", "created_at", "desc")
        state = query["state"]
        if state not in {"opened", "closed", "locked", "merged", "all"}:
            raise _refusal(400, "state does not have a valid value", key="error")
        found = [i for i in repository.issues if i.request and i.head == query["source_branch"]]
        found = [i for i in found if state == "all" or i.state == {"opened": "open"}.get(state, state)]
        found.sort(key=lambda i: i.created, reverse=True)
        return [self._request(path, repository, issue) for issue in found]

    def _request(self, path: str, repository: FakeRepository, issue: FakeIssue) -> dict[str, Any]:
        return {
            **self._issue(path, issue),
            "source_branch": issue.head,
            "target_branch": issue.base,
            "source_project_id": 2 if issue.fork else 1,
            "target_project_id": 1,
            "sha": repository.branches.get(issue.head, commit_of(issue.head)),
        }

    def _pipeline(self, path: str, pipeline: FakePipeline) -> dict[str, Any]:
        return {
            "id": pipeline.number,
            "sha": pipeline.commit,
            "ref": pipeline.ref,
            "status": pipeline.state,
            "source": "push",
            "web_url": f"{self.web_base}/{path}/-/pipelines/{pipeline.number}",
        }

    def _job(self, path: str, run: FakeRun) -> dict[str, Any]:
        return {
            "id": 1,
            "name": run.name,
            "stage": "test",
            "status": run.state,
            "allow_failure": run.may_fail,
            "failure_reason": run.said or None,
            "web_url": RUN_URL,
        }

    def _list(self, path: str, repository: FakeRepository, query: dict[str, str], known: bool) -> list[dict[str, Any]]:
        _only(query, "state", "scope", "order_by", "sort", "per_page", "page")
        assert query["state"] == "opened"
        found = [i for i in repository.issues if i.state == "open" and not i.request]
        match query.get("scope", "all"):
            case "assigned_to_me":
                if not known:
                    raise _refusal(401, "401 Unauthorized")
                found = [i for i in found if i.assignee == ME]
            case "all":
                pass
            case _:
                raise _refusal(400, "scope does not have a valid value", key="error")
        order = {"created_at": lambda i: i.created, "updated_at": lambda i: i.updated}[
            query.get("order_by", "created_at")
        ]
        found.sort(key=order, reverse=query.get("sort", "desc") == "desc")
        return [self._issue(path, issue) for issue in found]

    def _paged(self, items: list[Any], query: dict[str, str]) -> web.Response:
        size, page = min(int(query.get("per_page", "20")), self.max_page), int(query.get("page", "1"))
        answer = web.json_response(items[(page - 1) * size : page * size])
        if page * size < len(items):
            answer.headers["Link"] = f'<{self.web_base}/api/v4/next?page={page + 1}&per_page={size}>; rel="next"'
            answer.headers["X-Next-Page"] = str(page + 1)
        return answer

    def _issue(self, path: str, issue: FakeIssue) -> dict[str, Any]:
        kind = "merge_requests" if issue.request else "issues"
        return {
            "id": 5000 + issue.number,
            "iid": issue.number,
            "title": issue.title,
            "description": issue.text,
            "author": self._user(issue.author),
            "state": "opened" if issue.state == "open" else issue.state,
            "web_url": f"{self.web_base}/{path}/-/{kind}/{issue.number}",
            "user_notes_count": sum(not comment.system for comment in issue.comments),
            "created_at": _milliseconds(issue.created),
            "updated_at": _milliseconds(issue.updated),
        }

    def _note(self, note: FakeComment) -> dict[str, Any]:
        return {
            "id": 1,
            "body": note.text,
            "author": self._user(note.author),
            "system": note.system,
            "created_at": _milliseconds(note.created),
        }

    @staticmethod
    def _user(name: str) -> dict[str, Any] | None:
        return {"id": 7, "username": name, "name": name.title(), "state": "active"} if name else None


def _only(query: dict[str, str], *known: str) -> None:
    if unknown := set(query) - set(known):
        raise _refusal(400, f"{', '.join(sorted(unknown))} is invalid", key="error")


def _known(body: dict[str, Any], *known: str) -> None:
    if unknown := set(body) - set(known):
        raise _refusal(422, f"{', '.join(sorted(unknown))} is invalid")


def commit_of(what: str) -> str:
    """Looks like one."""
    return hashlib.sha1(what.encode()).hexdigest()


async def body_of(request: web.Request) -> dict[str, Any]:
    """JSON, said to be JSON, in an object."""
    if request.content_type != "application/json":
        raise _refusal(415, "The provided content-type is not supported.")
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise _refusal(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise _refusal(422, "not an object")
    return body


def _refusal(status: int, message: str | list[str], key: str = "message") -> web.HTTPException:
    class Refusal(web.HTTPException):
        status_code = status

    return Refusal(text=json.dumps({key: message}), content_type="application/json")


def _zoned(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds")


def _milliseconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
