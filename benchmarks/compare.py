"""`opencode run`, bare HTTP and kugetsu, side by side on the real opencode with a scripted model.

All work in worktrees of the same repository and go on in one session each. Bare HTTP and kugetsu use the same
`opencode serve`; `opencode run` and kugetsu's `transport: cli` have homes of their own: none waits for another's
database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.console.client import ConsoleClient
from adapters.console.terminal import hello
from adapters.opencode.processes import family, processes
from benchmarks.model import BenchModel
from benchmarks.opencode import served, surroundings
from benchmarks.processes import bot, write_config
from benchmarks.report import Section, Table, Target, ms, spread
from benchmarks.repository import make_repository, snapshots
from benchmarks.stats import Summary, summary
from benchmarks.system import PROJECT
from benchmarks.ways import BareHttp, Kugetsu, OpencodeRun, Timing, Way
from bot.service import SOCKET
from tests.simulators.opencode_home import git_worktree, opencode_home

FILES = 2000
TIMES = 20
CLI = "kugetsu, transport cli"
REST = 25.0  # seconds; what manages sessions for `transport: cli` goes after 20 without use
FIRST_TEXT_RATIO, FINAL_LAG_MS = 10.0, 100.0  # targets

HOW = f"""\
{TIMES} prompts each, the ways taking turns, in worktrees of one repository with {FILES:,} files. *First text*:
from handing the message over until the consumer has the first text of the agent. *Final lag*: from the model's last
byte until the consumer knows that the answer is complete: `opencode run`'s last line (its exit comes later and is named
apart), bare HTTP's `session.idle`, kugetsu's `finished`. Consumers: standard output of the process; an aiohttp client
on `/global/event`; `ConsoleClient` on the socket of `kugetsu run`. opencode's start is in `opencode run`'s figures,
because every message starts it; the server was up and warm for the other two. `opencode run` prints a text only when it
is complete, and so does kugetsu's `transport: cli`, which starts one for each message, too."""

HOW_MEMORY = f"""\
Resident set (MB of a million bytes) of kugetsu and of all its opencode's processes: *at work* the most that was seen
while an answer was streamed, *at rest* {REST:g} s later."""

HOW_GIT = """\
kugetsu's figures above include a git snapshot before the prompt and one after the answer, which the others do not take.
By themselves, in kugetsu's worktree: """


@dataclass(frozen=True, slots=True)
class Figures:
    """One way with one kind of prompt, in ms."""

    first: Summary
    final: Summary
    exit: Summary


async def measure(folder: Path, opencode: Path) -> Section:
    """The section."""
    project = make_repository(folder / "repository", FILES)
    async with AsyncExitStack() as stack:
        model = BenchModel()
        await model.start()
        stack.push_async_callback(model.stop)
        ways, weighed = await _ways(stack, folder, opencode, project, model)
        for way in ways.values():
            await way.ask("warm 0")
        found = {kind: await _rounds(ways, model, kind) for kind in ("trivial", "stream")}
        snapshot = await snapshots(ways["kugetsu"].directory)
        memory = [(name, *await _memory(ways[name], *leaders)) for name, leaders in weighed.items()]
    named = {"trivial": "trivial answer", "stream": "answer streamed over 3 s"}
    rows = [
        (f"{way}, {named[kind]}", *spread(figures.first), *spread(figures.final)[:2], _exit(figures))
        for kind, ways_found in found.items()
        for way, figures in ways_found.items()
    ]
    head = ("", "first text p50 ms", "p95", "n", "final lag p50 ms", "p95", "exit p50")
    p50, p95, count = spread(snapshot)
    how = f"{HOW}\n\n{HOW_GIT}p50 {p50} ms, p95 {p95} ms (n = {count})."
    targets = [target for kind in found for target in _targets(named[kind], found[kind], snapshot.p50)]
    weight = Table(("MB", "kugetsu at work", "its opencode", "kugetsu at rest", "its opencode"), memory)
    how = f"{how}\n\n{HOW_MEMORY}"
    return Section("Side by side on the real opencode", how, [Table(head, rows), weight], targets)


async def _rounds(ways: Mapping[str, Way], model: BenchModel, kind: str) -> dict[str, Figures]:
    timings: dict[str, list[tuple[Timing, float]]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(TIMES):
        for name in order:
            prompt = f"{kind} {name}-{number}"
            timing = await ways[name].ask(prompt)
            timings[name].append((timing, model.ended.pop(prompt)))
        order.append(order.pop(0))
    return {
        name: Figures(
            summary((timing.first - timing.handed) * 1000 for timing, _ in taken),
            summary((timing.final - ended) * 1000 for timing, ended in taken),
            summary((timing.exit - ended) * 1000 for timing, ended in taken),
        )
        for name, taken in timings.items()
    }


async def _ways(
    stack: AsyncExitStack, folder: Path, opencode: Path, project: Path, model: BenchModel
) -> tuple[dict[str, Way], dict[str, tuple[int, int]]]:
    """The ways, and of kugetsu's the processes that lead it and its opencode (the same: what the bot has started)."""
    alone = opencode_home(folder / "home-run", model.url)
    server, attached = await stack.enter_async_context(served(folder, opencode, model.url))
    worktrees = {name: git_worktree(project, folder / f"worktree-{name}", name) for name in ("run", "bare")}
    bare = await stack.enter_async_context(BareHttp.opened(**attached, directory=worktrees["bare"]))
    kugetsu, leader = await stack.enter_async_context(_kugetsu(folder / "kugetsu", project, 1, attached))
    single = {"transport": "cli", "command": str(opencode), "env": opencode_home(folder / "home-cli", model.url).env}
    cli, cli_leader = await stack.enter_async_context(_kugetsu(folder / CLI, project, 2, single))
    ways: dict[str, Way] = {
        "opencode run": OpencodeRun(opencode, {**surroundings(), **alone.env}, worktrees["run"]),
        "bare HTTP": bare,
        "kugetsu": kugetsu,
        CLI: cli,
    }
    return ways, {"kugetsu": (leader, server), CLI: (cli_leader, cli_leader)}


@asynccontextmanager
async def _kugetsu(
    folder: Path, project: Path, number: int, opencode: dict[str, Any]
) -> AsyncIterator[tuple[Kugetsu, int]]:
    """Issue `number` of the project, which has one branch for each."""
    config = write_config(folder, project, opencode)
    async with (
        bot(config) as process,
        await ConsoleClient.connect(folder / "state" / SOCKET, hello(interactive=False)) as client,
    ):
        yield await Kugetsu.started(client, f"{PROJECT}#{number}"), process.pid


async def _memory(way: Way, leader: int, opencode: int) -> tuple[str, str, str, str]:
    """The cells of a row."""
    asking = asyncio.create_task(way.ask("stream memory"))
    seen = []
    while not asking.done():
        seen.append(_resident(leader, opencode))
        await asyncio.sleep(0.2)
    await asking
    await asyncio.sleep(REST)
    rest = _resident(leader, opencode)
    most = (max(own for own, _ in seen), max(theirs for _, theirs in seen))
    return tuple(f"{size / 1e6:.0f}" for size in (*most, *rest))  # type: ignore[return-value]


def _resident(leader: int, opencode: int) -> tuple[int, int]:
    everyone = processes()
    own = sum(process.rss for process in everyone if process.pid == leader)
    return own, sum(process.rss for process in family(opencode, everyone) if process.pid != leader)


def _exit(figures: Figures) -> str:
    return ms(figures.exit.p50) if figures.exit.p50 > figures.final.p50 else ""


def _targets(kind: str, found: Mapping[str, Figures], snapshot: float) -> list[Target]:
    run, bare, kugetsu = found["opencode run"], found["bare HTTP"], found["kugetsu"]
    sooner = run.first.p50 / kugetsu.first.p50
    lag = kugetsu.final.p50 - bare.final.p50
    wanted = f"≤ {FINAL_LAG_MS:g} ms"
    apart = lag - snapshot
    return [
        Target(
            f"first text against `opencode run`, p50, {kind}",
            f"≥ {FIRST_TEXT_RATIO:g} times sooner",
            f"{sooner:.1f} times",
            sooner >= FIRST_TEXT_RATIO,
        ),
        Target(f"final lag over bare HTTP, p50, {kind}", wanted, f"{ms(lag)} ms", lag <= FINAL_LAG_MS),
        Target(f"the same, git snapshot apart, {kind}", wanted, f"{ms(apart)} ms", apart <= FINAL_LAG_MS),
    ]
