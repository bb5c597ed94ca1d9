"""Messages on their way: stored first, in order, through outages, doubts, refusals, full disks and crashes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.store.sql import FILE
from core import view, view_chat
from core.budget import Account
from core.delivery import FRESH, LONGEST
from core.errors import ChatDenied, ChatDoubt, ChatError, ChatFormat, ChatUnreachable, MessageGone, PlaceGone
from core.messages import Outgoing, Page, Post, PostKind, PostState, Traits
from core.model import AskId, Button, Place
from core.outbox import Outbox
from tests.fakes.clock import LoopClock
from tests.fakes.messenger import FakeMessenger, limited
from tests.fakes.store import WatchedStore

pytestmark = pytest.mark.looptime

HERE, THERE = Place("fake", "1"), Place("fake", "2")
OVER = Outgoing(Page("over", "formatted"), silent=True)


class Crash(BaseException):
    """The process is gone."""


class Office:
    """One process's outbox; `again()` is the next process."""

    def __init__(self, folder: Path, messenger: FakeMessenger) -> None:
        self.clock = LoopClock()
        self.messenger = messenger
        self.store = WatchedStore(folder, self.clock)
        self.complaints: list[str] = []
        self.rehomed: list[tuple[Place, Place | None]] = []
        self.passed: list[str] = []
        self.dies_at = -1
        self.made = 0
        self.begin()

    def begin(self) -> None:
        self.outbox = Outbox(
            self.store, Account(self.messenger), self.clock, self._rehome, self._fault_of(), self._complain
        )

    def _fault_of(self) -> Callable[[str], None]:
        """A dead process stays dead: each outbox has its own."""
        dead = False

        def fault(point: str) -> None:
            nonlocal dead
            if dead:
                raise Crash(point)
            self.passed.append(point)
            if len(self.passed) == self.dies_at:
                dead = True
                raise Crash(point)

        return fault

    async def again(self) -> None:
        self.dies_at = -1
        for pump in list(self.outbox._pumps.values()):
            pump.cancel()
        await asyncio.gather(*self.outbox._pumps.values(), return_exceptions=True)
        self.begin()
        left = await self.store.open_posts("fake")
        await self.outbox.recover([p for p in left if p.state is not PostState.SENT])
        await self.quiet()

    def post(self, text: str, place: Place = HERE, kind: PostKind = PostKind.ANSWER, **changes: object) -> Post:
        self.made += 1
        made = Post(f"k{self.made}", place, kind, Page(text, "formatted"), self.clock.now())
        return replace(made, **changes)  # type: ignore[arg-type]

    async def send(self, *texts: str, place: Place = HERE, kind: PostKind = PostKind.ANSWER) -> list[Post]:
        return await self.outbox.add([self.post(text, place, kind) for text in texts])

    async def quiet(self) -> None:
        async with asyncio.timeout(7200):
            await self.outbox.idle()

    async def state(self, post: Post) -> PostState:
        stored = await self.store.post(post.key)
        assert stored
        return stored.state

    async def _rehome(self, place: Place, instead: Place | None, why: str) -> None:
        self.rehomed.append((place, instead))

    def _complain(self, what: str, error: BaseException) -> None:
        self.complaints.append(f"{what}: {error!r}")


@pytest.fixture
async def office(tmp_path: Path, blank_database: Path) -> AsyncIterator[Office]:
    shutil.copyfile(blank_database, tmp_path / FILE)
    office = Office(tmp_path, FakeMessenger(chat_limit=(1, 1.0)))
    await office.store.open()
    yield office
    await office.outbox.stop(0.0)
    await office.store.close()
    assert office.store.violations == []


def now() -> float:
    return asyncio.get_running_loop().time()


# ── order ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_place_gets_its_messages_in_order_and_another_is_not_kept_waiting(office: Office) -> None:
    office.messenger.hanging["send"] = gate = asyncio.Event()
    await office.send("one", "two", "three")
    await asyncio.sleep(5)
    gate.set()
    del office.messenger.hanging["send"]
    await office.send("other", place=THERE)
    await office.quiet()
    assert office.messenger.texts(HERE) == ["one", "two", "three"]
    assert office.messenger.find_text("other")[0].at < office.messenger.find_text("two")[0].at


async def test_a_slow_place_does_not_slow_another(office: Office) -> None:
    with_pause = limited(300.0)
    office.messenger.fail("send", with_pause)
    began = now()
    await office.send("held back")
    await asyncio.sleep(0.5)
    await office.send("at once", place=THERE)
    await asyncio.sleep(1)
    assert office.messenger.texts() == ["at once"]
    await office.quiet()
    assert office.messenger.texts(HERE) == ["held back"]
    assert 299 < office.messenger.find_text("held back")[0].at - began < 305


async def test_sends_go_before_edits(office: Office) -> None:
    [live] = await office.send("live")
    await office.quiet()
    await office.send("answer 1", "answer 2")
    office.outbox.close(live, OVER)
    await office.quiet()
    kinds = [name for name, _, _ in office.messenger.calls]
    assert kinds == ["send", "send", "send", "edit"]
    assert await office.state(live) is PostState.CLOSED
    assert office.messenger.texts()[0] == "over"


async def test_a_key_is_sent_once(office: Office) -> None:
    first = office.post("once")
    await office.outbox.add([first])
    await office.outbox.add([first])
    await office.quiet()
    await office.outbox.add([first])
    await office.quiet()
    assert office.messenger.texts() == ["once"]


async def test_nothing_is_sent_that_is_not_on_disk(office: Office) -> None:
    office.messenger.hanging["send"] = asyncio.Event()
    [post] = await office.send("text")
    await asyncio.sleep(0.1)
    assert await office.state(post) is PostState.SENDING
    office.messenger.hanging.pop("send").set()
    await office.quiet()
    assert await office.state(post) is PostState.SENT
    stored = await office.store.post(post.key)
    assert stored
    assert stored.message == office.messenger.messages[0].id


# ── outages and doubts ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [10, 60, 600])
async def test_an_outage_costs_time_and_nothing_else(office: Office, seconds: int) -> None:
    office.messenger.down = True
    await office.send("one", "two")
    await office.send("other", place=THERE)
    await asyncio.sleep(seconds)
    office.messenger.down = False
    back = now()
    await office.quiet()
    assert office.messenger.texts(HERE) == ["one", "two"]
    assert office.messenger.texts(THERE) == ["other"]
    assert office.messenger.messages[0].at - back <= LONGEST + 1
    assert len(office.messenger.of("send")) < 20 + 2 * seconds / LONGEST, "two places: the platform is not stormed"
    assert office.complaints == []


async def test_what_may_have_been_sent_is_looked_for_and_found(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    office.messenger.fail("send", ChatDoubt("no answer"), after=True)
    [post] = await office.send("text")
    await office.send("behind")
    await office.quiet()
    assert office.messenger.texts() == ["before", "text", "behind"]
    assert await office.state(post) is PostState.SENT


async def test_what_was_not_sent_is_sent_again_and_says_that_it_may_be_a_repeat(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    office.messenger.fail("send", ChatDoubt("no answer"))
    await office.send("text")
    await office.quiet()
    assert office.messenger.texts() == ["before", f"text\n\n{view.MAY_BE_A_REPEAT}"]


async def test_a_doubt_outlives_an_outage(office: Office) -> None:
    """Looking fails while the platform is down: the message must not go out unmarked then."""
    await office.send("before")
    await office.quiet()
    office.messenger.fail("send", ChatDoubt("no answer"), after=True)
    [post] = await office.send("text")
    await asyncio.sleep(1.1)
    office.messenger.down = True
    await asyncio.sleep(60)
    assert await office.state(post) is PostState.UNKNOWN
    office.messenger.down = False
    await office.quiet()
    assert office.messenger.texts() == ["before", "text"]


@pytest.mark.parametrize("error", [limited(40.0), ChatUnreachable("down"), ChatDoubt("?"), ChatError("refused")])
async def test_looking_may_fail_in_every_way(office: Office, error: ChatError) -> None:
    await office.send("before")
    await office.quiet()
    office.messenger.fail("send", ChatDoubt("no answer"), after=True)
    office.messenger.fail("find", error)
    await office.send("text")
    await office.quiet()
    if error.retryable:
        assert office.messenger.texts() == ["before", "text"]
    else:
        assert office.messenger.texts() == ["before", "text", f"text\n\n{view.MAY_BE_A_REPEAT}"]


async def test_doubts_without_end_are_marked_each_time_and_bounded_in_pace(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    office.messenger.finds = False
    office.messenger.fail("send", *[ChatDoubt("no answer")] * 5, after=True)
    await office.send("text")
    await office.quiet()
    shown = office.messenger.texts()[1:]
    assert shown[0] == "text"
    assert set(shown[1:]) == {f"text\n\n{view.MAY_BE_A_REPEAT}"}
    times = office.messenger.of("send")[1:]
    assert all(later - earlier >= 0.9 for earlier, later in pairwise(times))


async def test_where_the_platform_remembers_keys_a_doubt_is_just_sent_again(office: Office) -> None:
    office.messenger.traits = Traits(remembers=timedelta(hours=1))
    office.messenger.fail("send", ChatDoubt("no answer"))
    await office.send("text")
    await office.quiet()
    assert office.messenger.texts() == ["text"]
    assert "find" not in {name for name, _, _ in office.messenger.calls}


# ── refusals ───────────────────────────────────────────────────────────────────────────────────


async def test_what_is_refused_with_its_formatting_goes_out_as_plain_text(office: Office) -> None:
    office.messenger.refuses = {"format"}
    await office.outbox.add([office.post("text", buttons=((Button("b", "B"),),))])
    await office.quiet()
    [message] = office.messenger.messages
    assert (message.text, message.out.page.format, len(message.out.buttons)) == ("text", "", 1)


async def test_then_without_buttons_and_then_not_at_all(office: Office) -> None:
    office.messenger.refuses = {"format", "buttons"}
    await office.outbox.add([office.post("text", buttons=((Button("b", "B"),),))])
    [empty] = await office.send(" ")
    await office.send("behind")
    await office.quiet()
    assert [(m.text, m.out.buttons) for m in office.messenger.messages] == [("text", ()), ("behind", ())]
    assert await office.state(empty) is PostState.DROPPED
    assert len(office.complaints) == 1


async def test_a_defect_of_the_adapter_does_not_end_the_place(office: Office) -> None:
    office.messenger.fail("send", *[RuntimeError("a defect")] * 2)  # type: ignore[list-item]
    await office.send("odd", "fine")
    await office.quiet()
    assert [text.partition("\n")[0] for text in office.messenger.texts()] == ["fine"]
    assert office.complaints


async def test_a_place_that_is_gone_drops_what_was_for_it_and_says_why(office: Office) -> None:
    office.messenger.gone[HERE] = None
    posts = await office.send("one", "two")
    await office.quiet()
    assert [await office.state(post) for post in posts] == [PostState.DROPPED] * 2
    assert office.rehomed == [(HERE, None)] * 2
    stored = await office.store.post(posts[0].key)
    assert stored
    assert "not found" in stored.note


async def test_a_place_that_has_moved_takes_its_messages_along_in_order(office: Office) -> None:
    office.messenger.gone[HERE] = THERE
    await office.send("one", "two", "three")
    await office.quiet()
    assert office.messenger.texts(THERE) == ["one", "two", "three"]
    assert office.rehomed[0] == (HERE, THERE)


async def test_a_revoked_account_keeps_everything_for_later(office: Office) -> None:
    office.messenger.fail("send", ChatDenied("revoked"))
    posts = await office.send("one", "two")
    await office.quiet()
    assert [await office.state(post) for post in posts] == [PostState.PENDING] * 2
    assert len(office.complaints) == 1
    await office.again()
    assert office.messenger.texts() == ["one", "two"], "known not to be there: no repeat"


# ── a full disk ────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_sent_that_could_not_be_noted_as_sent(office: Office) -> None:
    office.messenger.hanging["send"] = gate = asyncio.Event()
    await office.send("one", "two")
    await asyncio.sleep(0.5)
    office.store.full = True
    gate.set()
    del office.messenger.hanging["send"]
    await asyncio.sleep(60)
    assert office.messenger.texts() == ["one"], "the second waits for room"
    office.store.full = False
    await office.quiet()
    assert office.messenger.texts() == ["one", "two"]
    assert office.complaints


async def test_a_failure_on_a_full_disk_is_not_forgotten(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    office.messenger.hanging["send"] = gate = asyncio.Event()
    office.messenger.fail("send", ChatDoubt("?"), after=True)
    [post] = await office.send("text")
    await asyncio.sleep(0.5)
    office.store.full = True
    gate.set()
    del office.messenger.hanging["send"]
    await asyncio.sleep(30)
    office.store.full = False
    await office.quiet()
    assert office.messenger.texts() == ["before", "text"]
    assert await office.state(post) is PostState.SENT


async def test_the_end_of_a_message_waits_for_room_too(office: Office) -> None:
    [live] = await office.send("live")
    await office.quiet()
    office.store.full = True
    office.outbox.close(live, OVER)
    await asyncio.sleep(30)
    office.store.full = False
    await office.quiet()
    assert await office.state(live) is PostState.CLOSED


# ── freshness ──────────────────────────────────────────────────────────────────────────────────


async def test_after_a_long_outage_old_news_becomes_one_line(office: Office) -> None:
    office.messenger.down = True
    await office.send(*(f"news {n}" for n in range(6)), kind=PostKind.NOTICE)
    await office.send("answer")
    await asyncio.sleep(FRESH.total_seconds() + 30)
    await office.send("fresh", kind=PostKind.NOTICE)
    office.messenger.down = False
    await office.quiet()
    assert office.messenger.texts() == [view_chat.summed_up(6), "answer", "fresh"]
    await office.again()
    assert len(office.messenger.messages) == 3


async def test_a_few_old_news_are_sent_as_they_are(office: Office) -> None:
    office.messenger.down = True
    await office.send("news 1", "news 2", kind=PostKind.NOTICE)
    await asyncio.sleep(FRESH.total_seconds() + 30)
    office.messenger.down = False
    await office.quiet()
    assert office.messenger.texts() == ["news 1", "news 2"]


async def test_summing_up_survives_a_full_disk(office: Office) -> None:
    office.messenger.down = True
    await office.send(*(f"news {n}" for n in range(6)), kind=PostKind.NOTICE)
    await asyncio.sleep(FRESH.total_seconds() - 5)
    office.store.full = True
    await asyncio.sleep(60)
    office.messenger.down, office.store.full = False, False
    await office.quiet()
    assert office.messenger.texts() == [view_chat.summed_up(6)]


# ── requests that were decided ─────────────────────────────────────────────────────────────────


async def ask(office: Office, number: int = 0) -> Post:
    [post] = await office.outbox.add([office.post(f"may I? {number}", kind=PostKind.ASK, ask=AskId("a"))])
    return post


async def test_a_request_that_was_decided_is_not_sent_any_more(office: Office) -> None:
    office.messenger.down = True
    waiting = [await ask(office, n) for n in range(2)]
    await office.send("behind")
    await asyncio.sleep(20)
    office.outbox.withdraw("a")
    office.messenger.down = False
    await office.quiet()
    assert office.messenger.texts() == ["behind"]
    assert [await office.state(post) for post in waiting] == [PostState.CLOSED] * 2


async def test_one_that_is_being_sent_is_settled_in_place(office: Office) -> None:
    office.messenger.hanging["send"] = gate = asyncio.Event()
    post = await ask(office)
    await office.send("behind")
    await asyncio.sleep(0.5)
    office.outbox.withdraw("a")
    office.outbox.close(post, OVER)
    gate.set()
    del office.messenger.hanging["send"]
    await office.quiet()
    assert office.messenger.texts() == ["over", "behind"], "and what is behind it is not lost"


async def test_one_that_waits_for_its_turn_is_withdrawn_and_nothing_else_is(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    await ask(office)
    await office.send("behind")
    office.outbox.withdraw("a")
    await office.quiet()
    assert office.messenger.texts() == ["before", "behind"]


# ── the end of what is shown ───────────────────────────────────────────────────────────────────


async def shown(office: Office) -> Post:
    [post] = await office.send("live")
    await office.quiet()
    stored = await office.store.post(post.key)
    assert stored
    return stored


@pytest.mark.parametrize(
    "errors",
    [[ChatUnreachable("down")] * 3, [ChatDoubt("?")], [limited(20.0)], [MessageGone("deleted")], [ChatError("no")]],
)
async def test_an_end_is_shown_through_failures(office: Office, errors: list[ChatError]) -> None:
    post = await shown(office)
    office.messenger.fail("edit", *errors)
    office.outbox.close(post, OVER)
    await office.quiet()
    assert office.messenger.texts() == ["over" if errors[0].retryable else "live"]
    assert await office.state(post) is PostState.CLOSED


async def test_an_end_whose_formatting_is_refused_is_plain(office: Office) -> None:
    post = await shown(office)
    office.messenger.refuses = {"format"}
    office.outbox.close(post, OVER)
    await office.quiet()
    assert office.messenger.messages[0].now.page == Page("over")


def looks(text: str) -> Outgoing:
    return Outgoing(Page(text, "formatted"), silent=True)


async def test_only_the_newest_look_is_sent_and_the_message_stays_open(office: Office) -> None:
    post = await shown(office)
    for number in range(20):
        office.outbox.revise(post, looks(f"look {number}"))
    await office.quiet()
    assert office.messenger.texts() == ["look 19"]
    assert len(office.messenger.of("edit")) <= 2
    assert await office.state(post) is PostState.SENT


@pytest.mark.parametrize("errors", [[ChatUnreachable("down")] * 3, [ChatDoubt("?")], [limited(20.0)]])
async def test_a_look_comes_through_failures_unless_a_newer_one_does(office: Office, errors: list[ChatError]) -> None:
    post = await shown(office)
    office.messenger.fail("edit", *errors)
    office.outbox.revise(post, looks("old"))
    await asyncio.sleep(1.5)
    office.outbox.revise(post, looks("new"))
    await office.quiet()
    assert office.messenger.texts() == ["new"]


async def test_the_end_wins_over_every_look(office: Office) -> None:
    post = await shown(office)
    office.outbox.revise(post, looks("a look"))
    office.outbox.close(post, OVER)
    await office.quiet()
    assert office.messenger.texts() == ["over"]
    assert await office.state(post) is PostState.CLOSED


async def test_a_look_at_what_is_still_to_be_sent_comes_after_it(office: Office) -> None:
    [post] = await office.send("first look")
    office.outbox.revise(post, looks("second look"))
    await office.quiet()
    assert office.messenger.texts() == ["second look"]


async def test_an_end_in_doubt_is_not_tried_without_a_pause(office: Office) -> None:
    post = await shown(office)
    office.messenger.chat_limit = (1000, 1.0)
    office.messenger.fail("edit", *[ChatDoubt("?")] * 10)
    office.outbox.close(post, OVER)
    await office.quiet()
    times = office.messenger.of("edit")
    assert times[-1] - times[0] > 8 * LONGEST


# ── leaving ────────────────────────────────────────────────────────────────────────────────────


async def test_stopping_sends_what_can_be_sent_and_leaves_the_rest_for_the_next_process(office: Office) -> None:
    await office.send("1", "2", "3", "4", "5")
    await office.outbox.stop(2.5)
    assert office.messenger.texts() == ["1", "2", "3"]
    await office.again()
    assert office.messenger.texts() == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("trouble", ["limited", "down", "disk"])
async def test_stopping_is_not_held_up(office: Office, trouble: str) -> None:
    if trouble == "limited":
        office.messenger.fail("send", limited(3000.0))
    office.messenger.down = trouble == "down"
    await office.send("one", "two")
    await asyncio.sleep(0.2)
    office.store.full = trouble == "disk"
    began = now()
    await office.outbox.stop(5.0)
    assert now() - began < 8
    office.store.full, office.messenger.down = False, False
    await office.again()
    shown = [text.partition("\n")[0] for text in office.messenger.texts()]
    assert shown == ["one", "two"]


# ── dying ──────────────────────────────────────────────────────────────────────────────────────


async def scenario(office: Office, name: str) -> None:
    [live] = await office.send(f"live {name}")
    await office.quiet()
    await office.send(f"one {name}", f"two {name}")
    await office.send(f"other {name}", place=THERE)
    office.outbox.close(live, OVER)
    await office.quiet()


async def live_until(office: Office, at: int) -> None:
    office.passed.clear()
    office.dies_at = at
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    living = asyncio.create_task(scenario(office, str(at)))
    await asyncio.wait([living], timeout=60)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)


@pytest.mark.parametrize("finds", [True, False])
async def test_a_death_at_any_point_loses_nothing_and_doubles_nothing_unmarked(office: Office, finds: bool) -> None:
    office.messenger.chat_limit = (1000, 1.0)
    await office.send("first", place=HERE)
    await office.send("first", place=THERE)
    await office.quiet()
    await live_until(office, -1)
    points = len(office.passed)
    assert points >= 14
    for at in range(1, points + 1):
        office.messenger.messages.clear()
        office.messenger.finds = True
        first = office.made + 1
        await live_until(office, at)
        died = f"died at {at}: {office.passed[-1]}"
        office.messenger.finds = finds
        await office.again()
        recorded = [post for n in range(first, office.made + 1) if (post := await office.store.post(f"k{n}"))]
        for post in recorded:
            copies = [m for m in office.messenger.messages if m.out.page.text.startswith(post.page.text)]
            assert copies, f"{died}: {post.page.text} is lost"
            assert len(copies) <= (1 if finds else 2), died
            assert sum(view.MAY_BE_A_REPEAT not in m.out.page.text for m in copies) <= 1, died
        shown = dict.fromkeys(m.out.page.text.partition(" ")[0] for m in office.messenger.messages if m.place == HERE)
        assert list(shown) == ["live", "one", "two"][: len(shown)], died


async def test_the_end_of_a_live_message_that_nobody_knows_to_be_there_is_shown_or_not_needed(office: Office) -> None:
    await office.send("before")
    await office.quiet()
    for there in (True, False):
        after = await office.store.newest_message("fake", "1")
        [post] = await office.store.add_posts(
            [office.post("live", kind=PostKind.LIVE, state=PostState.SENDING, after=after)]
        )
        if there:
            await office.messenger.send(HERE, Outgoing(post.page), "x")
        office.outbox.close(post, OVER)
        await office.quiet()
        assert await office.state(post) is (PostState.CLOSED if there else PostState.DROPPED)
    assert office.messenger.texts() == ["before", "over"]


def test_errors_that_are_answers_are_not_retryable() -> None:
    assert not any(error("x").retryable for error in (ChatFormat, MessageGone, PlaceGone, ChatDenied))
