"""Pull requests, as far as all kinds have them in common: found among many, and opened once whatever the answer is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from adapters.forge import text
from adapters.forge.http import Http
from adapters.forge.refusals import Rejected, Unsure
from core.errors import ForgeError, PullRequestExists
from core.model import ProjectRef
from core.ports import PullRequest

INSTEAD = "open it in the browser"
LIST_PAGE = 50  # the most Gitea gives as installed; with GitHub, 50 of the largest are 2 MB
MAX_PAGES = 10
MAX_TITLE = 255  # characters; GitHub takes 256
MAX_TEXT = 60_000  # characters; GitHub takes 65,536, the others more


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be opened, in the form it is sent; `noun` is what the forge calls it."""

    project: ProjectRef
    branch: str
    base: str
    title: str
    text: str
    draft: bool
    noun: str = "pull request"

    @property
    def about(self) -> str:
        """For errors."""
        return f"a {self.noun} for `{text.line(self.branch, 100)}` of {self.project}"


def wanted(
    project: ProjectRef,
    branch: str,
    base: str,
    title: str,
    body: str,
    *,
    draft: bool,
    prefix: str = "",
    noun: str = "pull request",
) -> Wanted:
    """Cut to what forges take. `prefix` is what marks a draft, where the title does."""
    title = text.line(title, MAX_TITLE)
    if draft and not title.casefold().startswith(prefix.casefold()):
        title = text.line(f"{prefix}{title}", MAX_TITLE)
    return Wanted(project, branch, base, title, text.block(body, MAX_TEXT), draft, noun)


async def newest(
    states: Sequence[str], page: Callable[[str, int], Awaitable[tuple[Sequence[PullRequest], bool]]]
) -> PullRequest | None:
    """The first that a page of a state has; the bool of `page` is whether another one follows."""
    for state in states:
        for number in range(1, MAX_PAGES + 1):
            found, more = await page(state, number)
            if found:
                return found[0]
            if not more:
                break
    return None


async def opened(
    http: Http,
    what: Wanted,
    send: Callable[[Wanted], Awaitable[PullRequest]],
    look: Callable[[ProjectRef, str], Awaitable[PullRequest | None]],
) -> PullRequest:
    """What `send` makes, or made without our hearing of it. Raises PullRequestExists when there is another."""
    try:
        async with http.bounded():
            return await send(what)
    except Unsure as error:
        return await _made(what, error, look)
    except Rejected as error:
        # Gitea and GitLab say 409, for nothing else and perhaps in another language; GitHub says 422 for everything.
        if error.status != 409 and "already exists" not in error.said.lower():
            raise
        raise await _exists(http, what, look) from error


async def _made(
    what: Wanted, error: Unsure, look: Callable[[ProjectRef, str], Awaitable[PullRequest | None]]
) -> PullRequest:
    try:
        found = await look(what.project, what.branch)
    except ForgeError:
        raise Unsure(
            f"{error}; whether {what.about} was opened cannot be told", "Look in the browser before you try again"
        ) from error
    if found and found.state == "open" and found.title == what.title:
        return found
    raise Unsure(f"{error}; {what.about} is not there so far", error.hint) from error


async def _exists(
    http: Http, what: Wanted, look: Callable[[ProjectRef, str], Awaitable[PullRequest | None]]
) -> PullRequestExists:
    said = f"{http.server.instance} has {what.about} already"
    try:
        found = await look(what.project, what.branch)
    except ForgeError:
        found = None  # the answer stands without its number
    if found is None or found.state != "open":
        return PullRequestExists(said, "Look for it in the browser")
    return PullRequestExists(f"{said}: {found.ref.tag} “{found.title}”", found.url or "Look for it in the browser")
