"""GitLab: https://docs.gitlab.com/api/issues, /merge_requests, /notes, /pipelines and /jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from yarl import URL

from adapters.forge import alike, pulls, text, verdicts
from adapters.forge.alike import LAST_COMMENTS, MAX_RECENT, Moment
from adapters.forge.http import Health, Http
from adapters.forge.refusals import TooLarge
from adapters.forge.verdicts import Outcome, State, outcome
from core.model import IssueRef, ProjectRef
from core.ports import Checks, Issue, PullRequest

NOTES_PAGE = 50
MAX_NOTES_PAGES = 5  # what GitLab itself notes ("added 3 commits") comes among the comments
_CLOSED = frozenset({"closed", "merged"})  # others are opened, reopened, and locked while it is being merged
DRAFT = "Draft: "
RIGHT_TO_OPEN = "the scope `api` and the role Developer"
RIGHT_TO_CHECKS = "the scope `read_api` and the role Reporter"
PIPELINES_PAGE = 20
MAX_PIPELINES = 3  # that are looked into: one of the branch, one of its merge request
JOBS_PAGE = 50
# `manual` waits for a person, and nothing else runs on its own. Others than these are pending in some way.
_ENDED = {
    "success": State.PASSED,
    "skipped": State.PASSED,
    "manual": State.PASSED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
}


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


class WireRequest(WireIssue):
    """A merge request where it is listed."""

    source_branch: str = ""
    source_project_id: int | None = None  # null where a fork was deleted
    target_project_id: int | None = None
    sha: str | None = None


class _Pipeline(msgspec.Struct):
    id: int
    status: str
    ref: str | None = None
    web_url: str | None = None


class _Job(msgspec.Struct):
    name: str
    status: str
    stage: str | None = None
    web_url: str | None = None
    failure_reason: str | None = None
    allow_failure: bool = False


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
        self._pulls = http.telling(instead=pulls.INSTEAD, needs=RIGHT_TO_OPEN)
        self._checks = http.telling(instead=verdicts.INSTEAD, needs=RIGHT_TO_CHECKS)

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

    async def pull_request(self, project: ProjectRef, branch: str) -> PullRequest | None:
        """See the port; among the last 500 of branches of that name, forks included."""

        async def page(state: str, number: int) -> tuple[Sequence[PullRequest], bool]:
            answer = await self._pulls.get(
                f"{_path(project)}/merge_requests",
                list[WireRequest],
                f"the merge requests of {project}",
                source_branch=branch,
                state=state,
                scope="all",
                order_by="created_at",
                sort="desc",
                per_page=pulls.LIST_PAGE,
                page=number,
            )
            found = [_request(project, wire) for wire in answer.data if _own(wire, branch)]
            return found, answer.more

        async with self._pulls.bounded():
            return await pulls.newest(("opened", "all"), page)

    async def open_pull_request(
        self, project: ProjectRef, branch: str, base: str, title: str, text: str, *, draft: bool = False
    ) -> PullRequest:
        """See the port. A draft is one by the beginning of its title."""
        what = pulls.wanted(project, branch, base, title, text, draft=draft, prefix=DRAFT, noun="merge request")
        return await pulls.opened(self._pulls, what, self._send, self.pull_request)

    async def checks(self, project: ProjectRef, commit: str) -> Checks:
        """See the port: the jobs of the newest pipelines. A commit not known there has none."""
        if not verdicts.is_commit(commit):
            return verdicts.NONE
        about = f"the pipelines of {commit[:12]} in {project}"
        async with self._checks.bounded():
            answer = await self._checks.get(
                f"{_path(project)}/pipelines",
                list[_Pipeline],
                about,
                sha=commit,
                order_by="id",
                sort="desc",
                per_page=PIPELINES_PAGE,
            )
            newest: dict[str | None, _Pipeline] = {}
            for pipeline in answer.data:  # one started again takes the place of the one before
                newest.setdefault(pipeline.ref, pipeline)
            outcomes: list[Outcome] = []
            for pipeline in list(newest.values())[:MAX_PIPELINES]:
                outcomes += await self._outcomes(project, pipeline)
        return verdicts.verdict(outcomes)

    async def _send(self, what: pulls.Wanted) -> PullRequest:
        body = {
            "title": what.title,
            "source_branch": what.branch,
            "target_branch": what.base,
            "description": what.text,
        }
        answer = await self._pulls.post(f"{_path(what.project)}/merge_requests", WireRequest, what.about, body)
        return _request(what.project, answer.data)

    async def _outcomes(self, project: ProjectRef, pipeline: _Pipeline) -> Sequence[Outcome]:
        """Of its jobs. The pipeline itself is one more where they do not explain its state."""
        about = f"the jobs of pipeline {pipeline.id} in {project}"

        async def page(number: int) -> tuple[Sequence[_Job], bool]:
            where = f"{_path(project)}/pipelines/{pipeline.id}/jobs"
            answer = await self._checks.get(where, list[_Job], about, per_page=JOBS_PAGE, page=number)
            return answer.data, answer.more

        whole = _ENDED.get(pipeline.status, State.PENDING)
        found = [_outcome(job, whole) for job in await verdicts.all_of(about, page)]
        if whole not in {one.state for one in found}:  # jobs of another pipeline, or of another service
            found.append(outcome(whole, f"pipeline {pipeline.id}", pipeline.web_url, pipeline.status))
        return found

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


def _own(wire: WireRequest, branch: str) -> bool:
    same = wire.source_project_id is not None and wire.source_project_id == wire.target_project_id
    return same and wire.source_branch == branch


def _request(project: ProjectRef, wire: WireRequest) -> PullRequest:
    return PullRequest(
        IssueRef(project, wire.iid, merge_request=True),
        text.line(wire.title) or f"!{wire.iid}",
        text.link(wire.web_url),
        wire.state if wire.state in _CLOSED else "open",
        wire.sha or "",
    )


def _outcome(job: _Job, pipeline: State) -> Outcome:
    """A job fails or delays no more than its pipeline does: it may be allowed to."""
    state = _ENDED.get(job.status, State.PENDING)
    if state is State.PENDING and pipeline is not State.PENDING:
        state = State.PASSED  # created, but never to run
    if state is State.FAILED and (job.allow_failure or pipeline is State.PASSED):
        state = State.PASSED
    said = (job.failure_reason or job.status).replace("_", " ")
    return outcome(state, job.name, job.web_url, f"stage {job.stage}: {said}" if job.stage else said)
