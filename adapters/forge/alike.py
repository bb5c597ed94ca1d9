"""What GitHub and Gitea have in common: Gitea's interface was made after GitHub's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import msgspec

from adapters.forge import text
from adapters.forge.http import Http
from adapters.forge.refusals import Forbidden
from core.errors import ForgeNotFound
from core.model import IssueRef, ProjectRef
from core.ports import Comment, Issue, PullRequest

LAST_COMMENTS = 20
MAX_RECENT = 20
GHOST = "ghost"  # what the forges themselves call a deleted account

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class User(msgspec.Struct):
    """Only the name is of interest."""

    login: str = ""


class PullState(msgspec.Struct):
    """What marks an issue as a pull request. Gitea says `merged`, GitHub only when."""

    merged_at: str | None = None
    merged: bool | None = None


class WireIssue(msgspec.Struct):
    """An issue, or a pull request where the forge lists it as one."""

    number: int
    title: str
    state: str
    body: str | None = None
    user: User | None = None  # null for deleted accounts
    html_url: str | None = None
    comments: int | None = None
    updated_at: Moment | None = None
    pull_request: PullState | None = None


class WireRepository(msgspec.Struct):
    """Only which one it is."""

    id: int


class WireSide(msgspec.Struct):
    """The head or the base of a pull request. The branch is GitHub's `ref`, and Gitea's `label`: its `ref` becomes
    `refs/pull/…` when the branch is deleted. GitHub's labels have a colon, which no branch has.
    """

    ref: str = ""
    label: str = ""
    sha: str | None = None
    repo: WireRepository | None = None  # null where a fork was deleted


class WirePull(WireIssue):
    """A pull request where it is asked for as what it is."""

    merged_at: str | None = None
    merged: bool | None = None
    head: WireSide | None = None
    base: WireSide | None = None


class WireComment(msgspec.Struct):
    """What somebody wrote below it."""

    created_at: Moment
    body: str | None = None
    user: User | None = None


class Login:
    """Whose token it is, asked once."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._known: str | None = None

    async def get(self) -> str:
        """Empty without a token, and where the token is no person's or may not say whose it is."""
        if not self._http.server.token:
            return ""
        if self._known is None:
            try:
                self._known = (await self._http.get("user", User, "the user whose token it is")).data.login
            except (Forbidden, ForgeNotFound):
                self._known = ""
        return self._known


def path(project: ProjectRef) -> str:
    """Of the repository, below the interface's address."""
    return f"repos/{quote(project.owner, safe='')}/{quote(project.repo, safe='')}"


def issue(ref: IssueRef, wire: WireIssue, comments: Sequence[WireComment] = (), left_out: int = 0) -> Issue:
    """In the words of core; `ref` stays as it was asked for."""
    pull = wire.pull_request
    merged = pull is not None and bool(pull.merged or pull.merged_at)
    return Issue(
        ref,
        text.line(wire.title) or ref.tag,
        text.block(wire.body, text.MAX_TEXT),
        author(wire.user.login if wire.user else ""),
        "merged" if merged else "open" if wire.state == "open" else "closed",
        text.link(wire.html_url),
        tuple(comment(c.user.login if c.user else "", c.body, c.created_at) for c in comments),
        left_out,
        request=pull is not None,
    )


def pull(project: ProjectRef, wire: WirePull) -> PullRequest:
    """In the words of core."""
    merged = bool(wire.merged or wire.merged_at)
    return PullRequest(
        IssueRef(project, wire.number),
        text.line(wire.title) or f"#{wire.number}",
        text.link(wire.html_url),
        "merged" if merged else "open" if wire.state == "open" else "closed",
        (wire.head.sha if wire.head else None) or "",
    )


def own(wire: WirePull, branch: str) -> bool:
    """Whether it is of that branch of the project itself, and not of one that is called the same in a fork."""
    head, base = wire.head, wire.base
    if head is None or base is None or branch not in {head.ref, head.label}:
        return False
    return head.repo is not None and base.repo is not None and head.repo.id == base.repo.id


def comment(name: str | None, body: str | None, at: datetime) -> Comment:
    """In the words of core."""
    return Comment(author(name), text.block(body, text.MAX_COMMENT), at.astimezone(UTC))


def author(name: str | None) -> str:
    """Never empty."""
    return text.line(name, text.MAX_NAME) or GHOST


def assigned_first(assigned: Sequence[Issue], others: Sequence[Issue], limit: int) -> list[Issue]:
    """Each once."""
    seen = {issue.ref.number for issue in assigned}
    return [*assigned, *(issue for issue in others if issue.ref.number not in seen)][:limit]
