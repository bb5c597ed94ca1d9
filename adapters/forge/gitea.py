"""Gitea and Forgejo: https://docs.gitea.com/api, https://codeberg.org/api/swagger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from yarl import URL

from adapters.forge import alike
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, WireComment, WireIssue
from adapters.forge.http import Health, Http
from adapters.forge.refusals import TooLarge
from core.model import IssueRef, ProjectRef
from core.ports import Issue

LIST_PAGE = 50  # the most either gives as installed (MAX_RESPONSE_ITEMS)
LATELY = tuple(timedelta(days=days) for days in (30, 7, 1))
# Comments come without pages, all of them or all since a time. Above so many, later times are tried first.
FEW_COMMENTS = 100
WINDOWS = (timedelta(days=30), timedelta(days=365))
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def headers(token: str) -> Mapping[str, str]:
    """What goes with every call."""
    return {"Authorization": f"token {token}"} if token else {}


class Gitea:
    """A `core.ports.Forge`. Issues and pull requests share their numbers."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._login = alike.Login(http)

    async def issue(self, ref: IssueRef) -> Issue:
        """See the port."""
        async with self._http.bounded():
            answer = await self._http.get(f"{alike.path(ref.project)}/issues/{ref.number}", WireIssue, str(ref))
            comments, left_out = await self._comments(answer.url / "comments", answer.data, ref)
            return alike.issue(ref, answer.data, comments, left_out)

    async def health(self) -> Health:
        """Raises ForgeError."""
        async with self._http.bounded():
            if not self._http.server.token:
                return Health(None, (await self._http.get("version", msgspec.Raw, "its version")).left)
            answer = await self._http.get("user", alike.User, "the user whose token it is")
            return Health(answer.data.login, answer.left)

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """See the port; at most 20. Pull requests are left out."""
        limit = min(limit, MAX_RECENT)
        if limit <= 0:
            return []
        async with self._http.bounded():
            login = await self._login.get()
            assigned = await self._open(project, limit, assigned_by=login) if login else []
            others = await self._open(project, limit) if len(assigned) < limit else []
            return alike.assigned_first(assigned, others, limit)

    async def _comments(self, url: URL, wire: WireIssue, ref: IssueRef) -> tuple[Sequence[WireComment], int]:
        """The last ones, oldest first, and how many came before."""
        if wire.comments == 0:
            return (), 0
        starts: list[datetime | None] = [None]
        if (wire.comments or 0) > FEW_COMMENTS and wire.updated_at:
            starts = [*(wire.updated_at - window for window in WINDOWS), None]
        found: list[WireComment] = []
        for start in starts:
            since = {"since": _stamp(start)} if start else {}
            try:
                answer = await self._http.get(url, list[WireComment], f"the comments of {ref}", **since)
            except TooLarge:
                break
            # `since` is about the last edit: older comments may be among them, but not all of that age.
            found = sorted(
                (comment for comment in answer.data if start is None or comment.created_at >= start),
                key=lambda comment: comment.created_at,
            )
            if len(found) >= LAST_COMMENTS:
                break
        shown = found[-LAST_COMMENTS:]
        return shown, max(len(found), wire.comments or 0) - len(shown)

    async def _open(self, project: ProjectRef, limit: int, **only: str) -> list[Issue]:
        found = await self._list(project, **only)
        part = found
        for time in LATELY:
            # Gitea lists the newest and does not sort otherwise: on a full page, ones that only changed lately lack.
            if len(part) < LIST_PAGE:
                break
            part = await self._list(project, since=_stamp(self._http.now() - time), **only)
            found += part
        found.sort(key=lambda wire: wire.updated_at or _LONG_AGO, reverse=True)
        once = {wire.number: wire for wire in found if wire.pull_request is None}
        return [alike.issue(IssueRef(project, wire.number), wire) for wire in list(once.values())[:limit]]

    async def _list(self, project: ProjectRef, **only: str) -> list[WireIssue]:
        answer = await self._http.get(
            f"{alike.path(project)}/issues",
            list[WireIssue],
            f"the issues of {project}",
            state="open",
            type="issues",
            sort="recentupdate",  # Forgejo since 10; Gitea ignores it
            limit=LIST_PAGE,
            **only,
        )
        return answer.data


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
