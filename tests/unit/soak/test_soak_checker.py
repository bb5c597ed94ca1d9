"""A checker that cannot fail is worth nothing: where all is well it passes, and every way to spoil that is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from core.view import CARRY_ON
from tests.soak import checker
from tests.soak.checker import Expected, check, identified
from tests.soak.driver import Traits
from tests.soak.observed import Limited, Observed, Said, Shown
from tests.soak.records import AskRow, DeliveryRow, InboxRow, PostRow, Records, RunRow

CHAT = "1001"
REPEAT = "\n\n(may be a repeat)"


@dataclass(frozen=True, slots=True)
class Log:
    """What the checker is given."""

    observed: Observed
    records: Records
    asked: tuple[str, ...]

    def findings(self) -> set[str]:
        expected = Expected({"first": "one two", "second": "three"})
        return {finding.rule for finding in check(self.observed, self.records, self.asked, expected)}


def good() -> Log:
    """Two prompts, a live message and a request, all answered and closed."""
    said = (Said(CHAT, "m:1", "/start #14 first", 1.0), Said(CHAT, "m:2", "second", 2.0))
    shown = (
        Shown(CHAT, "11", "#14 on branch kugetsu/14"),
        Shown(CHAT, "12", "✓ #14 · run 1 · 3 s", first="▸ #14 · run 1 is working"),
        Shown(CHAT, "13", "May it use bash?\nAllowed once", first="May it use bash?", rang=True),
        Shown(CHAT, "14", "one", rang=True),
        Shown(CHAT, "15", "two\n\n✓ run 1"),
        Shown(CHAT, "16", "three\n\n✓ run 2", rang=True),
    )
    posts = (
        PostRow(1, "in:1:0", CHAT, "r1", "reply", "sent", "#14 on branch kugetsu/14", "11"),
        PostRow(2, "live:1:here:0", CHAT, "r1", "live", "closed", "▸ #14 · run 1 is working", "12", run=1),
        PostRow(3, "ask:a:0:here", CHAT, "r1", "ask", "closed", "May it use bash?", "13", run=1, ask="a", silent=False),
        PostRow(4, "run:1:here:0", CHAT, "r1", "answer", "sent", "one", "14", run=1, silent=False),
        PostRow(5, "run:1:here:1", CHAT, "r1", "answer", "sent", "two\n\n✓ run 1", "15", run=1),
        PostRow(6, "run:2:here:0", CHAT, "r1", "answer", "sent", "three\n\n✓ run 2", "16", run=2, silent=False),
    )
    records = Records(
        inbox=(
            InboxRow(1, "m:1", CHAT, "/start #14 first", "accepted", run=1),
            InboxRow(2, "m:2", CHAT, "second", "accepted", run=2),
        ),
        runs=(
            RunRow(1, "p#14", 1, "first", "done", "one two", source="message 1", chat=CHAT),
            RunRow(2, "p#14", 2, "second", "done", "three", source="message 2", chat=CHAT),
        ),
        posts=posts,
        deliveries=(DeliveryRow(1, CHAT, "r1", "sent"), DeliveryRow(2, CHAT, "r1", "sent")),
        asks=(AskRow("a", 1, decided=True),),
    )
    return Log(Observed(said, shown), records, ("first", "second"))


def shown(log: Log, message: str, **changes: object) -> Log:
    """One message changed."""
    new = tuple(replace(s, **changes) if s.message == message else s for s in log.observed.shown)  # type: ignore[arg-type]
    return replace(log, observed=replace(log.observed, shown=new))


def more(log: Log, *new: Shown) -> Log:
    return replace(log, observed=replace(log.observed, shown=(*log.observed.shown, *new)))


def row(log: Log, table: str, number: int, **changes: object) -> Log:
    rows = tuple(replace(r, **changes) if r.id == number else r for r in getattr(log.records, table))
    return replace(log, records=replace(log.records, **{table: rows}))


def records(log: Log, **tables: object) -> Log:
    return replace(log, records=replace(log.records, **tables))  # type: ignore[arg-type]


def swapped(log: Log, first: str, second: str) -> Log:
    """Two messages came in the other order."""
    numbers = [s.message for s in log.observed.shown]
    order = list(log.observed.shown)
    a, b = numbers.index(first), numbers.index(second)
    order[a], order[b] = order[b], order[a]
    return replace(log, observed=replace(log.observed, shown=tuple(order)))


def marked_repeat(log: Log) -> Log:
    """The last answer was in doubt and sent again, and says so."""
    again = row(log, "posts", 6, repeat=True, message="17")
    return more(again, Shown(CHAT, "17", f"three\n\n✓ run 2{REPEAT}", rang=True))


def cut_off(log: Log) -> Log:
    """The first run was cut off before it reached the model, and carried on."""
    there = shown(log, "14", text="✗ cut off")
    there = row(row(there, "posts", 4, text="✗ cut off"), "posts", 5, state="dropped", kind="live")
    runs = (
        replace(log.records.runs[0], state="cut", text="", error="cut"),
        *log.records.runs[1:],
        RunRow(3, "p#14", 3, CARRY_ON, "done", "on", source="carry on 1", chat=CHAT),
    )
    page = PostRow(7, "run:3:here:0", CHAT, "r1", "answer", "sent", "on ✓", "18", run=3, silent=False)
    deliveries = (*log.records.deliveries, DeliveryRow(3, CHAT, "r1", "sent"))
    there = records(there, runs=runs, posts=(*there.records.posts, page), deliveries=deliveries)
    there = more(shown(there, "15", gone=True), Shown(CHAT, "18", "on ✓", rang=True))
    return replace(swapped(there, "16", "18"), asked=("second", CARRY_ON))


@pytest.mark.parametrize("fine", [lambda log: log, marked_repeat, cut_off])
def test_what_is_promised_passes(fine: Callable[[Log], Log]) -> None:
    log = fine(good())
    assert not check(log.observed, log.records, log.asked, Expected({"first": "one two", "second": "three"}))


BROKEN: dict[str, tuple[str, Callable[[Log], Log]]] = {
    "a message that never came in": (
        checker.HANDLED,
        lambda log: records(log, inbox=log.records.inbox[:1], runs=log.records.runs),
    ),
    "a message that came in twice": (
        checker.HANDLED,
        lambda log: records(log, inbox=(*log.records.inbox, replace(log.records.inbox[1], id=3))),
    ),
    "a message nobody decided": (checker.HANDLED, lambda log: row(log, "inbox", 2, outcome=None, run=None)),
    "a message refused without a word": (
        checker.HANDLED,
        lambda log: row(log, "inbox", 2, outcome="refused", run=None),
    ),
    "a message that became a run that is not there": (checker.HANDLED, lambda log: row(log, "inbox", 2, run=9)),
    "a message that became two runs": (
        checker.ONE_RUN,
        lambda log: records(log, runs=(*log.records.runs, replace(log.records.runs[1], id=3, number=3))),
    ),
    "one prompt said once that became two runs": (
        checker.ONE_RUN,
        lambda log: records(log, runs=(*log.records.runs, replace(log.records.runs[1], id=3, number=3, source=""))),
    ),
    "a prompt that reached the model twice": (
        checker.ASKED_ONCE,
        lambda log: replace(log, asked=("first", "second", "second")),
    ),
    "a prompt that never reached the model": (checker.ASKED_ONCE, lambda log: replace(log, asked=("first",))),
    "an answer that is not there": (checker.ANSWERED, lambda log: shown(log, "16", gone=True)),
    "a page that is not there": (checker.ANSWERED, lambda log: shown(log, "15", gone=True)),
    "an answer cut short on its way": (checker.ANSWERED, lambda log: shown(log, "16", text="thr")),
    "a text that is not what the model said": (checker.ANSWERED, lambda log: row(log, "runs", 2, text="four")),
    "pages that are not the whole text": (
        checker.ANSWERED,
        lambda log: shown(row(log, "posts", 4, text="on"), "14", text="on"),
    ),
    "a run that was answered nowhere": (
        checker.ANSWERED,
        lambda log: records(log, deliveries=log.records.deliveries[:1]),
    ),
    "an answer without pages": (checker.ANSWERED, lambda log: records(log, posts=log.records.posts[:5])),
    "text of a cut run that nobody said": (
        checker.ANSWERED,
        lambda log: row(log, "runs", 1, state="cut", text="one three"),
    ),
    "an answer twice, unmarked": (
        checker.REPEAT,
        lambda log: more(log, Shown(CHAT, "17", "three\n\n✓ run 2", rang=True)),
    ),
    "a reply twice, unmarked": (checker.REPEAT, lambda log: more(log, Shown(CHAT, "17", "#14 on branch kugetsu/14"))),
    "a message that nobody knows of": (checker.STRAY, lambda log: more(log, Shown(CHAT, "17", "hello?"))),
    "a live message left behind": (checker.ORPHAN, lambda log: shown(log, "12", text="#14 first\n▸ run 1 · working")),
    "a mark with Stop left behind": (
        checker.ORPHAN,
        lambda log: shown(log, "12", text="nothing to see", buttons=("Stop #14",)),
    ),
    "an unknown live message": (
        checker.ORPHAN,
        lambda log: more(log, Shown(CHAT, "17", "▸ #14 · run 1 is working", buttons=("Stop #14",))),
    ),
    "a request that looks open": (checker.ORPHAN, lambda log: shown(log, "13", buttons=("Allow once",))),
    "answers in the wrong order": (checker.ORDER, lambda log: swapped(log, "14", "16")),
    "what carries on behind what waited": (checker.ORDER, lambda log: swapped(cut_off(log), "16", "18")),
    "pages in the wrong order": (checker.ORDER, lambda log: swapped(log, "14", "15")),
    "runs in another order than their messages": (
        checker.ORDER,
        lambda log: row(row(log, "runs", 1, source="message 2"), "runs", 2, source="message 1"),
    ),
    "messages taken in out of order": (
        checker.ORDER,
        lambda log: row(row(log, "inbox", 1, event="m:2"), "inbox", 2, event="m:1"),
    ),
    "a second ring for a run": (checker.RINGS, lambda log: shown(log, "15", rang=True)),
    "a ring for progress": (checker.RINGS, lambda log: shown(log, "12", rang=True)),
    "a ring for a reply": (checker.RINGS, lambda log: shown(log, "11", rang=True)),
    "a ring of an unknown message": (
        checker.RINGS,
        lambda log: more(log, Shown(CHAT, "17", "hm", first="hm", rang=True)),
    ),
    "an answer that did not ring": (checker.RINGS, lambda log: shown(log, "16", rang=False)),
    "a limit that was hit": (
        checker.LIMITS,
        lambda log: replace(log, observed=replace(log.observed, limited=(Limited("sendMessage", 3.0),))),
    ),
    "a message that still waits to be sent": (checker.LEFT, lambda log: row(log, "posts", 6, state="pending")),
    "a message in doubt": (checker.LEFT, lambda log: row(log, "posts", 6, state="unknown")),
    "a live message that was not closed": (checker.LEFT, lambda log: row(log, "posts", 2, state="sent")),
    "a run that is not over": (checker.LEFT, lambda log: row(log, "runs", 2, state="queued")),
    "a request that is open after its run": (
        checker.LEFT,
        lambda log: records(log, asks=(AskRow("a", 1, decided=False),)),
    ),
    "a delivery that is not through": (
        checker.LEFT,
        lambda log: records(log, deliveries=(log.records.deliveries[0], DeliveryRow(2, CHAT, "r1", "pending"))),
    ),
    "a start that is not through": (checker.LEFT, lambda log: records(log, operations=("start p#14 []",))),
    "an answer given up": (checker.DROPPED, lambda log: row(log, "posts", 6, state="dropped", note="refused")),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(what: str) -> None:
    rule, spoil = BROKEN[what]
    assert rule in spoil(good()).findings(), what


def test_every_rule_is_broken_by_some_test() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(checker.RULES)


# ── on screens, where messages have no ids ─────────────────────────────────────────────────────

SCREENS = Traits(posts=False)


def on_screen() -> Log:
    """The same two prompts, typed at a terminal that was there all the time."""
    log = good()
    said = (
        Said("window", "", "/start #14 first", 1.0, told=True),
        Said("window", "", "second", 2.0, told=True),
    )
    shown = (
        Shown("window", "1", "#14 on branch kugetsu/14"),
        Shown("window", "2", "? may it use bash", ask="a"),
        Shown("window", "3", "one\n⚙ bash ✓\ntwo\n✓ 3 s", run=1),
        Shown("window", "4", "three\n✓ 1 s", run=2),
    )
    seen = Observed(said, shown, screens={"window": "p#14"})
    return replace(log, observed=seen, records=replace(log.records, posts=()))


def screen_findings(log: Log) -> set[str]:
    expected = Expected({"first": "one two", "second": "three"})
    return {finding.rule for finding in check(log.observed, log.records, log.asked, expected, SCREENS)}


def seen(log: Log, **changes: object) -> Log:
    return replace(log, observed=replace(log.observed, **changes))  # type: ignore[arg-type]


def without(log: Log, message: str) -> Log:
    return seen(log, shown=tuple(each for each in log.observed.shown if each.message != message))


SCREEN_FINE: dict[str, Callable[[Log], Log]] = {
    "all is there": lambda log: log,
    "cut off from the bot after the question": lambda log: seen(without(log, "3"), lost=1.5),
    "gone to another session": lambda log: seen(without(log, "4"), screens={"window": "p#15"}),
    "a row of another command over the same socket": lambda log: records(
        log, inbox=(*log.records.inbox, InboxRow(3, "t:1", "local", "/status", "accepted"))
    ),
}
SCREEN_BROKEN: dict[str, tuple[str, Callable[[Log], Log]]] = {
    "an answer that was not shown": (checker.ANSWERED, lambda log: without(log, "4")),
    "an answer that was not shown after the connection was back": (
        checker.ANSWERED,
        lambda log: seen(without(log, "4"), lost=1.5),
    ),
    "an answer with words missing": (checker.ANSWERED, lambda log: shown(log, "3", text="one\n✓ 3 s")),
    "an answer out of order": (checker.ANSWERED, lambda log: shown(log, "3", text="two\none\n✓ 3 s")),
    "an answer twice on one screen": (checker.REPEAT, lambda log: more(log, Shown("window", "5", "three ✓", run=2))),
    "a run that looks as if it went on": (checker.ORPHAN, lambda log: shown(log, "4", live=True)),
    "a request that looks open": (checker.ORPHAN, lambda log: shown(log, "2", buttons=("Allow once",))),
    "a line that never came in": (
        checker.HANDLED,
        lambda log: seen(log, said=(*log.observed.said, Said("window", "", "lost", 3.0, told=True))),
    ),
    "a line nobody replied to": (
        checker.HANDLED,
        lambda log: row(
            seen(log, said=(log.observed.said[0], replace(log.observed.said[1], told=False))),
            "inbox",
            2,
            outcome="refused",
            run=None,
        ),
    ),
}


@pytest.mark.parametrize("what", SCREEN_FINE)
def test_what_is_promised_on_screens_passes(what: str) -> None:
    assert not screen_findings(SCREEN_FINE[what](on_screen()))


@pytest.mark.parametrize("what", SCREEN_BROKEN)
def test_what_is_broken_on_screens_is_found(what: str) -> None:
    rule, spoil = SCREEN_BROKEN[what]
    assert rule in screen_findings(spoil(on_screen())), what


def test_what_has_no_id_is_known_by_its_text_in_order() -> None:
    rows = tuple(InboxRow(n, f"e:{n}", CHAT, text, "accepted") for n, text in enumerate(("x", "y", "x"), 1))
    said = tuple(Said("window", "", text, 0.0) for text in ("y", "x", "x", "x"))
    found = identified(Observed(said), Records(inbox=rows)).said
    assert [each.event for each in found] == ["e:2", "e:1", "e:3", ""]
