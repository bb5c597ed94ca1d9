"""Gitea and GitLab for tests: small fakes that keep issues and refuse what the real ones do not know.

Written after the projects' own sources and documentation. Anything asked that is not here (a path, a verb, a query
parameter, a token in the wrong header) is refused, so that a mistake shows as a failing test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from aiohttp import web

TOKEN = "token-of-me"
ME = "me"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


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


@dataclass(slots=True)
class FakeRepository:
    private: bool = False
    issues: list[FakeIssue] = field(default_factory=list)

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
        self._runner: web.AppRunner | None = None

    # what happened on the forge
    def add_repository(self, path: str, *, private: bool = False) -> None:
        self.repositories[path] = FakeRepository(private)

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
        if request.method != "GET":
            raise _refusal(405, "Method Not Allowed")
        known = self.token_in(request)
        if known not in {"", TOKEN}:
            raise _refusal(401, "401 Unauthorized")
        parts = request.raw_path.partition("?")[0].split("/")[1:]
        return self.answer([unquote(part) for part in parts], dict(request.query), bool(known))

    def repository(self, path: str, known: bool) -> FakeRepository:
        repository = self.repositories.get(path)
        if repository is None or (repository.private and not known):
            raise _refusal(404, "404 Not Found")
        return repository

    def token_in(self, request: web.Request) -> str:
        raise NotImplementedError

    def answer(self, parts: list[str], query: dict[str, str], known: bool) -> web.StreamResponse:
        raise NotImplementedError


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


def _refusal(status: int, message: str, key: str = "message") -> web.HTTPException:
    class Refusal(web.HTTPException):
        status_code = status

    return Refusal(text=json.dumps({key: message}), content_type="application/json")


def _zoned(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=1))).isoformat(timespec="seconds")


def _milliseconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
