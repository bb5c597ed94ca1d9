"""Telegram against bare HTTP, side by side on the same real opencode; and what happens when something breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from benchmarks import telegram_model
from benchmarks.machine import resident_mb
from benchmarks.opencode import served
from benchmarks.report import Section, Table, Target, ms, spread
from benchmarks.repository import make_repository, snapshots
from benchmarks.stats import Summary, summary
from benchmarks.telegram_model import SpeakingModel
from benchmarks.telegram_stage import Talk, Telegram, telegram
from benchmarks.ways import BareHttp
from tests.simulators.opencode_home import git_worktree
from tests.simulators.telegram import Limits

FILES = 100
TRIVIAL, STREAMS = 20, 10  # rounds
STREAM_S = 3.0
CHATS, CHATS_ROUNDS, CHATS_S = 8, 4, 2.0
PACED_AT_ONCE, PACED_ROUNDS, PACED_S = 5, 4, 10.0
OUTAGE_S = 10.0
REST = 1.1  # seconds between two prompts; a chat's limit of a call a second is of no account any more then
IDLE_S = 2.0  # seconds an idle bot is left alone before its memory is read
# A call a second in a private chat, whatever it shows, and not one more.
STRICT = Limits(private_per_second=1.0, private_burst=1, drafts_count=True)
# Targets, in s over bare HTTP where there is such a thing, and MB.
SIGN_S, TRIVIAL_S, FIRST_S, FINAL_S, PACED_FINAL_S, CHATS_LAST_S, IDLE_MB = 0.05, 0.08, 0.12, 0.08, 0.60, 4.0, 110.0

HOW = f"""\
A person in a private chat of the simulator, `kugetsu run` with Telegram alone, and bare HTTP (an aiohttp client on
`/global/event`), taking turns on the same opencode, in worktrees of a repository with {FILES} files. Simulator, people
and model share the bench's process; the bot and opencode have their own. Times are the simulator's: from the update
being there to be fetched until the reaction, the draft or the message is shown. Bare HTTP counts from handing over the
prompt, to the first text and to `session.idle`. *Final lag*: after the model's last byte. Before each prompt all rest
for {REST:g} s, so that the chat's limit of a call a second is of no account. kugetsu takes a git snapshot before the
prompt and one after the answer, bare HTTP none: """

HOW_PACED = f"""\
{PACED_AT_ONCE} chats at once, {PACED_ROUNDS} times. The simulator takes one call a second from each chat, drafts, sends
and edits alike, and refuses what comes sooner with 429. Streams are {PACED_S:g} to {PACED_S + 1:g} s long, evenly
spread, so that their ends fall anywhere between two calls."""

HOW_CHATS = f"""\
{CHATS} chats, each with a session of its own, get a prompt in the same moment, and then {CHATS} sessions by bare HTTP;
{CHATS_ROUNDS} times. The answers are streamed over {CHATS_S:g} s. *Last answer*: from the prompts until the last of
them has its answer."""

HOW_TROUBLE = f"""\
Each played once, on the simulator and the real opencode, and counted in the chat {IDLE_S:g} s after the answer came.
*Killed*: by SIGKILL after its first draft, and started again when the model had ended. *Outage*: every connection to
Telegram is reset for {OUTAGE_S:g} s from the model's last byte on."""


@dataclass(slots=True)
class Times:
    """In seconds."""

    sign: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)  # from the prompt
    final: list[float] = field(default_factory=list)  # after the model's last byte

    def summed(self) -> dict[str, Summary]:
        """In ms."""
        named = {"sign": self.sign, "first": self.first, "answer": self.answer, "final": self.final}
        return {name: summary(value * 1000 for value in found) for name, found in named.items() if found}


@dataclass(frozen=True, slots=True)
class Rig:
    """All that takes part."""

    model: SpeakingModel
    bare: Sequence[BareHttp]
    phone: Telegram
    state: Path


async def measure(folder: Path, opencode: Path) -> list[Section]:
    """All of it, in about four minutes."""
    async with AsyncExitStack() as stack:
        rig = await _rig(stack, folder, opencode)
        async with rig.phone.bot() as process:
            await asyncio.sleep(IDLE_S)
            idle = resident_mb(process.pid)
            await _begin(rig)
            sections = [await _side_by_side(rig, idle), await _paced(rig), await _chats(rig)]
        sections.append(await _trouble(rig))
    return sections


async def _rig(stack: AsyncExitStack, folder: Path, opencode: Path) -> Rig:
    project = make_repository(folder / "repository", FILES)
    model = SpeakingModel()
    await model.start()
    stack.push_async_callback(model.stop)
    _, server = await stack.enter_async_context(served(folder, opencode, model.url))
    bare = []
    for number in range(CHATS):
        worktree = git_worktree(project, folder / f"bare-{number}", f"bare-{number}")
        bare.append(await stack.enter_async_context(BareHttp.opened(server["url"], server["password"], worktree)))
    phone = await stack.enter_async_context(telegram(folder / "kugetsu", project, server, CHATS, Limits()))
    return Rig(model, bare, phone, phone.state)


async def _begin(rig: Rig) -> None:
    """Every session with its first answers behind it."""
    for round_ in ("first", "second"):
        for talk, bare in zip(rig.phone.talks, rig.bare, strict=True):
            await bare.ask(telegram_model.prompt(0, rig.model.tag()))
            tag = rig.model.tag()
            prompt = telegram_model.prompt(0, tag)
            said = await (talk.start(prompt) if round_ == "first" else talk.say(prompt))
            await said.answered(telegram_model.last(tag))


# ── one chat and bare HTTP in turns ────────────────────────────────────────────────────────────


async def _side_by_side(rig: Rig, idle: float) -> Section:
    talk, bare = rig.phone.talks[0], rig.bare[0]
    calls = len(rig.phone.sim.log.calls)
    found: dict[str, tuple[dict[str, Summary], dict[str, Summary]]] = {}
    for name, seconds, rounds in (("trivial", 0.0, TRIVIAL), ("stream", STREAM_S, STREAMS)):
        ours, theirs = Times(), Times()
        for _ in range(rounds):
            await talk.quiet()
            await _ask_bare(rig.model, bare, seconds, theirs)
            await asyncio.sleep(REST)
            await _ask_phone(rig.model, talk, seconds, ours)
        found[name] = ours.summed(), theirs.summed()
    snapshot = await snapshots(sorted((rig.state / "worktrees").iterdir())[0])
    head = (
        "",
        "sign p50 ms",
        "p95",
        "first text p50 ms",
        "p95",
        "answer p50 ms",
        "p95",
        "final lag p50 ms",
        "p95",
        "n",
    )
    names = {"trivial": "one word", "stream": f"streamed over {STREAM_S:g} s"}
    rows = [
        (f"{way}, {names[kind]}", *_cells(sums), str(sums["answer"].count))
        for kind, pair in found.items()
        for way, sums in zip(("kugetsu", "bare HTTP"), pair, strict=True)
    ]
    p50, p95, count = spread(snapshot)
    how = f"{HOW}p50 {p50} ms, p95 {p95} ms each (n = {count}), in kugetsu's worktree."
    refused = rig.phone.refusals(calls)
    rows_idle = Table(("", "MB"), [("`kugetsu run` with Telegram alone, idle (VmRSS)", f"{idle:.1f}")])
    memory = Target("resident memory, idle, Telegram alone", f"≤ {IDLE_MB:g} MB", f"{idle:.0f} MB", idle <= IDLE_MB)
    targets = [*_targets(found, snapshot.p50), _none_refused("one chat", refused), memory]
    return Section("Telegram on the real opencode", how, [Table(head, rows), rows_idle], targets)


async def _ask_phone(model: SpeakingModel, talk: Talk, seconds: float, times: Times) -> None:
    tag = model.tag()
    said = await talk.say(telegram_model.prompt(seconds, tag))
    answered = await said.answered(telegram_model.last(tag))
    shown = await said.shown(telegram_model.first(tag) if seconds else telegram_model.last(tag))
    times.sign.append(await said.sign() - said.at)
    times.first.append(shown - said.at)
    times.answer.append(answered - said.at)
    times.final.append(answered - await model.ended(tag))


async def _ask_bare(model: SpeakingModel, bare: BareHttp, seconds: float, times: Times) -> None:
    tag = model.tag()
    timing = await bare.ask(telegram_model.prompt(seconds, tag))
    times.first.append(timing.first - timing.handed)
    times.answer.append(timing.final - timing.handed)
    times.final.append(timing.final - await model.ended(tag))


def _cells(sums: dict[str, Summary]) -> list[str]:
    names = ("sign", "first", "answer", "final")
    return [cell for name in names for cell in (spread(sums[name])[:2] if name in sums else ("", ""))]


def _targets(found: dict[str, tuple[dict[str, Summary], dict[str, Summary]]], snapshot: float) -> list[Target]:
    trivial, bare_trivial = found["trivial"]
    stream, bare_stream = found["stream"]
    answer = trivial["answer"].p50 - bare_trivial["answer"].p50
    return [
        _at_most("update → visible sign, p50", trivial["sign"].p50, SIGN_S),
        _at_most("one-word answer over bare HTTP, p50", answer, TRIVIAL_S),
        _at_most("the same, its two git snapshots apart", answer - 2 * snapshot, TRIVIAL_S),
        _at_most(
            f"{STREAM_S:g} s stream: first text over bare HTTP, p50",
            stream["first"].p50 - bare_stream["first"].p50,
            FIRST_S,
        ),
        _at_most("one-word answer: final lag, git snapshot apart, p50", trivial["final"].p50 - snapshot, FINAL_S),
        _at_most(
            "the same over bare HTTP",
            trivial["final"].p50 - snapshot - bare_trivial["final"].p50,
            FINAL_S,
        ),
    ]


def _at_most(what: str, found_ms: float, most_s: float) -> Target:
    return Target(what, f"≤ {most_s * 1000:g} ms", f"{ms(found_ms)} ms", found_ms <= most_s * 1000)


def _none_refused(what: str, refused: int) -> Target:
    return Target(f"calls refused with 429, {what}", "0", str(refused), refused == 0)


# ── a call a second ────────────────────────────────────────────────────────────────────────────


async def _paced(rig: Rig) -> Section:
    sim = rig.phone.sim
    await asyncio.sleep(1.0)
    sim.set_limits(STRICT)
    calls = len(sim.log.calls)
    times = Times()
    count = PACED_AT_ONCE * PACED_ROUNDS
    for round_ in range(PACED_ROUNDS):
        async with asyncio.TaskGroup() as group:
            for place, talk in enumerate(rig.phone.talks[:PACED_AT_ONCE]):
                await talk.quiet()
                extra = (place * PACED_ROUNDS + round_) / count
                group.create_task(_ask_phone(rig.model, talk, PACED_S + extra, times))
    refused = rig.phone.refusals(calls)
    await asyncio.sleep(1.0)
    sim.set_limits(Limits())
    final = times.summed()["final"]
    p50, p95, number = spread(final)
    table = Table(("", "p50 ms", "p95", "n"), [("final lag", p50, p95, number)])
    targets = [
        _at_most(f"{PACED_S:g} s stream under 1 call/s: final lag, p50", final.p50, PACED_FINAL_S),
        _none_refused(f"{PACED_S:g} s stream under 1 call/s", refused),
    ]
    return Section("Telegram under one call a second", HOW_PACED, [table], targets)


# ── many chats at once ─────────────────────────────────────────────────────────────────────────


async def _chats(rig: Rig) -> Section:
    lasts: dict[str, list[float]] = {"kugetsu": [], "bare HTTP": []}
    for _ in range(CHATS_ROUNDS):
        times = Times()
        for talk in rig.phone.talks:
            await talk.quiet()
        async with asyncio.TaskGroup() as group:
            for talk in rig.phone.talks:
                group.create_task(_ask_phone(rig.model, talk, CHATS_S, times))
        lasts["kugetsu"].append(max(times.answer) * 1000)
        times = Times()
        async with asyncio.TaskGroup() as group:
            for bare in rig.bare:
                group.create_task(_ask_bare(rig.model, bare, CHATS_S, times))
        lasts["bare HTTP"].append(max(times.answer) * 1000)
    found = {way: summary(taken) for way, taken in lasts.items()}
    rows = [(f"{way}, last answer", ms(sums.p50), ms(sums.max), str(sums.count)) for way, sums in found.items()]
    target = _at_most(f"{CHATS} chats at once, {CHATS_S:g} s stream: last answer, p50", found["kugetsu"].p50, 4.0)
    return Section("Telegram in many chats at once", HOW_CHATS, [Table(("", "p50 ms", "max", "n"), rows)], [target])


# ── trouble ────────────────────────────────────────────────────────────────────────────────────


async def _trouble(rig: Rig) -> Section:
    model, phone = rig.model, rig.phone
    killed, down, cut_off = model.tag(), model.tag(), model.tag()
    async with phone.bot() as process:
        said_killed = await phone.talks[0].say(telegram_model.prompt(3.0, killed))
        await said_killed.shown(telegram_model.first(killed))
        process.kill()
        await process.wait()
    said_down = await phone.talks[1].say(telegram_model.prompt(0, down))
    await model.ended(killed)
    await asyncio.sleep(1.0)
    began = monotonic()
    async with phone.bot():
        times = [await said_killed.answered(telegram_model.last(killed)) - began]
        times.append(await said_down.answered(telegram_model.last(down)) - began)
        said_cut_off = await phone.talks[2].say(telegram_model.prompt(2.0, cut_off))
        ended = await model.ended(cut_off)
        phone.sim.outage(OUTAGE_S)
        times.append(await said_cut_off.answered(telegram_model.last(cut_off)) - ended - OUTAGE_S)
        await phone.gather()
        counted = [
            said_killed.count(telegram_model.last(killed)),
            said_down.count(telegram_model.last(down)),
            said_cut_off.count(telegram_model.last(cut_off)),
        ]
    names = (
        ("killed mid-run, back after the run's end", "the start"),
        ("message sent while the bot is down", "the start"),
        (f"{OUTAGE_S:g} s outage exactly at the answer", "the outage's end"),
    )
    rows = [
        (name, f"{taken:.2f} s after {since}", str(count))
        for (name, since), taken, count in zip(names, times, counted, strict=True)
    ]
    wanted = ("delivered, once", "answered", "delivered, once")
    targets = [
        Target(name, want, f"{count} {'time' if count == 1 else 'times'}", count == 1)
        for (name, _), want, count in zip(names, wanted, counted, strict=True)
    ]
    table = Table(("", "the answer came", "times"), rows)
    return Section("Telegram when something breaks", HOW_TROUBLE, [table], targets)
