"""GitHub and GitHub Enterprise: https://docs.github.com/rest/issues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec
from yarl import URL

from adapters.forge import alike
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, PullState, WireComment, WireIssue
from adapters.forge.http import Health, Http
from adapters.forge.refusals import TooLarge
from core.errors import ForgeNotFound
from core.model import IssueRef, ProjectRef
from core.ports import Issue

LIST_PAGE = 50
MAX_LIST_PAGES = 3  # pull requests come among the issues; a page full of them is followed by another


class WirePull(WireIssue):
    """Where it is asked for as what it is."""

    merged_at: str | None = None


class _Limit(msgspec.Struct):
    remaining: int


class _Limits(msgspec.Struct):
    rate: _Limit


def headers(token: str) -> Mapping[str, str]:
    """What goes with every call."""
    always = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return {**always, "Authorization": f"Bearer {token}"} if token else always


class GitHub:
    """A `core.ports.Forge`. Issues and pull requests share their numbers."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._login = alike.Login(http)

    async def issue(self, ref: IssueRef) -> Issue:
        """See the port."""
        repository = alike.path(ref.project)
        async with self._http.bounded():
            try:
                answer = await self._http.get(f"{repository}/issues/{ref.number}", WireIssue, str(ref))
            except ForgeNotFound as missing:
                # Where issues are switched off, pull requests are still there.
                return await self._pull(ref, repository, missing)
            comments, left_out = await self._comments(answer.url / "comments", answer.data.comments, ref)
            return alike.issue(ref, answer.data, comments, left_out)

    async def recent(self, project: ProjectRef, limit: int) -> list[Issue]:
        """See the port; at most 20. Pull requests are left out."""
        limit = min(limit, MAX_RECENT)
        if limit <= 0:
            return []
        async with self._http.bounded():
            login = await self._login.get()
            assigned = await self._open(project, limit, assignee=login) if login else []
            others = await self._open(project, limit) if len(assigned) < limit else []
            return alike.assigned_first(assigned, others, limit)

    async def health(self) -> Health:
        """Asks what costs nothing of the rate limit, and is refused to a token that is no good. Raises ForgeError."""
        async with self._http.bounded():
            try:
                left = (await self._http.get("rate_limit", _Limits, "its rate limit")).data.rate.remaining
            except ForgeNotFound:
                await self._http.get("meta", msgspec.Raw, "itself")  # where this is missing too, it is no GitHub
                left = None  # GitHub Enterprise with its rate limit switched off
            return Health(await self._login.get() if self._http.server.token else None, left)

    async def _pull(self, ref: IssueRef, repository: str, missing: ForgeNotFound) -> Issue:
        try:
            answer = await self._http.get(f"{repository}/pulls/{ref.number}", WirePull, str(ref))
        except ForgeNotFound:
            raise missing from None
        wire = answer.data
        wire.pull_request = PullState(merged_at=wire.merged_at)
        below = answer.url.parent.parent / "issues" / str(ref.number) / "comments"
        comments, left_out = await self._comments(below, None, ref)
        return alike.issue(ref, wire, comments, left_out)

    async def _comments(self, url: URL, count: int | None, ref: IssueRef) -> tuple[Sequence[WireComment], int]:
        """The last ones, and how many came before. GitHub lists them oldest first and knows no other order.

        `count` only says where the last page should be; None is not known.
        """
        if count == 0:
            return (), 0
        about = f"the comments of {ref}"
        page = max(1, ceil((count or 0) / LAST_COMMENTS))
        try:
            answer = await self._http.get(url, list[WireComment], about, per_page=LAST_COMMENTS, page=page)
            if answer.last_page > page:
                page = answer.last_page
                answer = await self._http.get(url, list[WireComment], about, per_page=LAST_COMMENTS, page=page)
            shown = answer.data
            total = (page - 1) * LAST_COMMENTS + len(shown)
            if page > 1 and len(shown) < LAST_COMMENTS:
                earlier = await self._http.get(url, list[WireComment], about, per_page=LAST_COMMENTS, page=page - 1)
                shown = [*earlier.data, *shown][-LAST_COMMENTS:]
        except TooLarge:
            return (), count or 1
        return shown, total - len(shown)

    async def _open(self, project: ProjectRef, limit: int, **only: str) -> list[Issue]:
        found: list[WireIssue] = []
        for page in range(1, MAX_LIST_PAGES + 1):
            answer = await self._http.get(
                f"{alike.path(project)}/issues",
                list[WireIssue],
                f"the issues of {project}",
                state="open",
                sort="updated",
                direction="desc",
                per_page=LIST_PAGE,
                page=page,
                **only,
            )
            found += [wire for wire in answer.data if wire.pull_request is None]
            if len(found) >= limit or len(answer.data) < LIST_PAGE:
                break
        return [alike.issue(IssueRef(project, wire.number), wire) for wire in found[:limit]]
