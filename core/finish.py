"""Finishing the work: `commit`, `push`, `pr`. Each shows first what will happen, and does it when that is pressed.

What was shown is named in the button: where it has changed since, it is shown again instead of done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core import view_finish
from core.audience import Audience
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import ForgeError, KugetsuError, NothingToCommit, UsageError
from core.live import Complain
from core.model import Project, RunState, Session
from core.offers import Offers
from core.ports import PullRequest, Reply, Store, Work, Workspace
from core.projects import Projects
from core.pulls import Pulls
from core.turns import Turns

CONFIRM = "confirm"  # code of a reply that asks first


@dataclass(frozen=True, slots=True)
class _State:
    """What a command of these is about."""

    session: Session
    project: Project
    work: Work


class Finish:
    """git does the first two, the project's forge the third."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        projects: Projects,
        callers: Callers,
        turns: Turns,
        audience: Audience,
        offers: Offers,
        pulls: Pulls,
        complain: Complain,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._projects = projects
        self._callers = callers
        self._turns = turns
        self._audience = audience
        self._offers = offers
        self._pulls = pulls
        self._complain = complain
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "commit": self._commit,
            "push": self._push,
            "pr": self._pr,
        }

    # ── commit ─────────────────────────────────────────────────────────────────────────────────

    async def _commit(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        async with self._turns.alone(session):
            now = await self._state(session)
            if not now.work.uncommitted:
                raise NothingToCommit(f"{session.key.tag} has nothing to commit.", _next_after_commit(now))
            message = command.message or view_finish.commit_message(session)
            seen = await self._workspace.snapshot(session.directory, f"{session.slug}/commit")
            tree = await self._same_files(session, command.option("as"), seen)
            if not (command.option("yes") and tree):
                line = f"/commit --yes --as {seen} {session.key} -- {message}"
                offers = [await self._offers.make("Commit", line)]
                document = view_finish.will_commit(session, now.work.uncommitted, message, offers, changed=not tree)
                return Reply(document, ok=False, code=CONFIRM, data=_work_data(now))
            made = await self._workspace.commit(session.directory, message)
            after = await self._state(session)
        await self._audit(caller, session, "commit", made)
        offers = [await self._offers.make("Push…", f"/push {session.key}")] if after.work.remote else []
        return Reply(view_finish.committed(session, made, message, offers), data=_work_data(after) | {"commit": made})

    async def _same_files(self, session: Session, shown: str, now: str) -> bool:
        """Whether the files are those that were shown. Without having been shown any: what there is, is meant."""
        return not shown or not await self._workspace.changes(session.directory, shown, now)

    # ── push ───────────────────────────────────────────────────────────────────────────────────

    async def _push(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        async with self._turns.alone(session):
            now = await self._state(session)
            _must_have_remote(now)
            if not now.work.unpushed:
                raise UsageError(f"{session.key.tag} has nothing to push.", _next_after_push(now))
            seen = command.option("as") in {"", now.work.head}
            if not (command.option("yes") and seen):
                offers = [await self._offers.make("Push", f"/push --yes --as {now.work.head} {session.key}")]
                document = view_finish.will_push(session, now.work, offers, changed=not seen)
                return Reply(document, ok=False, code=CONFIRM, data=_work_data(now))
            await self._workspace.push(session.directory, session.branch, now.work.remote)
        await self._audit(caller, session, "push", now.work.head)
        request = await self._found(now)
        offers = [] if request else [await self._offers.make("Pull request…", f"/pr {session.key}")]
        self._pulls.look(session.key)
        data = _work_data(now) | {"url": request.url if request else ""}
        return Reply(view_finish.pushed(session, now.work, request, offers), data=data)

    async def _found(self, now: _State) -> PullRequest | None:
        """The open request of the branch, if the forge can be asked: the push is done, whatever it says."""
        forge = self._pulls.forge_of(now.project.ref)
        try:
            found = await forge.pull_request(now.project.ref, now.session.branch) if forge else None
        except ForgeError:
            return None
        return found if found and found.state == "open" else None

    # ── pull request ───────────────────────────────────────────────────────────────────────────

    async def _pr(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        forge = self._pulls.must_have_forge(session.key.ref.project)
        async with self._turns.alone(session):
            now = await self._state(session)
            _must_have_remote(now)
            found = await forge.pull_request(now.project.ref, session.branch)
            going = found if found and found.state == "open" else None
            if going and not now.work.unpushed:
                self._pulls.look(session.key)
                return Reply(view_finish.request_is_there(session, going), data=_request_data(session, going))
            if found and found.state == "merged" and not now.work.unpushed:
                self._pulls.look(session.key)
                return Reply(view_finish.request_over(session, found), data=_request_data(session, found))
            if not now.work.commits:
                raise UsageError(
                    f"{session.key.tag} has no commit that its base has not.",
                    f"`/commit {session.key}` first." if now.work.uncommitted else "There is nothing to merge.",
                )
            title, text = await self._described(session, command.message)
            base = now.project.base_branch or (await self._workspace.inspect(now.project)).branch
            seen = command.option("as") in {"", now.work.head}
            if not (command.option("yes") and seen):
                draft = "--draft " if command.option("draft") else ""
                words = f" -- {command.message}" if command.message else ""
                line = f"/pr --yes {draft}--as {now.work.head} {session.key}{words}"
                offers = [await self._offers.make("Push" if going else "Open it", line)]
                document = view_finish.will_open(session, now.work, base, title, text, offers, changed=not seen)
                return Reply(document, ok=False, code=CONFIRM, data=_work_data(now) | {"title": title, "text": text})
            if now.work.unpushed:
                await self._workspace.push(session.directory, session.branch, now.work.remote)
            request = going or await forge.open_pull_request(
                now.project.ref, session.branch, base, title, text, draft=bool(command.option("draft"))
            )
        await self._audit(caller, session, "pr", request.url)
        await self._pulls.follow(session.key, request)
        return Reply(view_finish.request_opened(session, request), data=_request_data(session, request))

    async def _described(self, session: Session, said: str) -> tuple[str, str]:
        """Title and text: what the person said, else the agent's last words, which sum up what it did."""
        runs = [run for run in await self._store.runs(session.key) if run.state is RunState.DONE and not run.undone]
        links = self._audience.links(await self._store.places(session.key), "")
        title, _, more = said.partition("\n")
        return title.strip() or view_finish.request_title(session), view_finish.request_text(
            session, more.strip() or (runs[-1].text if runs else ""), links
        )

    # ── small things ───────────────────────────────────────────────────────────────────────────

    async def _state(self, session: Session) -> _State:
        """Raises UsageError where there is no branch of the session's own."""
        if not session.branch:
            raise UsageError(
                f"{session.key} works in the project's own checkout, which has no branch for it.",
                "With `worktrees: true` for the project each session has one; here git itself does it.",
            )
        project = await self._projects.get(session.key.ref.project)
        return _State(session, project, await self._workspace.work(project, session.directory, session.branch))

    async def _audit(self, caller: Caller, session: Session, what: str, detail: str) -> None:
        try:
            await self._callers.audit(caller, what, session.key.key, detail)
        except KugetsuError as error:  # it is done, and what was done must be said
            self._complain(f"the {what} of {session.key} could not be recorded", error)


def _must_have_remote(now: _State) -> None:
    if not now.work.remote:
        raise UsageError(
            f"The checkout of {now.project.ref} has no remote to push to.",
            f"In {now.project.path}: `git remote add origin <url>`.",
        )


def _next_after_commit(now: _State) -> str:
    return f"`/push {now.session.key}` pushes what is committed." if now.work.unpushed else "Everything is pushed, too."


def _next_after_push(now: _State) -> str:
    if now.work.uncommitted:
        return f"{view_finish.files(len(now.work.uncommitted))} not committed: `/commit {now.session.key}`."
    return f"`/pr {now.session.key}` opens a pull request." if now.work.commits else "It has no commits of its own yet."


def _work_data(now: _State) -> dict[str, object]:
    work = now.work
    return {
        "ref": str(now.session.key),
        "branch": now.session.branch,
        "head": work.head,
        "uncommitted": [change.path for change in work.uncommitted],
        "commits": [*work.commits],
        "unpushed": [*work.unpushed],
    }


def _request_data(session: Session, request: PullRequest) -> dict[str, object]:
    return {"ref": str(session.key), "url": request.url, "number": request.ref.number, "state": request.state}
