"""Gitea and Forgejo: https://docs.gitea.com/api, https://codeberg.org/api/swagger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from yarl import URL

from adapters.forge import alike, pulls, verdicts
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, WireComment, WireIssue, WirePull
from adapters.forge.http import Health, Http
from adapters.forge.refusals import Rejected, TooLarge
from adapters.forge.verdicts import State, outcome
from core.errors import ForgeNotFound
from core.model import IssueRef, ProjectRef
from core.ports import Checks, Issue, PullRequest

LIST_PAGE = 50  # the most either gives as installed (MAX_RESPONSE_ITEMS)
LATELY = tuple(timedelta(days=days) for days in (30, 7, 1))
# Comments come without pages, all of them or all since a time. Above so many, later times are tried first.
FEW_COMMENTS = 100
WINDOWS = (timedelta(days=30), timedelta(days=365))
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
DRAFT = "WIP: "  # the first of WORK_IN_PROGRESS_PREFIXES as installed
RIGHT_TO_OPEN = "the permission `write:repository`"
RIGHT_TO_CHECKS = "the permission `read:repository`"
# Warnings do not keep Gitea from merging. Others are failure and error.
_STATUSES = {
    "success": State.PASSED,
    "warning": State.PASSED,
    "skipped": State.PASSED,
    "pending": State.PENDING,
}


class _Status(msgspec.Struct):
    status: str
    context: str | None = None
    description: str | None = None
    target_url: str | None = None


class _Combined(msgspec.Struct):
    statuses: list[_Status] | None = None
    total_count: int = 0


def headers(token: str) -> Mapping[str, str]:
    """What goes with every call."""
    return {"Authorization": f"token {token}"} if token else {}


class Gitea:
    """A `core.ports.Forge`. Issues and pull requests share their numbers."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._login = alike.Login(http)
        self._pulls = http.telling(instead=pulls.INSTEAD, needs=RIGHT_TO_OPEN)
        self._checks = http.telling(instead=verdicts.INSTEAD, needs=RIGHT_TO_CHECKS)

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

    async def pull_request(self, project: ProjectRef, branch: str) -> PullRequest | None:
        """See the port; among the last 500 open ones and the last 500 others. Gitea cannot be asked for a branch."""

        async def page(state: str, number: int) -> tuple[Sequence[PullRequest], bool]:
            answer = await self._pulls.get(
                f"{alike.path(project)}/pulls",
                list[WirePull],
                f"the pull requests of {project}",
                state=state,  # newest first, where no other order is asked for
                limit=pulls.LIST_PAGE,
                page=number,
            )
            found = [alike.pull(project, wire) for wire in answer.data if alike.own(wire, branch)]
            return found, answer.more

        async with self._pulls.bounded():
            return await pulls.newest(("open", "closed"), page)

    async def open_pull_request(
        self, project: ProjectRef, branch: str, base: str, title: str, text: str, *, draft: bool = False
    ) -> PullRequest:
        """See the port. A draft is one by the beginning of its title."""
        what = pulls.wanted(project, branch, base, title, text, draft=draft, prefix=DRAFT)
        return await pulls.opened(self._pulls, what, self._send, self.pull_request)

    async def checks(self, project: ProjectRef, commit: str) -> Checks:
        """See the port: commit statuses, which Gitea's own Actions report as well. A commit not known has none."""
        if not verdicts.is_commit(commit):
            return verdicts.NONE
        about = f"the checks of {commit[:12]} in {project}"
        where = f"{alike.path(project)}/commits/{commit}/status"
        seen = 0

        async def page(number: int) -> tuple[Sequence[_Status], bool]:
            nonlocal seen
            # Older ones answer for a commit without any with no content.
            answer = await self._checks.get_or(_Combined(), where, _Combined, about, limit=LIST_PAGE, page=number)
            found = answer.data.statuses or []
            seen += len(found)
            # Older ones give neither a Link header nor a total of more than this page.
            return found, answer.more or len(found) >= LIST_PAGE or answer.data.total_count > seen

        async with self._checks.bounded():
            try:
                statuses = await verdicts.all_of(about, page)
            except (ForgeNotFound, Rejected):
                await self._checks.get(alike.path(project), msgspec.Raw, str(project))  # this raises for the project
                return verdicts.NONE
        return verdicts.verdict(
            [
                outcome(_STATUSES.get(one.status, State.FAILED), one.context, one.target_url, one.description)
                for one in statuses
            ]
        )

    async def _send(self, what: pulls.Wanted) -> PullRequest:
        body = {"title": what.title, "head": what.branch, "base": what.base, "body": what.text}
        answer = await self._pulls.post(f"{alike.path(what.project)}/pulls", WirePull, what.about, body)
        return alike.pull(what.project, answer.data)

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
