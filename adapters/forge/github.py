"""GitHub and GitHub Enterprise: https://docs.github.com/rest/issues, /pulls, /checks and /commits/statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec
from yarl import URL

from adapters.forge import alike, pulls, verdicts
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, PullState, WireComment, WireIssue, WirePull
from adapters.forge.http import Health, Http
from adapters.forge.refusals import Forbidden, Rejected, TooLarge
from adapters.forge.verdicts import Outcome, State, outcome
from core.errors import ForgeNotFound
from core.model import IssueRef, ProjectRef
from core.ports import Checks, Issue, PullRequest

LIST_PAGE = 50
MAX_LIST_PAGES = 3  # pull requests come among the issues; a page full of them is followed by another
RIGHT_TO_OPEN = "the permission “Pull requests: write” (a classic token: the scope `repo`)"
# Of a fine-grained token. GitHub does not offer it “Checks: read”, but “Actions: read” shows what Actions ran.
RIGHT_TO_CHECKS = "the permissions “Actions: read” and “Commit statuses: read” (a classic token: the scope `repo`)"
_GOOD = frozenset({"success", "neutral", "skipped"})
_STATUSES = {"success": State.PASSED, "pending": State.PENDING}  # others are failure and error


class _Output(msgspec.Struct):
    title: str | None = None
    summary: str | None = None


class _Run(msgspec.Struct):
    """A check run, or a workflow run of GitHub Actions."""

    status: str
    conclusion: str | None = None
    name: str | None = None
    html_url: str | None = None
    details_url: str | None = None
    display_title: str | None = None
    output: _Output | None = None


class _CheckRuns(msgspec.Struct):
    check_runs: list[_Run]


class _WorkflowRuns(msgspec.Struct):
    workflow_runs: list[_Run]


class _Status(msgspec.Struct):
    state: str
    context: str | None = None
    description: str | None = None
    target_url: str | None = None


class _Statuses(msgspec.Struct):
    statuses: list[_Status]


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
        self._pulls = http.telling(instead=pulls.INSTEAD, needs=RIGHT_TO_OPEN)
        self._checks = http.telling(instead=verdicts.INSTEAD, needs=RIGHT_TO_CHECKS)

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

    async def pull_request(self, project: ProjectRef, branch: str) -> PullRequest | None:
        """See the port. An open one counts among the last 50 of the branch."""
        async with self._pulls.bounded():
            answer = await self._pulls.get(
                f"{alike.path(project)}/pulls",
                list[WirePull],
                f"the pull requests of {project}",
                head=f"{project.owner}:{branch}",
                state="all",
                per_page=pulls.LIST_PAGE,
            )
        # A head that GitHub cannot make sense of is no filter; and an organisation may have forks of its own.
        found = [alike.pull(project, wire) for wire in answer.data if alike.own(wire, branch)]
        return next((pull for pull in found if pull.state == "open"), found[0] if found else None)

    async def open_pull_request(
        self, project: ProjectRef, branch: str, base: str, title: str, text: str, *, draft: bool = False
    ) -> PullRequest:
        """See the port."""
        what = pulls.wanted(project, branch, base, title, text, draft=draft)
        return await pulls.opened(self._pulls, what, self._send, self.pull_request)

    async def checks(self, project: ProjectRef, commit: str) -> Checks:
        """See the port: check runs and commit statuses. A commit not known there has none."""
        if not verdicts.is_commit(commit):
            return verdicts.NONE
        about = f"the checks of {commit[:12]} in {project}"
        where = f"{alike.path(project)}/commits/{commit}"
        async with self._checks.bounded():
            try:
                runs = await self._check_runs(f"{where}/check-runs", about)
            except Rejected as error:
                if error.status in {409, 422}:  # no such commit, or none at all; 404 is about the project
                    return verdicts.NONE
                raise
            except Forbidden:
                runs = await self._workflow_runs(project, commit, about)
            return verdicts.verdict([*runs, *await self._statuses(f"{where}/status", about)])

    async def health(self) -> Health:
        """Asks what costs nothing of the rate limit, and is refused to a token that is no good. Raises ForgeError."""
        async with self._http.bounded():
            try:
                left = (await self._http.get("rate_limit", _Limits, "its rate limit")).data.rate.remaining
            except ForgeNotFound:
                await self._http.get("meta", msgspec.Raw, "itself")  # where this is missing too, it is no GitHub
                left = None  # GitHub Enterprise with its rate limit switched off
            return Health(await self._login.get() if self._http.server.token else None, left)

    async def _send(self, what: pulls.Wanted) -> PullRequest:
        body: dict[str, object] = {"title": what.title, "head": what.branch, "base": what.base, "body": what.text}
        if what.draft:  # left out otherwise: GitHub Enterprise without drafts refuses the word
            body["draft"] = True
        answer = await self._pulls.post(f"{alike.path(what.project)}/pulls", WirePull, what.about, body)
        return alike.pull(what.project, answer.data)

    async def _check_runs(self, where: str, about: str) -> Sequence[Outcome]:
        async def page(number: int) -> tuple[Sequence[_Run], bool]:
            answer = await self._checks.get(where, _CheckRuns, about, filter="latest", per_page=LIST_PAGE, page=number)
            return answer.data.check_runs, answer.more

        return [_run(run) for run in await verdicts.all_of(about, page)]

    async def _workflow_runs(self, project: ProjectRef, commit: str, about: str) -> Sequence[Outcome]:
        async def page(number: int) -> tuple[Sequence[_Run], bool]:
            where = f"{alike.path(project)}/actions/runs"
            answer = await self._checks.get(
                where, _WorkflowRuns, about, head_sha=commit, per_page=LIST_PAGE, page=number
            )
            return answer.data.workflow_runs, answer.more

        return [_run(run) for run in await verdicts.all_of(about, page)]

    async def _statuses(self, where: str, about: str) -> Sequence[Outcome]:
        async def page(number: int) -> tuple[Sequence[_Status], bool]:
            answer = await self._checks.get(where, _Statuses, about, per_page=LIST_PAGE, page=number)
            return answer.data.statuses, answer.more

        return [
            outcome(_STATUSES.get(one.state, State.FAILED), one.context, one.target_url, one.description)
            for one in await verdicts.all_of(about, page)
        ]

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


def _run(run: _Run) -> Outcome:
    ended = State.PASSED if run.conclusion in _GOOD else State.FAILED  # also what nobody finished: stale
    state = ended if run.status == "completed" else State.PENDING
    output = run.output or _Output()
    return outcome(state, run.name, run.html_url or run.details_url, output.title or run.display_title, output.summary)
