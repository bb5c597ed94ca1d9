"""A run's message: when it is sent, what of it, how it ends; and what becomes of it when its process dies."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.store.sql import FILE
from core.errors import ChatDenied, ChatDoubt, ChatError, ChatFormat, ChatUnreachable
from core.events import Asked, Finished, Metered, Outcome, Said, Step, StepState
from core.live import LiveSlot
from core.live_message import RunMessage
from core.messages import PostKind, PostState, Traits
from core.model import (
    Inbound,
    PermissionRequest,
    Person,
    PersonId,
    Place,
    RunState,
    Session,
    SessionId,
    SessionState,
    Tokens,
)
from core.ports import RunHeader, RunReport
from core.progress import Progress, fold
from core.relay import Relay
from tests.fakes.clock import LoopClock
from tests.fakes.messenger import FakeMessenger, Message, limited
from tests.fakes.store import WatchedStore
from tests.fakes.world import key

pytestmark = pytest.mark.looptime

DIRECT, GROUP = Place("fake", "1", "r7"), Place("fake", "group", "t1")
BASH = PermissionRequest("per_1", SessionId("ses"), "bash", ("git push",))


class Crash(BaseException):
    """The process is gone."""


class Stage:
    """One run shown in one place from `begin()` on; `again()` is the next process."""

    def __init__(self, folder: Path, place: Place, messenger: FakeMessenger) -> None:
        self.place = place
        self.messenger = messenger
        self.clock = LoopClock()
        self.store = WatchedStore(folder, self.clock)
        self.complaints: list[str] = []
        self.dies_at = ""
        self.progress = Progress()

    async def open(self) -> Stage:
        await self.store.open()
        now = self.clock.now()
        self.session = Session(key(), Path("/w"), "b", "s", "title", SessionState.RUNNING, now, now)
        await self.store.add_session(self.session)
        run = await self.store.add_run(key(), "do", PersonId("fake:ann"), self.place, message="7")
        self.run = replace(run, state=RunState.RUNNING, started=now)
        await self.store.save_run(self.run)
        self.messenger.theirs()
        await self.store.receive(_inbound(self.place, now))
        return self

    def begin(self) -> None:
        dead = False

        def fault(point: str) -> None:
            nonlocal dead
            if dead or point == self.dies_at:
                dead = True
                raise Crash(point)

        self.relay = Relay(self.store, self.messenger, self.clock, fault, self._complain)
        message = self.relay.live(self.place, RunHeader(self.run, self.session, "Ann"))
        assert isinstance(message, RunMessage)
        self.message = message
        self.slot = LiveSlot(message, self.clock, self._persist, self._complain)
        self.slot.show(self.progress)

    def say(self, text: str) -> None:
        self.progress = fold(self.progress, Said("p", text))
        self.slot.show(self.progress)

    def happen(self, *events: object) -> None:
        for event in events:
            self.progress = fold(self.progress, event)  # type: ignore[arg-type]
            self.slot.show(self.progress)

    async def end(self) -> None:
        """As a run ends: no more updates, the answer, then the end of the live message."""
        await self.slot.stop()
        self.run = replace(self.run, state=RunState.DONE, ended=self.clock.now(), text=self.progress.text or "done")
        await self.store.save_run(self.run)
        report = RunReport(self.run, self.session)
        await self.relay.answer(self.place, report, "answer")
        await self.slot.settle(report)
        async with asyncio.timeout(3600):
            await self.relay.quiet()

    async def again(self) -> None:
        """The next process finds what this one left; the run goes on."""
        self.dies_at = ""
        self.slot.drop()
        await asyncio.sleep(0.5)
        self.progress = fold(Progress(), Said("p", self.progress.text, whole=True))
        self.begin()

    @property
    def live(self) -> list[Message]:
        """Everything that was shown and is no answer."""
        return [m for m in self.messenger.messages if m.out.buttons and not m.deleted]

    async def states(self) -> list[PostState]:
        posts = await self.store.posts_of(run=self.run.id)
        return [post.state for post in posts if post.kind is PostKind.LIVE]

    async def _persist(self) -> None: ...

    def _complain(self, what: str, error: BaseException) -> None:
        self.complaints.append(f"{what}: {error!r}")


def _inbound(place: Place, at: datetime) -> Inbound:
    return Inbound("fake", "e", Place("fake", place.chat), Person(PersonId("fake:ann"), "Ann"), "do", at, message="100")


@pytest.fixture
def messenger() -> FakeMessenger:
    return FakeMessenger(chat_limit=(1, 1.0))


@pytest.fixture
async def stage(tmp_path: Path, blank_database: Path, messenger: FakeMessenger) -> AsyncIterator[Stage]:
    shutil.copyfile(blank_database, tmp_path / FILE)
    stage = await Stage(tmp_path, GROUP, messenger).open()
    yield stage
    await stage.slot.stop()
    await stage.relay.stop(0.0)
    await stage.store.close()
    assert stage.store.violations == []


@pytest.fixture
async def drafting(tmp_path: Path, blank_database: Path, messenger: FakeMessenger) -> AsyncIterator[Stage]:
    messenger.traits = Traits(drafts=True, draft_life=30.0)
    shutil.copyfile(blank_database, tmp_path / FILE)
    stage = await Stage(tmp_path, DIRECT, messenger).open()
    yield stage
    await stage.slot.stop()
    await stage.relay.stop(0.0)
    await stage.store.close()
    assert stage.store.violations == []


def now() -> float:
    return asyncio.get_running_loop().time()


# ── when it is shown ───────────────────────────────────────────────────────────────────────────


async def test_of_a_short_run_only_the_answer_is_shown(stage: Stage) -> None:
    stage.begin()
    await asyncio.sleep(1.0)
    stage.say("short")
    await asyncio.sleep(0.03)
    await stage.end()
    [answer] = stage.messenger.messages
    assert answer.text.startswith("short")
    assert await stage.states() == []


async def test_the_first_words_are_shown_at_once_and_silence_after_a_while(stage: Stage) -> None:
    stage.begin()
    began = now()
    await asyncio.sleep(0.5)
    stage.say("first words")
    await asyncio.sleep(0.3)
    [message] = stage.live
    assert "first words" in message.text
    assert message.at - began < 0.7


async def test_a_run_that_says_nothing_is_shown_as_working(stage: Stage) -> None:
    stage.begin()
    began = now()
    await asyncio.sleep(3)
    [message] = stage.live
    assert "working" in message.text
    assert 1.4 < message.at - began < 1.8
    assert message.out.silent


async def test_only_the_newest_state_is_shown_as_often_as_may_be(stage: Stage) -> None:
    stage.begin()
    for _ in range(200):
        stage.say("x")
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)
    calls = [*stage.messenger.of("send"), *stage.messenger.of("edit")]
    assert 8 <= len(calls) <= 12
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(calls))
    [message] = stage.live
    assert message.text.endswith("x" * 100)


async def test_a_state_that_looks_the_same_is_not_sent_again(stage: Stage) -> None:
    stage.begin()
    stage.say("words")
    await asyncio.sleep(3)
    for n in range(50):
        stage.happen(Metered(Tokens(input=n + 1), 0.1), Said("thought", "hm ", reasoning=True))
        await asyncio.sleep(0.5)
    assert len(stage.messenger.of("edit")) == 0, "elapsed time alone is no change"
    stage.say(" more")
    await asyncio.sleep(1)
    assert len(stage.messenger.of("edit")) == 1


async def test_tools_and_waiting_are_shown(stage: Stage) -> None:
    stage.begin()
    stage.say("first")
    await asyncio.sleep(2)
    stage.happen(Step("s1", "bash", StepState.RUNNING, "make test"))
    await asyncio.sleep(2)
    assert "make test" in stage.live[0].text
    stage.happen(Asked(BASH))
    await asyncio.sleep(2)
    assert "waits for an answer" in stage.live[0].text


# ── how it ends ────────────────────────────────────────────────────────────────────────────────


async def test_it_shrinks_to_one_line_behind_the_answer(stage: Stage) -> None:
    stage.begin()
    stage.say("long " * 30)
    await asyncio.sleep(5)
    await stage.end()
    live, answer = stage.messenger.messages[0], stage.messenger.messages[1]
    assert live.text.startswith("✓ #14 · run 1")
    assert "\n" not in live.text
    assert live.now.buttons == ()
    assert answer.text.startswith("long")
    assert stage.messenger.calls[-1][0] == "edit"
    assert await stage.states() == [PostState.CLOSED]


async def test_near_its_end_nothing_is_shown_that_would_keep_the_answer_waiting(stage: Stage) -> None:
    stage.begin()
    stage.say("words")
    await asyncio.sleep(3)
    edits = len(stage.messenger.of("edit"))
    stage.happen(Said("p", " end", final=True), Finished(Outcome.DONE))
    await asyncio.sleep(0.2)
    assert len(stage.messenger.of("edit")) == edits
    began = now()
    await stage.end()
    answer = next(m for m in stage.messenger.messages if "words end" in m.out.page.text)
    assert answer.at - began < 0.1


async def test_one_edit_of_those_a_platform_allows_is_kept_for_the_end(stage: Stage) -> None:
    stage.begin()
    stage.messenger.traits = Traits(max_edits=3)
    for _ in range(10):
        stage.say("x")
        await asyncio.sleep(1.5)
    assert len(stage.live[0].edits) == 2
    await stage.end()
    assert stage.messenger.messages[0].text.startswith("✓")


# ── trouble ────────────────────────────────────────────────────────────────────────────────────


async def test_a_deleted_message_is_sent_once_more_and_then_no_more(stage: Stage) -> None:
    stage.begin()
    stage.say("one")
    await asyncio.sleep(2)
    for text in (" two", " three", " four"):
        stage.messenger.messages[-1].deleted = True
        stage.say(text)
        await asyncio.sleep(3)
    assert len(stage.messenger.messages) == 2
    assert "one two" in stage.messenger.messages[1].text
    await stage.end()
    assert [m.text.partition("\n")[0] for m in stage.messenger.messages if not m.deleted] == ["one two three four"]


async def test_an_outage_is_waited_out_with_one_message_and_one_complaint(stage: Stage) -> None:
    stage.begin()
    stage.messenger.down = True
    stage.say("words")
    await asyncio.sleep(120)
    stage.messenger.down = False
    await asyncio.sleep(3)
    assert len(stage.live) == 1
    assert len(stage.complaints) == 1
    assert await stage.states() == [PostState.SENT], "one row, not one an attempt"


@pytest.mark.parametrize("there", [True, False])
async def test_a_doubt_about_the_first_sending_is_looked_into(stage: Stage, there: bool) -> None:
    """With a chat that takes one call a second: looking must not wait for its own turn to end."""
    stage.begin()
    stage.messenger.fail("send", ChatDoubt("?"), after=there)
    stage.say("words")
    await asyncio.sleep(6)
    assert len(stage.live) == 1
    stage.say(" more")
    await asyncio.sleep(2)
    assert "words more" in stage.live[0].text
    await stage.end()
    assert [state for state in await stage.states() if state is not PostState.DROPPED] == [PostState.CLOSED]


@pytest.mark.parametrize("there", [True, False])
async def test_a_doubt_at_the_end_leaves_no_message_at_work(stage: Stage, there: bool) -> None:
    stage.begin()
    stage.messenger.fail("send", ChatDoubt("?"), after=there)
    stage.say("words")
    await asyncio.sleep(0.2)
    await stage.end()
    assert not any("Stop" in str(m.now.buttons) for m in stage.messenger.messages)
    assert await stage.states() == [PostState.CLOSED if there else PostState.DROPPED]


async def test_refused_formatting_falls_back_to_plain_text(stage: Stage) -> None:
    stage.begin()
    stage.messenger.refuses = {"format"}
    stage.say("words")
    await asyncio.sleep(3)
    stage.say(" more")
    await asyncio.sleep(3)
    [message] = stage.live
    assert (message.out.page.format, "words more" in message.text) == ("", True)
    await stage.end()
    assert stage.messenger.messages[0].text.startswith("✓")


async def test_a_thread_that_is_gone_is_left_for_what_stands_in_its_place(stage: Stage) -> None:
    stage.begin()
    stage.say("one")
    await asyncio.sleep(2)
    around = Place("fake", "group")
    stage.messenger.gone[GROUP] = around
    for _ in range(3):
        stage.say(" two")
        await asyncio.sleep(2)
    assert [m.place for m in stage.live] == [GROUP, around]
    await stage.end()
    assert stage.messenger.texts(around)[0].startswith("✓")


async def test_where_nothing_can_be_shown_any_more_nothing_is_tried(stage: Stage) -> None:
    stage.begin()
    stage.say("one")
    await asyncio.sleep(2)
    stage.messenger.gone[GROUP] = None
    for _ in range(20):
        stage.say("x")
        await asyncio.sleep(1)
    assert len(stage.messenger.of("edit")) == 1


@pytest.mark.parametrize(
    "error", [ChatUnreachable("x"), limited(7.0), ChatError("x"), ChatDenied("x"), ChatFormat("x")]
)
async def test_any_failed_edit_is_made_good_by_a_later_one(stage: Stage, error: ChatError) -> None:
    stage.begin()
    stage.say("one")
    await asyncio.sleep(2)
    stage.messenger.fail("edit", error)
    stage.say(" two")
    await asyncio.sleep(12)
    assert "one two" in stage.live[0].text


async def test_a_full_disk_shows_nothing_that_is_not_noted(stage: Stage) -> None:
    stage.begin()
    stage.store.full = True
    stage.say("one")
    await asyncio.sleep(5)
    assert stage.messenger.messages == []
    stage.store.full = False
    await asyncio.sleep(3)
    assert len(stage.live) == 1


# ── drafts ─────────────────────────────────────────────────────────────────────────────────────


async def test_in_a_direct_chat_the_text_is_a_draft_and_the_mark_with_stop_comes_later(drafting: Stage) -> None:
    drafting.begin()
    began = now()
    drafting.say("first words")
    await asyncio.sleep(2.5)
    assert "first words" in drafting.messenger.drafts[0][2].text
    assert drafting.messenger.messages == []
    await asyncio.sleep(3)
    [mark] = drafting.messenger.messages
    assert 2.9 < mark.at - began < 5, "without news"
    assert mark.out.silent
    assert mark.out.buttons[0][0].id == f"stop:{drafting.run.id}"
    await drafting.end()
    assert [m.text.partition("\n")[0] for m in drafting.messenger.messages][1] == "first words"
    assert drafting.messenger.messages[0].text.startswith("✓ #14")


async def test_a_short_run_with_a_draft_leaves_nothing_but_its_answer(drafting: Stage) -> None:
    drafting.begin()
    drafting.say("words")
    await asyncio.sleep(1)
    await drafting.end()
    assert len(drafting.messenger.drafts) == 1
    assert len(drafting.messenger.messages) == 1


async def test_a_draft_is_kept_alive_also_while_the_agent_only_thinks(drafting: Stage) -> None:
    drafting.begin()
    drafting.say("words")
    for _ in range(240):
        drafting.happen(Said("thought", "hm ", reasoning=True))
        await asyncio.sleep(0.5)
    times = [at for _, _, _, at in drafting.messenger.drafts]
    assert all(later - earlier < 30 for earlier, later in pairwise(times))
    assert len(times) <= 120 / 18 + 4


async def test_a_draft_may_fade_while_people_are_asked(drafting: Stage) -> None:
    drafting.begin()
    drafting.say("words")
    await asyncio.sleep(4)
    drafting.happen(Asked(BASH))
    await asyncio.sleep(3)
    before = len(drafting.messenger.drafts)
    await asyncio.sleep(300)
    assert len(drafting.messenger.drafts) == before


@pytest.mark.parametrize("error", [ChatError("drafts are not for you"), ChatFormat("entities")])
async def test_where_drafts_are_refused_messages_are_edited(drafting: Stage, error: ChatError) -> None:
    drafting.begin()
    drafting.messenger.fail("draft", error)
    drafting.say("words")
    await asyncio.sleep(3)
    drafting.say(" more")
    await asyncio.sleep(3)
    assert drafting.messenger.drafts == []
    [message] = drafting.live
    assert "words more" in message.text
    assert len(drafting.complaints) == 1
    calls = drafting.messenger.of("send") + drafting.messenger.of("draft") + drafting.messenger.of("edit")
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(sorted(calls))), "each call has its turn"


async def test_drafts_outlast_an_outage(drafting: Stage) -> None:
    drafting.begin()
    drafting.messenger.down = True
    drafting.say("words")
    await asyncio.sleep(30)
    drafting.messenger.down = False
    await asyncio.sleep(3)
    assert drafting.messenger.drafts


# ── dying ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", ["live message noted", "live message sent", "live message recorded"])
async def test_the_next_process_takes_the_message_over(stage: Stage, at: str) -> None:
    stage.begin()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    stage.dies_at = at
    stage.say("words")
    await asyncio.sleep(2)
    await stage.again()
    await asyncio.sleep(3)
    stage.say(" more")
    await asyncio.sleep(3)
    [message] = stage.live
    assert "words more" in message.text
    await stage.end()
    assert message.text.startswith("✓")
    assert set(await stage.states()) <= {PostState.CLOSED, PostState.DROPPED}


@pytest.mark.parametrize("at", ["live message noted", "live message sent", "live message recorded"])
async def test_or_closes_it_when_the_run_is_over_before_it_is_shown(stage: Stage, at: str) -> None:
    stage.begin()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    stage.dies_at = at
    stage.say("words")
    await asyncio.sleep(2)
    await stage.again()
    await stage.end()
    assert not any("Stop" in str(m.now.buttons) for m in stage.messenger.messages)
    assert set(await stage.states()) <= {PostState.CLOSED, PostState.DROPPED}


async def test_a_mark_is_taken_over_too(drafting: Stage) -> None:
    drafting.begin()
    drafting.say("words")
    await asyncio.sleep(6)
    assert len(drafting.messenger.messages) == 1
    await drafting.again()
    await asyncio.sleep(10)
    assert len(drafting.messenger.messages) == 1
    await drafting.end()
    assert drafting.messenger.messages[0].text.startswith("✓")


async def test_a_platform_that_is_down_at_the_start_is_asked_again(stage: Stage) -> None:
    stage.begin()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    stage.dies_at = "live message sent"
    stage.say("words")
    await asyncio.sleep(2)
    stage.messenger.down = True
    await stage.again()
    await asyncio.sleep(30)
    stage.messenger.down = False
    await asyncio.sleep(5)
    assert len(stage.live) == 1
    await stage.end()
    assert stage.messenger.messages[0].text.startswith("✓")
