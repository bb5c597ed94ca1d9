"""The steering rows' stage: people in Telegram chats and bare sessions, on one real opencode whose events are heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import telegram_model
from benchmarks.agent_events import AgentEvents, BareSession
from benchmarks.opencode import served
from benchmarks.repository import make_repository
from benchmarks.steering_changes import write_script
from benchmarks.steering_model import SteeredModel
from benchmarks.telegram_stage import Said, Talk, Telegram, is_message, telegram
from tests.simulators.opencode_home import git_worktree
from tests.simulators.telegram import Limits, Press

FILES = 2000
PARTS = 5  # each with a chat and a bare session of its own, whose conversations grow alike
ASKS = {"bash": {"*": "allow", "touch ask*": "ask"}}  # what opencode asks people before it does it


@dataclass(frozen=True, slots=True)
class Pair:
    """A chat and a bare session that take turns."""

    model: SteeredModel
    events: AgentEvents
    talk: Talk
    bare: BareSession

    async def ask_bare(self, seconds: float, session: BareSession | None = None) -> float:
        """A prompt to the bare session, or to another, and its whole answer. Returns how many seconds it took."""
        bare, tag, begin = session or self.bare, self.model.tag(), self.events.mark()
        at = self.talk.sim.clock.monotonic()
        await bare.prompt(telegram_model.prompt(seconds, tag))
        return (await self.events.idle_after(bare.id, telegram_model.last(tag), begin)).at - at

    async def press(self, said: Said, text: str, label: str = "") -> Press:
        """Press a button (the first, or by its label) of the message with that text that answers what was said."""
        event = await said.seen(lambda event: is_message(event, text))
        message = self.talk.sim.find_message(event.data["message_id"], self.talk.chat)
        data = next(button["callback_data"] for button in message.buttons if label in button["text"])
        press = await self.talk.sim.press(self.talk.person, message, data=data)
        if press.waited is None:
            raise RuntimeError(f"the button of {text!r} was not answered")
        return press


@dataclass(frozen=True, slots=True)
class Rig:
    """All that takes part."""

    project: Path
    phone: Telegram
    pairs: Sequence[Pair]


@asynccontextmanager
async def rig(folder: Path, opencode: Path) -> AsyncIterator[Rig]:
    """Everything up, and every session with its first two answers behind it."""
    async with AsyncExitStack() as stack:
        write_script(folder / "repository")
        project = make_repository(folder / "repository", FILES)
        model = SteeredModel()
        await model.start()
        stack.push_async_callback(model.stop)
        _, server = await stack.enter_async_context(served(folder, opencode, model.url, {"permission": ASKS}))
        events = await stack.enter_async_context(AgentEvents.opened(**server))
        phone = await stack.enter_async_context(telegram(folder / "kugetsu", project, server, PARTS, Limits()))
        await stack.enter_async_context(phone.bot())
        pairs = []
        for number, talk in enumerate(phone.talks):
            worktree = git_worktree(project, folder / f"bare-{number}", f"bare-{number}")
            pair = Pair(model, events, talk, await BareSession.created(events, worktree))
            for speak in (talk.start, talk.say):
                await pair.ask_bare(0)
                tag = model.tag()
                said = await speak(telegram_model.prompt(0, tag))
                await said.answered(telegram_model.last(tag))
            pairs.append(pair)
        yield Rig(project, phone, pairs)
