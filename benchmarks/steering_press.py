"""What a person tells a run under way: a decision, stop, a question on the side, "this one now"."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from benchmarks import telegram_model
from benchmarks.report import Section, Table, ms, spread
from benchmarks.stats import Summary, summary
from benchmarks.steering_model import use
from benchmarks.steering_report import at_most
from benchmarks.steering_stage import Pair
from benchmarks.telegram_stage import Said, is_message

TIMES = 20
DECISION_MS, STOP_MS = 50.0, 300.0  # targets
LONG_S = 60.0  # what is stopped would have taken that long
UNDER_WAY = 0.3  # seconds from the first sign of work until it is stopped
SLEEP = 97  # seconds; with the tag's number behind the point it is found among the processes

HOW = f"""\
A person in a private chat of the Telegram simulator, `kugetsu run`, and bare HTTP (an aiohttp client), taking turns on
the same opencode, each in a session of its own, in worktrees of a repository with 2,000 files; {TIMES} times each. From
the button's press (its callback query can be fetched by the bot) or the message until opencode's own stream of events,
`/global/event`, says so: *decision*, `permission.replied`; *stop*, the session's `session.idle`; *queue now*, the next
prompt part of its session, with git snapshots after the stopped run and before the next on kugetsu's side. Bare HTTP
counts from its call (reply; abort; abort, `session.idle`, prompt) to the same event. *Question on the side*: from the
message until the answer is in the chat; for bare HTTP, from the prompt in the session itself to `session.idle`; once
more with a fork made before and deleted after it, as kugetsu does. Runs are stopped {UNDER_WAY:g} s after their first
text, or after `bash` began to run `sleep`. *Model hung up on*: noticed with its next piece of text, 50 ms at most after
it happened."""

Samples = defaultdict[str, list[float]]
Found = Mapping[str, Summary]  # in ms


async def measure(pairs: list[Pair]) -> Section:
    """The section, in about five minutes."""
    decisions, stops, asides, queues = pairs
    samples: Samples = defaultdict(list)
    for _ in range(TIMES):
        await _decide(decisions, samples)
        await _stop(stops, samples)
        await _stop_tool(stops, samples)
        await _aside(asides, samples)
        await _queue_now(queues, samples)
    left = samples.pop("left")
    found = {name: summary(seconds * 1000 for seconds in taken) for name, taken in samples.items()}
    how = f"{HOW} Of the {len(left)} stopped commands {int(sum(left))} still ran when opencode was idle."
    targets = [
        at_most(f"{what}, {name}", value, most)
        for what, key, most in (
            ("decision pressed → opencode told", "decision", DECISION_MS),
            ("stop pressed → opencode idle, while the model streams", "stop", STOP_MS),
            ("stop pressed → opencode idle, while a tool runs", "tool", STOP_MS),
        )
        for name, value in (("p50", found[key].p50), ("p95", found[key].p95))
    ]
    return Section("Steering a run from Telegram", how, [_side_by_side(found), _seen_in_the_chat(found)], targets)


# ── decisions ──────────────────────────────────────────────────────────────────────────────────


async def _decide(pair: Pair, samples: Samples) -> None:
    tag, events = pair.model.tag(), pair.events
    said = await pair.talk.say(use(tag, f"touch asked-{tag}"))
    await said.answered("May it use")
    await pair.talk.quiet()
    begin = events.mark()
    press = await pair.press(said, "May it use", "once")
    told = await events.first(lambda heard: heard.kind == "permission.replied", begin)
    samples["decision"].append(told.at - press.pressed)
    samples["decision answered"].append(press.waited or 0.0)
    await said.answered(telegram_model.last(tag))

    tag, begin, bare = pair.model.tag(), events.mark(), pair.bare
    await bare.prompt(use(tag, f"touch asked-{tag}"))
    request = (await events.of("permission.asked", bare.id, begin)).properties["id"]
    await asyncio.sleep(UNDER_WAY)
    at = monotonic()
    await events.call("POST", f"/permission/{request}/reply", bare.directory, {"reply": "once"})
    samples["bare decision"].append((await events.of("permission.replied", bare.id, begin)).at - at)
    await events.idle_after(bare.id, telegram_model.last(tag), begin)


# ── stop ───────────────────────────────────────────────────────────────────────────────────────


async def _stop(pair: Pair, samples: Samples) -> None:
    tag, events = pair.model.tag(), pair.events
    prompt, begin = telegram_model.prompt(LONG_S, tag), events.mark()
    await pair.talk.quiet()
    said = await pair.talk.say(prompt)
    session = (await events.prompted(prompt, begin)).session
    await said.shown(telegram_model.first(tag))
    pressed = await _pressed_stop(pair, said, session, "stop", samples)
    samples["stop model"].append(await pair.model.closed(tag) - pressed)

    tag, begin, bare = pair.model.tag(), events.mark(), pair.bare
    await bare.prompt(telegram_model.prompt(LONG_S, tag))
    await events.of("message.part.delta", bare.id, begin)
    at = await _abort(pair, "bare stop", samples)
    samples["bare stop model"].append(await pair.model.closed(tag) - at)


async def _stop_tool(pair: Pair, samples: Samples) -> None:
    events = pair.events
    for way in ("tool", "bare tool"):
        tag, begin = pair.model.tag(), events.mark()
        seconds = f"{SLEEP}.{tag[1:]}"
        prompt = use(tag, f"sleep {seconds}")
        if way == "tool":
            await pair.talk.quiet()
            said = await pair.talk.say(prompt)
        else:
            await pair.bare.prompt(prompt)
        session = (await events.prompted(prompt, begin)).session
        await events.works("bash", session, begin)
        while not _sleeps(seconds):
            await asyncio.sleep(0.02)
        if way == "tool":
            await _pressed_stop(pair, said, session, way, samples)
            samples["left"].append(float(_sleeps(seconds)))
        else:
            await _abort(pair, way, samples)


async def _pressed_stop(pair: Pair, said: Said, session: str, name: str, samples: Samples) -> float:
    """Returns when it was pressed."""
    await asyncio.sleep(UNDER_WAY)
    begin = pair.events.mark()
    press = await pair.press(said, "is working")
    samples[name].append((await pair.events.of("session.idle", session, begin)).at - press.pressed)
    samples[f"{name} answered"].append(press.waited or 0.0)
    over = await said.seen(lambda event: is_message(event, "■"))
    samples[f"{name} shown"].append(over.monotonic - press.pressed)
    return press.pressed


async def _abort(pair: Pair, name: str, samples: Samples) -> float:
    """Returns when it was called."""
    await asyncio.sleep(UNDER_WAY)
    begin, at = pair.events.mark(), monotonic()
    await pair.bare.post("abort")
    samples[name].append((await pair.events.of("session.idle", pair.bare.id, begin)).at - at)
    await asyncio.sleep(UNDER_WAY)  # it may say so twice
    return at


def _sleeps(seconds: str) -> bool:
    """Whether a `sleep` of just so long is among the processes."""
    wanted = f"sleep\0{seconds}\0".encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if process.read_bytes() == wanted:
                return True
        except OSError:  # it is gone
            continue
    return False


# ── questions on the side, and what goes first ─────────────────────────────────────────────────


async def _aside(pair: Pair, samples: Samples) -> None:
    await pair.talk.quiet()
    tag = pair.model.tag()
    said = await pair.talk.say(f"/btw {telegram_model.prompt(0, tag)}")
    samples["aside"].append(await said.answered(telegram_model.last(tag)) - said.at)
    samples["bare aside"].append(await pair.ask_bare(0))
    at = monotonic()
    fork = await pair.bare.forked()
    await pair.ask_bare(0, fork)
    await fork.delete()
    samples["forked aside"].append(monotonic() - at)


async def _queue_now(pair: Pair, samples: Samples) -> None:
    tag, next_tag, events = pair.model.tag(), pair.model.tag(), pair.events
    await pair.talk.quiet()
    running = await pair.talk.say(telegram_model.prompt(LONG_S, tag))
    await running.shown(telegram_model.first(tag))
    waiting = await pair.talk.say(telegram_model.prompt(0, next_tag))
    await waiting.answered("Queued at 1")
    await asyncio.sleep(UNDER_WAY)
    begin = events.mark()
    now = await pair.talk.say("/queue now")
    told = await events.prompted(telegram_model.prompt(0, next_tag), begin)
    samples["queue"].append(told.at - now.at)
    await waiting.answered(telegram_model.last(next_tag))

    tag, next_tag, begin, bare = pair.model.tag(), pair.model.tag(), events.mark(), pair.bare
    await bare.prompt(telegram_model.prompt(LONG_S, tag))
    await events.of("message.part.delta", bare.id, begin)
    await asyncio.sleep(UNDER_WAY)
    begin, at = events.mark(), monotonic()
    await bare.post("abort")
    await events.of("session.idle", bare.id, begin)
    await bare.prompt(telegram_model.prompt(0, next_tag))
    samples["bare queue"].append((await events.prompted(telegram_model.prompt(0, next_tag), begin)).at - at)
    await events.idle_after(bare.id, telegram_model.last(next_tag), begin)


# ── tables ─────────────────────────────────────────────────────────────────────────────────────


def _side_by_side(found: Found) -> Table:
    rows = [
        (what, *spread(found[ours])[:2], *spread(found[theirs])[:2], ms(found[ours].p50 - found[theirs].p50), count)
        for what, ours, theirs in (
            ("decision → opencode told", "decision", "bare decision"),
            ("stop → idle, while the model streams", "stop", "bare stop"),
            ("stop → model hung up on", "stop model", "bare stop model"),
            ("stop → idle, while a tool runs", "tool", "bare tool"),
            ("queue now → next prompt sent", "queue", "bare queue"),
            ("question on the side → answer", "aside", "bare aside"),
            ("the same over a forked session", "aside", "forked aside"),
        )
        for count in (str(found[ours].count),)
    ]
    return Table(("", "kugetsu p50 ms", "p95", "bare HTTP p50 ms", "p95", "over it p50", "n"), rows)


def _seen_in_the_chat(found: Found) -> Table:
    rows = [
        (what, *spread(found[name]))
        for what, name in (
            ("decision: button answered", "decision answered"),
            ("stop while the model streams: button answered", "stop answered"),
            ("stop while the model streams: the run's end in the chat", "stop shown"),
            ("stop while a tool runs: button answered", "tool answered"),
            ("stop while a tool runs: the run's end in the chat", "tool shown"),
        )
    ]
    return Table(("in the chat", "p50 ms", "p95", "n"), rows)
