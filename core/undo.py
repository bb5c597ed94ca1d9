"""`undo` and `redo`: a run taken back and brought again, its files from the snapshots around it, its part of the
conversation by the agent.

The files as they were are kept and noted before anything is touched, and what is done is noted last: after a crash the
same message means the same run, and doing it again goes on with what was begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core import view_steer
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import UsageError
from core.model import MessageId, Run, RunId, Session
from core.offers import Offers
from core.ports import MADE, AgentPort, AgentRun, Known, Operation, Reply, Store, Workspace, source_of
from core.standing import FOR_GOOD, first_taken_back, last_standing, runs_of, taken_back
from core.turns import Turns

UNDONE, REDONE = "undone", "redone"  # kinds of operation, and what the snapshots before them are called


class Undo:
    """The last run that stands, and the first that was taken back."""

    def __init__(
        self, store: Store, agent: AgentPort, workspace: Workspace, turns: Turns, callers: Callers, offers: Offers
    ) -> None:
        self._store = store
        self._agent = agent
        self._workspace = workspace
        self._turns = turns
        self._callers = callers
        self._offers = offers
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "undo": self._undo,
            "redo": self._redo,
        }

    async def _undo(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        async with self._turns.alone(session):
            runs = runs_of(session, await self._store.runs(session.key))
            run = await self._meant(command, caller, runs, last_standing)
            if run.undone:
                raise UsageError(f"Run {run.number} was taken back already.", "`/redo` brings it again.")
            await self._must_be_possible(session, run)
            operation = await self._begun(UNDONE, session, run)
            now = str(operation.data["files"])
            changes = await self._workspace.changes(session.directory, run.snapshot_before, now)
            if await self._is_known(session, run):
                await self._agent.revert(session.agent_id, session.directory, run.message_id)
            # After the conversation: the agent may bring files of its own memory along with it.
            moved = await self._workspace.rewind(session.directory, run.snapshot_before)
            for earlier in runs:
                if earlier.undone and earlier.number < run.number:
                    await self._store.change_run(earlier.id, lambda was: replace(was, undone=FOR_GOOD))
            await self._store.change_run(run.id, lambda was: replace(was, undone=now))
            await self._store.end(operation)
        await self._callers.audit(caller, "undo", session.key.key, f"run {run.number}")
        offers = (await self._offers.make("Redo", f"/redo --run {run.number} {session.key}"),)
        return Reply(view_steer.undone(session, run, changes, offers, moved=moved), data=_data(session, run))

    async def _redo(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)
        async with self._turns.alone(session):
            runs = runs_of(session, await self._store.runs(session.key))
            run = await self._meant(command, caller, runs, first_taken_back)
            if not run.undone:
                raise UsageError(f"Run {run.number} was brought back already.", "`/undo` takes it back.")
            await self._must_be_possible(session, run)
            # What was done by hand since then is not lost without a trace.
            operation = await self._begun(REDONE, session, run)
            since = await self._first_known(session, [each for each in taken_back(runs) if each.number > run.number])
            await self._agent.revert(session.agent_id, session.directory, since)
            await self._workspace.rewind(session.directory, run.undone)
            await self._store.change_run(run.id, lambda was: replace(was, undone=""))
            await self._store.end(operation)
        await self._callers.audit(caller, "redo", session.key.key, f"run {run.number}")
        offers = (await self._offers.make("Undo", f"/undo --run {run.number} {session.key}"),)
        return Reply(view_steer.redone(session, run, offers), data=_data(session, run))

    async def _meant(
        self, command: Command, caller: Caller, runs: Sequence[Run], choose: Callable[[Sequence[Run]], Run]
    ) -> Run:
        """The run, noted before it is touched: the same message after a crash must not mean another one.

        Raises NotFound, UsageError.
        """
        source = source_of(caller.row)
        noted = await self._store.open_operations(kind=MADE, subject=source) if source else []
        if noted and (again := next((run for run in runs if run.id == RunId(int(noted[0].data["run"]))), None)):
            return again
        wanted = command.option("run").lstrip("#")
        run = next((run for run in runs if str(run.number) == wanted), None) if wanted else choose(runs)
        if run is None or (bool(run.undone) is (choose is first_taken_back) and run is not choose(runs)):
            raise UsageError(
                f"That is not the turn of run {wanted[:20]}.",
                f"First comes run {choose(runs).number}, without `--run`.",
            )
        if source:
            await self._store.begin(MADE, source, {"run": run.id})
        return run

    async def _begun(self, kind: str, session: Session, run: Run) -> Operation:
        """With the files as they are, unless it was begun before: what that has touched must not pass for the run's."""
        again: Operation | None = None
        for left in await self._store.open_operations(subject=session.key.key):
            if left.kind == kind and left.data["run"] == run.id:
                again = left
            elif left.kind in {UNDONE, REDONE}:
                await self._store.end(left)
        name = f"{session.slug}/{run.number}/{kind}{'-again' if again else ''}"
        files = await self._workspace.snapshot(session.directory, name)
        return again or await self._store.begin(kind, session.key.key, {"run": run.id, "files": files})

    async def _is_known(self, session: Session, run: Run) -> bool:
        """Whether its prompt is in the conversation: one that failed early may never have come there."""
        if not run.message_id:
            return False
        sent = AgentRun(session.agent_id, session.directory, run.message_id, run.prompt)
        return await self._agent.lookup(sent) is not Known.ABSENT

    async def _first_known(self, session: Session, runs: Sequence[Run]) -> MessageId | None:
        for run in runs:
            if await self._is_known(session, run):
                return run.message_id
        return None

    async def _must_be_possible(self, session: Session, run: Run) -> None:
        """Raises UsageError."""
        if not run.snapshot_before:
            raise UsageError(f"The files before run {run.number} were not recorded.", "git may still help you there.")
        if session.branch or run.started is None:
            return
        for other in await self._store.sessions():
            if other.directory != session.directory or other.key.key == session.key.key:
                continue
            if any(each.started and each.started > run.started for each in await self._store.runs(other.key)):
                raise UsageError(
                    f"{other.key.tag} has worked in the same checkout since run {run.number}.",
                    "With `worktrees: true` each session would have its own.",
                )


def _data(session: Session, run: Run) -> dict[str, object]:
    return {"ref": str(session.key), "run": run.number}
