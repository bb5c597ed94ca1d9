"""GitLab: https://docs.gitlab.com/api/issues, /merge_requests and /notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from yarl import URL

from adapters.forge import alike, text
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, Moment
from adapters.forge.http import Health, Http
from adapters.forge.refusals import TooLarge
from core.model import IssueRef, ProjectRef
from core.ports import Issue

NOTES_PAGE = 50
MAX_NOTES_PAGES = 5  # what GitLab itself notes ("added 3 commits") comes among the comments
_CLOSED = frozenset({"closed", "merged"})  # others are opened, reopened, and locked while it is being merged


class WireAuthor(msgspec.Struct):
    """Only the name is of interest."""

    username: str = ""


class WireIssue(msgspec.Struct):
    """An issue or a merge request."""

    iid: int
    title: str
    state: str
    description: str | None = None
    author: WireAuthor | None = None
    web_url: str | None = None
    user_notes_count: int | None = None


class WireNote(msgspec.Struct):
    """A comment, or GitLab's own note of what was done."""

    created_at: Moment
    body: str | None = None
    author: WireAuthor | None = None
    system: bool = False


def headers(token: str) -> Mapping[str, str]:
    """What goes with every call."""
    return {"PRIVATE-TOKEN": token} if token else {}


class GitLab:
    """A `core.ports.Forge`. `#3` is an issue, `!3` a merge request."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def health(self) -> Health:
        """Raises ForgeError."""
        async with self._http.bounded():
            if not self._http.server.token:  # its version is for known users only
                answer = await self._http.get("projects", list[msgspec.Raw], "its projects", per_page=1)
                return Health(None, answer.left)
            known = await self._http.get("user", WireAuthor, "the user whose token it is")
            return Health(known.data.username, known.left)

    async def issue(self, ref: IssueRef) -> Issue:
        """See the port."""
        kind = "merge_requests" if ref.merge_request else "issues"
        async with self._http.bounded():
            answer = await self._http.get(f"{_path(ref.project)}/{kind}/{ref.number}", WireIssue, str(ref))
            count = answer.data.user_notes_count
            notes = await self._notes(answer.url / "notes", count, ref) if count != 0 else []
            return _issue(ref, answer.data, notes, max(0, (count or 0) - len(notes)))

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """See the port; at most 20."""
        limit = min(limit, MAX_RECENT)
        if limit <= 0:
            return []
        async with self._http.bounded():
            mine = await self._open(project, limit, "assigned_to_me") if self._http.server.token else []
            others = await self._open(project, limit, "all") if len(mine) < limit else []
            return alike.assigned_first(mine, others, limit)

    async def _notes(self, url: URL, count: int | None, ref: IssueRef) -> Sequence[WireNote]:
        """The last comments, oldest first. GitLab gives the newest first."""
        wanted = LAST_COMMENTS if count is None else min(count, LAST_COMMENTS)
        found: list[WireNote] = []
        for page in range(1, MAX_NOTES_PAGES + 1):
            try:
                answer = await self._http.get(
                    url,
                    list[WireNote],
                    f"the comments of {ref}",
                    sort="desc",
                    order_by="created_at",
                    per_page=NOTES_PAGE,
                    page=page,
                )
            except TooLarge:
                break
            found += [note for note in answer.data if not note.system]
            # A page may be short without being the last: what the token may not see was taken out of it.
            if len(found) >= wanted or not (answer.more or len(answer.data) >= NOTES_PAGE):
                break
        return found[:wanted][::-1]

    async def _open(self, project: ProjectRef, limit: int, scope: str) -> list[Issue]:
        answer = await self._http.get(
            f"{_path(project)}/issues",
            list[WireIssue],
            f"the issues of {project}",
            state="opened",
            scope=scope,
            order_by="updated_at",
            sort="desc",
            per_page=limit,
        )
        return [_issue(IssueRef(project, wire.iid), wire) for wire in answer.data[:limit]]


def _path(project: ProjectRef) -> str:
    return f"projects/{quote(f'{project.owner}/{project.repo}', safe='')}"


def _issue(ref: IssueRef, wire: WireIssue, notes: Sequence[WireNote] = (), left_out: int = 0) -> Issue:
    return Issue(
        ref,
        text.line(wire.title) or ref.tag,
        text.block(wire.description, text.MAX_TEXT),
        alike.author(wire.author.username if wire.author else ""),
        wire.state if wire.state in _CLOSED else "open",
        text.link(wire.web_url),
        tuple(alike.comment(n.author.username if n.author else "", n.body, n.created_at) for n in notes),
        left_out,
        request=ref.merge_request,
    )
