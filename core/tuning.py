"""How a session works and how much a place shows: model, agent, compact, verbosity."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from core import view_steer
from core.audience import Audience
from core.callers import Caller, Callers
from core.commands import Command
from core.errors import NotFound, UsageError
from core.model import Button, Document, Session, Verbosity
from core.offers import Offers
from core.ports import AgentModel, AgentPort, Reply, Store
from core.run_state import Choices
from core.standing import FOR_GOOD, runs_of, taken_back
from core.turns import Turns

DEFAULT = "default"  # takes a choice back
MOST = 8  # buttons: more do not fit a phone's screen


class Tuning:
    """What was chosen holds from the next prompt on."""

    def __init__(
        self,
        store: Store,
        agent: AgentPort,
        turns: Turns,
        callers: Callers,
        audience: Audience,
        offers: Offers,
        choices: Choices,
        retry: Callable[[Caller, Session], Awaitable[Reply]],
    ) -> None:
        """`retry` runs the session's last prompt again."""
        self._store = store
        self._agent = agent
        self._turns = turns
        self._callers = callers
        self._audience = audience
        self._offers = offers
        self._choices = choices
        self._retry = retry
        self.commands: dict[str, Callable[[Command, Caller], Awaitable[Reply]]] = {
            "model": self._model,
            "agent": self._agent_chosen,
            "compact": self._compact,
            "verbosity": self._verbosity,
        }

    # ── model and agent ────────────────────────────────────────────────────────────────────────

    async def _model(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        known = await self._agent.models(session.directory)
        word, _, variant = command.message.partition(" ")
        variant = command.option("variant") or variant.strip()
        if not word and not variant:
            return await self._models(session, known, known)
        if word.lower() == DEFAULT:
            return await self._set_model(session, caller, "", "", known)
        found = _matching(known, word) if word else _matching(known, await self._model_now(session))
        if not found:
            raise NotFound(f"opencode has no model `{word[:60]}` here.", _nearest(word, [model.id for model in known]))
        if len(found) > 1:
            return await self._models(session, known, found)
        [model] = found
        if variant and variant not in model.variants:
            there = ", ".join(f"`{name}`" for name in model.variants) or "none"
            raise NotFound(f"{model.id} has no variant `{variant[:40]}`.", f"There are: {there}.")
        return await self._set_model(session, caller, model.id, variant, known)

    async def _model_now(self, session: Session) -> str:
        """What the next prompt would go to."""
        return self._choices.model_of(session) or await self._agent.default_model(session.directory)

    async def _models(self, session: Session, known: Sequence[AgentModel], shown: Sequence[AgentModel]) -> Reply:
        now = await self._model_now(session)
        # First what is closest to the one in use: its variants, then its provider's.
        current = next((model for model in known if model.id == now), None)
        near = sorted(shown, key=lambda model: model.id.partition("/")[0] != now.partition("/")[0])
        buttons: list[Button] = []
        if current and len(shown) == len(known):
            for variant in current.variants[:3]:
                line = f"/model --variant {variant} {session.key} {current.id}"
                buttons.append(await self._offers.make(f"{current.name} · {variant}", line))
        others = [model for model in near if model.id != now][: MOST - len(buttons)]
        buttons += [await self._offers.make(model.name, f"/model {session.key} {model.id}") for model in others]
        data = {
            "ref": str(session.key),
            "model": now,
            "variant": session.variant,
            "models": [{"id": m.id, "name": m.name, "context": m.context, "variants": [*m.variants]} for m in shown],
        }
        return Reply(view_steer.models(session, now, current, shown, buttons), data=data)

    async def _set_model(
        self, session: Session, caller: Caller, model: str, variant: str, known: Sequence[AgentModel]
    ) -> Reply:
        session = await self._changed(session, lambda now: replace(now, model=model, variant=variant))
        await self._callers.audit(caller, f"model {model or DEFAULT} {variant}".strip(), session.key.key)
        now = await self._model_now(session)
        chosen = next((each for each in known if each.id == now), None)
        variants = chosen.variants[:MOST] if model and chosen and not variant else ()
        buttons = [await self._offers.make(name, f"/model --variant {name} {session.key} {model}") for name in variants]
        data = {"ref": str(session.key), "model": now, "variant": variant}
        going = await self._is_at_work(session)
        return Reply(view_steer.model_set(session, now, buttons, going=going, default=not model), data=data)

    async def _agent_chosen(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.meant(command, caller)
        known = await self._agent.agents(session.directory)
        if not command.message:
            now = self._choices.agent_of(session)
            buttons = [
                await self._offers.make(agent.name, f"/agent {session.key} {agent.name}")
                for agent in known[:MOST]
                if agent.name != now
            ]
            data = {"ref": str(session.key), "agent": now, "agents": [agent.name for agent in known]}
            return Reply(view_steer.agents(session, now, known, buttons), data=data)
        name = command.message.strip()
        chosen = next((agent.name for agent in known if agent.name.lower() == name.lower()), None)
        if chosen is None and name.lower() != DEFAULT:
            raise NotFound(f"opencode has no agent `{name[:60]}`.", _nearest(name, [agent.name for agent in known]))
        session = await self._changed(session, lambda now: replace(now, agent=chosen or ""))
        await self._callers.audit(caller, f"agent {chosen or DEFAULT}", session.key.key)
        data = {"ref": str(session.key), "agent": session.agent}
        return Reply(view_steer.agent_set(session, going=await self._is_at_work(session)), data=data)

    async def _changed(self, session: Session, change: Callable[[Session], Session]) -> Session:
        return await self._store.change_session(session.key, change) or session

    async def _is_at_work(self, session: Session) -> bool:
        return bool(await self._store.unfinished_runs(session.key))

    # ── context ────────────────────────────────────────────────────────────────────────────────

    async def _compact(self, command: Command, caller: Caller) -> Reply:
        session = await self._callers.at_work(command, caller)

        async def end() -> None:
            await self._agent.stop(session.agent_id, session.directory)

        async with self._turns.alone(session, end):
            await self._audience.tell(session.key, Document(view_steer.compacting(session)))
            await self._agent.compact(session.agent_id, session.directory, await self._model_now(session))
            # The summary is of what stands; nothing can be put behind it that was taken back before.
            for run in taken_back(runs_of(session, await self._store.runs(session.key))):
                await self._store.change_run(run.id, lambda was: replace(was, undone=FOR_GOOD))
        await self._callers.audit(caller, "compact", session.key.key)
        if command.option("retry"):
            return await self._retry(caller, session)
        return Reply(view_steer.compacted(session), data={"ref": str(session.key)})

    # ── places ─────────────────────────────────────────────────────────────────────────────────

    async def _verbosity(self, command: Command, caller: Caller) -> Reply:
        place = caller.inbound.place
        if await self._store.session_at(place) is None:
            raise UsageError("No session is shown here.", "`/watch` shows one.")
        if command.message:
            try:
                wanted = Verbosity(command.message.lower())
            except ValueError:
                levels = ", ".join(f"`{level}`" for level in Verbosity)
                raise UsageError(f"There is no verbosity `{command.message[:40]}`.", f"There are {levels}.") from None
            await self._audience.set_verbosity(place, wanted)
            return Reply(view_steer.verbosity_set(wanted), data={"verbosity": wanted.value})
        now = await self._store.verbosity(place)
        buttons = [await self._offers.make(level.value, f"/verbosity {level}") for level in Verbosity if level != now]
        return Reply(view_steer.verbosity(now, buttons), data={"verbosity": now.value})


def _matching(known: Sequence[AgentModel], words: str) -> list[AgentModel]:
    """The one of that name, else all that have the words in them."""
    wanted = words.lower()
    exact = [model for model in known if wanted in {model.id.lower(), model.id.lower().partition("/")[2]}]
    return exact or [model for model in known if wanted in model.id.lower() or wanted in model.name.lower()]


def _nearest(word: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(word[:60], names, n=3, cutoff=0.4) or names[:3]
    return "There are " + ", ".join(f"`{name}`" for name in close) + (" and others." if len(names) > 3 else ".")
