"""Commands that end, tidy up or move sessions: prune, destroy, archive, export, import."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from core import view_life
from core.adoption import Adoption
from core.audience import Audience
from core.callers import Caller, Callers
from core.census import Census, Remedy
from core.commands import Command
from core.ending import Ending
from core.errors import Busy, NotAllowed, UsageError
from core.model import Document, RunState
from core.offers import Offers
from core.ports import Clock, Reply, Store
from core.records import session_data
from core.run import Runs
from core.transfer import Transfer


class Upkeep:
    """One method a command; each asks before anything is lost."""

    def __init__(
        self,
        store: Store,
        callers: Callers,
        runs: Runs,
        ending: Ending,
        census: Census,
        adoption: Adoption,
        transfer: Transfer,
        audience: Audience,
        offers: Offers,
        clock: Clock,
    ) -> None:
        self._store = store
        self._callers = callers
        self._runs = runs
        self._ending = ending
        self._census = census
        self._adoption = adoption
        self._transfer = transfer
        self._audience = audience
        self._offers = offers
        self._clock = clock
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "prune": self._prune,
            "destroy": self._destroy,
            "archive": self._archive,
            "export": self._export,
            "import": self._import,
        }

    async def _prune(self, command: Command, caller: Caller) -> Reply:
        del caller
        forced = bool(command.option("force"))
        found = await self._census.settle(remove=forced)
        lines = [("report", said) for said in await self._adoption.pick_up()]
        lines += [
            ("removed" if forced and finding.remedy is Remedy.REMOVE else finding.remedy.value, finding.text)
            for finding in found
        ]
        waiting = not forced and any(finding.remedy is Remedy.REMOVE for finding in found)
        offers = (await self._offers.make("Remove them", "/prune --force"),) if waiting else ()
        data = [{"remedy": remedy, "text": text} for remedy, text in lines]
        document = view_life.census(lines, offers)
        if waiting:
            document = Document(f"{document.markdown}\n`/prune --force` removes what can be removed.", offers)
        return Reply(document, data=data)

    async def _destroy(self, command: Command, caller: Caller) -> Reply:
        if command.option("base"):
            return await self._destroy_base(command, caller)
        session = await self._callers.meant(command, caller)
        force = bool(command.option("force"))
        if not (command.option("yes") or force):
            stake = await self._ending.stake(session)
            words = "--force" if stake else "--yes"
            offers = (await self._offers.make("Destroy it", f"/destroy {words} {session.key}"),)
            return Reply(view_life.will_destroy(session, stake, offers), ok=False, code="confirm")
        for run in await self._store.unfinished_runs(session.key):
            if run.state is RunState.QUEUED:
                await self._store.save_run(replace(run, state=RunState.STOPPED, ended=self._clock.now()))
        await self._runs.stop(session.key)
        if not force and (stake := await self._ending.stake(session)):
            raise NotAllowed(view_life.at_stake(session, stake), f"`/destroy {session.key} --force` loses it.")
        await self._audience.tell(session.key, view_life.destroyed(session))
        places = await self._store.places(session.key)
        await self._ending.destroy(session, force=force)
        await self._audience.ended(session, places)
        await self._callers.audit(caller, "destroy", str(session.key))
        return Reply(view_life.destroyed(session), data=session_data(session, []))

    async def _destroy_base(self, command: Command, caller: Caller) -> Reply:
        project = await self._callers.project_meant(command.message, caller)
        if not (command.option("yes") or command.option("force")):
            line = f"/destroy --base --yes {project.ref}"
            raise UsageError(f"This deletes the base session of {project.ref}; its forks stay.", f"`{line}` does it.")
        base = await self._ending.destroy_base(project)
        await self._callers.audit(caller, "destroy base", str(project.ref))
        return Reply(view_life.base_destroyed(project), data={"project": str(project.ref), "session": base.agent_id})

    async def _archive(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        if await self._store.unfinished_runs(session.key):
            raise Busy(f"{session.key} is at work.", f"Wait for the end, or `/stop {session.key}`.")
        archived = await self._ending.archive(session)
        await self._callers.audit(caller, "archive", str(session.key))
        return Reply(view_life.archived(archived), data=session_data(archived, []))

    async def _export(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        folder = caller.inbound.directory
        if folder is None:
            raise UsageError("An export is written where you stand.", f"In a terminal: `kugetsu export {session.key}`.")
        file = await self._transfer.export(session, folder)
        await self._callers.audit(caller, "export", str(session.key))
        return Reply(view_life.exported(session, file), data={"ref": str(session.key), "file": str(file)})

    async def _import(self, command: Command, caller: Caller) -> Reply:
        folder = caller.inbound.directory
        if folder is None:
            raise UsageError("A file is imported from where you stand.", "In a terminal: `kugetsu import FILE`.")
        session = await self._transfer.bring_in(folder / Path(command.message).expanduser())
        await self._callers.audit(caller, "import", str(session.key))
        return Reply(view_life.imported(session), data=session_data(session, []))
