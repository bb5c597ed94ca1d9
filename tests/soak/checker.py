"""Whether the delivery contract was kept: a pure function over what a platform saw, what kugetsu wrote down and what
the model was asked. Each rule has a name, by which a scenario says that it expects its breach.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from core.view import CARRY_ON, MAY_BE_A_REPEAT
from core.view_steer import TAKEN_OUT
from tests.soak.driver import Traits
from tests.soak.observed import Observed, Shown
from tests.soak.records import OVER, PostRow, Records, RunRow

HANDLED = "handled"  # each message of a person came in once and has an outcome with a reason, a run or a reply
ONE_RUN = "one run"  # … and became one run at most
ASKED_ONCE = "asked once"  # each prompt reached the model once
ANSWERED = "answered"  # each answer is there, complete
REPEAT = "repeat"  # … and nothing twice, unless it says that it may be
STRAY = "stray"  # the bot shows nothing that it does not know of
ORPHAN = "orphan"  # nothing looks as if it went on when it is over
ORDER = "order"  # answers by their runs, pages by their numbers, runs by the messages that made them, those as sent
RINGS = "rings"  # a phone rings once a run and once a request
LIMITS = "limits"  # the platform never had to slow us down
LEFT = "left"  # nothing waits for ever
DROPPED = "dropped"  # nothing was given up
RULES = (HANDLED, ONE_RUN, ASKED_ONCE, ANSWERED, REPEAT, STRAY, ORPHAN, ORDER, RINGS, LIMITS, LEFT, DROPPED)

PRESS = "press "  # begins the event of a row that a button made
UNSURE = {"cut", "failed", "stopped"}  # states of runs whose prompt may not have reached the model; they say so


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was not kept."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the checker cannot know: what the model says to which prompt."""

    answers: Mapping[str, str] = field(default_factory=dict)  # part of a prompt → the whole answer
    asked_again: frozenset[str] = frozenset()  # parts of prompts that a person had run once more


def check(
    observed: Observed,
    records: Records,
    asked: Sequence[str],
    expected: Expected | None = None,
    traits: Traits | None = None,
) -> list[Finding]:
    """`asked` are the prompts that came to the model, the results of tools apart."""
    expected, traits = expected or Expected(), traits or Traits()
    observed = identified(observed, records)
    seen = [_answered, _repeats, _orphans, _rings] if traits.posts else [_on_screens]
    return [
        *_handled(observed, records, traits),
        *_one_run(records, expected),
        *_asked_once(records, asked),
        *_as_said(records, expected),
        *(finding for rule in seen for finding in rule(observed, records)),
        *_order(observed, records),
        *(Finding(LIMITS, f"{limited.what} was refused at {limited.at:.2f}: too many") for limited in observed.limited),
        *_left(records),
    ]


def identified(observed: Observed, records: Records) -> Observed:
    """Where a platform does not tell the ids of what people say, it is known by its text, in order."""
    if all(said.event for said in observed.said):
        return observed
    left = {row.event: row.text for row in records.inbox}
    said = []
    for each in observed.said:
        event = each.event or next((event for event, text in left.items() if text == each.text), "")
        left.pop(event, None)
        said.append(replace(each, event=event))
    return replace(observed, said=tuple(said))


# ── in ─────────────────────────────────────────────────────────────────────────────────────────


def _handled(observed: Observed, records: Records, traits: Traits) -> Iterator[Finding]:
    rows = defaultdict(list)
    for row in records.inbox:
        rows[row.event].append(row)
    for said in observed.said:
        found = rows[said.event]
        if not found:
            yield Finding(HANDLED, f"“{said.text}” ({said.event}) was never taken in")
        elif len(found) > 1:
            yield Finding(HANDLED, f"“{said.text}” ({said.event}) was taken in {len(found)} times")
    shown = {post.key.split(":")[1] for post in records.posts if post.key.startswith("in:") and post.message}
    told = {said.event for said in observed.said if said.told}
    if not traits.posts:  # nor is it known who said the rest: buttons, other commands over the same socket
        told |= {row.event for row in records.inbox} - {said.event for said in observed.said}
    for row in records.inbox:
        if row.outcome is None:
            if not row.held:
                yield Finding(HANDLED, f"“{row.text}” ({row.event}) is undecided")
        elif row.outcome == "accepted" and row.run is not None:
            if records.run(row.run) is None:
                yield Finding(HANDLED, f"“{row.text}” became run {row.run}, which is not there")
        elif row.event.startswith(PRESS):
            continue  # whoever presses is told by the press
        elif not row.reason and str(row.id) not in shown and row.event not in told:
            yield Finding(HANDLED, f"“{row.text}” was {row.outcome}, and nobody was told why")


def _one_run(records: Records, expected: Expected) -> Iterator[Finding]:
    sources = Counter(run.source for run in records.runs if run.source)
    for source, times in sources.items():
        if times > 1:
            yield Finding(ONE_RUN, f"{source} became {times} runs")
    said = Counter(row.text for row in records.inbox)
    for prompt, times in Counter(run.prompt for run in records.runs if run.prompt != CARRY_ON).items():
        wanted = sum(number for text, number in said.items() if prompt in text)
        again = any(part in prompt for part in expected.asked_again)
        if times > wanted + again and wanted:
            yield Finding(ONE_RUN, f"“{prompt}” was said {wanted} times and became {times} runs")


def _asked_once(records: Records, asked: Sequence[str]) -> Iterator[Finding]:
    prompts = sorted({run.prompt for run in records.runs}, key=len, reverse=True)
    reached = Counter(next((prompt for prompt in prompts if prompt in text), text) for text in asked)
    for prompt in prompts:
        runs = [run for run in records.runs if run.prompt == prompt]
        must = sum(run.state not in UNSURE for run in runs if run.state in OVER)
        if reached[prompt] > len(runs):
            yield Finding(ASKED_ONCE, f"“{prompt}” reached the model {reached[prompt]} times, for {len(runs)} runs")
        elif reached[prompt] < must:
            yield Finding(ASKED_ONCE, f"“{prompt}” reached the model {reached[prompt]} times, and {must} runs are done")


# ── out ────────────────────────────────────────────────────────────────────────────────────────


def _as_said(records: Records, expected: Expected) -> Iterator[Finding]:
    """What was kept of an answer is what the model said, and it belongs somewhere."""
    for run in records.runs:
        if run.state not in OVER:
            continue
        said = next((answer for prompt, answer in expected.answers.items() if prompt in run.prompt), None)
        if said is not None and run.state == "done" and _bare(run.text) != _bare(said):
            yield Finding(ANSWERED, f"{_name(run)} is “{run.text[:80]}”, the model said “{said[:80]}”")
        if said is not None and run.state == "cut" and not _bare(said).startswith(_bare(run.text)):
            yield Finding(ANSWERED, f"{_name(run)} was cut off at “{run.text[-80:]}”, which the model never said")
        if run.error == TAKEN_OUT:
            continue  # whoever took it out was told
        if not any(row.run == run.id for row in records.deliveries):
            yield Finding(ANSWERED, f"{_name(run)} was answered nowhere")


def _answered(observed: Observed, records: Records) -> Iterator[Finding]:
    for run in records.runs:
        if run.state not in OVER:
            continue
        places = [row for row in records.deliveries if row.run == run.id]
        chats = {page.chat for page in records.pages(run.id)}
        for chat in chats or {row.chat for row in places}:
            yield from _whole(run, observed, [page for page in records.pages(run.id, chat) if page.state != "dropped"])
        if places and not chats:
            yield Finding(ANSWERED, f"{_name(run)} has no pages")


def _on_screens(observed: Observed, records: Records) -> Iterator[Finding]:
    """Where messages are not known by ids: every answer that is shown is whole, once on each screen, and who stayed
    in the session saw the answer to what they had said; and nothing looks as if it went on when it is over.
    """
    sources = {f"message {row.id}": row.event for row in records.inbox}
    said = {said.event: said for said in observed.said}
    for run in records.runs:
        shows = [shown for shown in observed.shown if shown.run == run.id]
        if run.state not in OVER:
            continue
        for shown in shows:
            if shown.live:
                yield Finding(ORPHAN, f"{shown.chat} shows {_name(run)} as if it went on: “{shown.text[-80:]}”")
            elif not _has_words(shown.text, run.text):
                yield Finding(ANSWERED, f"{_name(run)} is shown incomplete in {shown.chat}: “{shown.text[:200]}”")
        for chat, times in Counter(shown.chat for shown in shows).items():
            if times > 1:
                yield Finding(REPEAT, f"{_name(run)} is to be seen {times} times in {chat}")
        asker = said.get(sources.get(run.source, ""))
        taken_out = run.error == TAKEN_OUT
        stayed = (
            not taken_out
            and asker
            and asker.at > observed.lost
            and observed.screens.get(asker.chat, "").casefold() == run.session
        )
        if stayed and asker and not any(shown.chat == asker.chat for shown in shows):
            yield Finding(ANSWERED, f"{_name(run)} is not to be seen in {asker.chat}")
    decided = {ask.id for ask in records.asks if ask.decided}
    for shown in observed.shown:
        if shown.ask in decided and shown.buttons:
            yield Finding(ORPHAN, f"{shown.message} in {shown.chat} asks what is decided: “{shown.text[:80]}”")


def _whole(run: RunRow, observed: Observed, pages: Sequence[PostRow]) -> Iterator[Finding]:
    """Every page is there as it was meant, and together they are the whole answer."""
    if not pages:
        return  # dropped: that is another rule's
    text = ""
    for page in pages:
        copies = _copies(observed, page)
        if not copies:
            yield Finding(ANSWERED, f"{page.key} of {_name(run)} is not to be seen: “{page.text[:80]}”")
        text += page.text
    if _bare(run.text) not in _bare(text):
        yield Finding(ANSWERED, f"{_name(run)} is shown incomplete in {pages[0].chat}: “{text[:200]}”")


def _repeats(observed: Observed, records: Records) -> Iterator[Finding]:
    known = {(post.chat, post.message) for post in records.posts if post.message}
    doubtful = {(post.chat, _bare(post.text)) for post in records.posts if post.repeat}
    for shown in observed.shown:
        if shown.gone or (shown.chat, shown.message) in known:
            continue
        if (shown.chat, _bare(shown.text)) in doubtful:
            continue  # the one it may be a repeat of
        yield Finding(STRAY, f"{shown.message} in {shown.chat} is known to nobody: “{shown.text[:80]}”")
    for page in records.posts:
        if page.kind not in {"answer", "ask", "reply"} or page.state == "dropped":
            continue
        twins = [other for other in records.posts if (other.chat, _bare(other.text)) == (page.chat, _bare(page.text))]
        plain = [shown for shown in _copies(observed, page) if not _marked(shown)]
        if len(plain) > len(twins) and page is twins[0]:
            where = ", ".join(shown.message for shown in plain)
            yield Finding(REPEAT, f"{page.key} is to be seen {len(plain)} times in {page.chat} ({where}), unmarked")


def _orphans(observed: Observed, records: Records) -> Iterator[Finding]:
    lives = {(post.chat, post.message): post for post in records.posts if post.kind == "live"}
    asks = {(post.chat, post.message): post for post in records.posts if post.kind == "ask" and post.ask}
    going = {run.id for run in records.runs if run.state not in OVER}
    open_asks = {ask.id for ask in records.asks if not ask.decided}
    for shown in observed.shown:
        if shown.gone:
            continue
        here = (shown.chat, shown.message)
        looks_live = any(line.startswith("▸ ") for line in shown.text.splitlines())
        looks_live |= any(label.startswith("Stop ") for label in shown.buttons)
        if looks_live and not (here in lives and lives[here].run in going):
            yield Finding(ORPHAN, f"{shown.message} in {shown.chat} looks as if a run went on: “{shown.text[:80]}”")
        if here in asks and shown.buttons and asks[here].ask not in open_asks:
            yield Finding(ORPHAN, f"{shown.message} in {shown.chat} asks what is decided: “{shown.text[:80]}”")


def _order(observed: Observed, records: Records) -> Iterator[Finding]:
    came = {(shown.chat, shown.message): number for number, shown in enumerate(observed.shown)}
    threads = {(run.session, page.chat) for run in records.runs for page in records.pages(run.id)}
    for session, chat in sorted(threads):
        last, before = -1, ""
        for run in _in_order([run for run in records.runs if run.session == session]):
            for page in records.pages(run.id, chat):
                first = min((came[shown.chat, shown.message] for shown in _copies(observed, page)), default=None)
                if first is None:
                    continue
                if first < last:
                    yield Finding(ORDER, f"{page.key} of {_name(run)} came before {before} in {chat}")
                last, before = first, page.key
    rows = {f"message {row.id}": row for row in records.inbox}
    for session in sorted({run.session for run in records.runs}):
        made = [run for run in records.runs if run.session == session and run.source in rows]
        made.sort(key=lambda run: run.number)
        for first, second in pairwise(made):
            if rows[first.source].id > rows[second.source].id:
                yield Finding(ORDER, f"{_name(second)} is of an older message than {_name(first)}")
    events = {row.event: row.id for row in records.inbox}
    for chat in sorted({said.chat for said in observed.said}):
        numbers = [events[said.event] for said in observed.said if said.chat == chat and said.event in events]
        if numbers != sorted(numbers):
            yield Finding(ORDER, f"messages of {chat} were taken in in another order than they were sent")


def _in_order(runs: Sequence[RunRow]) -> list[RunRow]:
    """By their numbers; what carries on follows what it carries on, before all that waits."""
    numbers = {f"carry on {run.id}": run.number for run in runs}
    return sorted(runs, key=lambda run: (numbers.get(run.source, run.number), run.source in numbers, run.number))


def _rings(observed: Observed, records: Records) -> Iterator[Finding]:
    posts = {(post.chat, post.message): post for post in records.posts if post.message}
    doubtful = {(post.chat, _bare(post.text)) for post in records.posts if post.repeat}
    rang: Counter[tuple[str, str]] = Counter()
    for shown in observed.shown:
        if not shown.rang:
            continue
        post = posts.get((shown.chat, shown.message))
        if post is None:
            if (shown.chat, _bare(shown.first or shown.text)) not in doubtful:
                yield Finding(RINGS, f"{shown.message} in {shown.chat} rang: “{shown.first[:80]}”")
        elif post.kind == "ask":
            rang[post.chat, f"request {post.key}"] += 1
        elif post.kind == "answer" and post.key.endswith(":0"):
            rang[post.chat, f"run {post.run}"] += not post.repeat
        else:
            yield Finding(RINGS, f"{post.key} in {post.chat} rang: “{shown.first[:80]}”")
    for (chat, what), times in rang.items():
        if times > 1:
            yield Finding(RINGS, f"{what} rang {times} times in {chat}")
    for post in records.posts:
        if post.kind == "answer" and post.key.endswith(":0") and post.message and not post.repeat:
            shown = next(
                (each for each in observed.shown if (each.chat, each.message) == (post.chat, post.message)), None
            )
            if shown and not shown.rang:
                yield Finding(RINGS, f"{post.key} came silently in {post.chat}")


def _left(records: Records) -> Iterator[Finding]:
    for what in records.busy:
        yield Finding(LEFT, what)
    over = {run.id for run in records.runs if run.state in OVER}
    for ask in records.asks:
        if not ask.decided and ask.run in over:
            yield Finding(LEFT, f"a request of run {ask.run} is open, and the run is over")
    for post in records.posts:
        if post.state == "dropped" and post.kind != "live":
            yield Finding(DROPPED, f"{post.key} in {post.chat}: {post.note or 'nobody knows why'}")


# ── small things ───────────────────────────────────────────────────────────────────────────────


def _copies(observed: Observed, post: PostRow) -> list[Shown]:
    """What shows just this text there, marked or not; a request may show its decision by now."""
    wanted = _bare(post.text)
    return [
        shown
        for shown in observed.shown
        if shown.chat == post.chat
        and not shown.gone
        and (
            _bare(shown.text.removesuffix(MAY_BE_A_REPEAT)) == wanted
            or (post.kind == "ask" and _bare(shown.first.removesuffix(MAY_BE_A_REPEAT)) == wanted)
        )
    ]


def _marked(shown: Shown) -> bool:
    return (shown.first or shown.text).endswith(MAY_BE_A_REPEAT) or shown.text.endswith(MAY_BE_A_REPEAT)


def _bare(text: str) -> str:
    """Without what a platform may change: where lines end and how lists are drawn."""
    return "".join(text.split())


def _has_words(text: str, wanted: str) -> bool:
    """All words of `wanted`, in their order; what was done between them may be shown there too."""
    words = iter(text.split())
    return all(word in words for word in wanted.split())


def _name(run: RunRow) -> str:
    return f"run {run.number} of {run.session} ({run.state})"
