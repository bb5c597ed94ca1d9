"""`opencode run`, bare HTTP and kugetsu, side by side on the real opencode with a scripted model.

All three work in worktrees of the same repository and go on in one session each. Bare HTTP and kugetsu use the same
`opencode serve`; `opencode run` has a home of its own, so that neither waits for the other's database.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from adapters.console.client import ConsoleClient
from adapters.console.terminal import hello
from adapters.git.workspace import GitWorkspace
from benchmarks.model import BenchModel
from benchmarks.processes import bot, started, write_config
from benchmarks.report import Section, Table, Target, ms, spread
from benchmarks.repository import make_repository
from benchmarks.stats import Summary, summary
from benchmarks.system import PROJECT
from benchmarks.ways import BareHttp, Kugetsu, OpencodeRun, Timing, Way
from bot.service import SOCKET
from tests.simulators.opencode_home import git_worktree, opencode_home

FILES = 2000
TIMES = 20
SNAPSHOTS = 20
REF = f"{PROJECT}#1"
FIRST_TEXT_RATIO, FINAL_LAG_MS = 10.0, 100.0  # targets

HOW = f"""\
{TIMES} prompts each, the three ways taking turns, in worktrees of one repository with {FILES:,} files. *First text*:
from handing the message over until the consumer has the first text of the agent. *Final lag*: from the model's last
byte until the consumer knows that the answer is complete: `opencode run`'s last line (its exit comes later and is named
apart), bare HTTP's `session.idle`, kugetsu's `finished`. Consumers: standard output of the process; an aiohttp client
on `/global/event`; `ConsoleClient` on the socket of `kugetsu run`. opencode's start is in `opencode run`'s figures,
because every message starts it; the server was up and warm for the other two. `opencode run` prints a text only when it
is complete."""

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
        ways = await _ways(stack, folder, opencode, project, model)
        for way in ways.values():
            await way.ask("warm 0")
        found = {kind: await _rounds(ways, model, kind) for kind in ("trivial", "stream")}
        snapshot = await _snapshots(ways["kugetsu"].directory)
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
    return Section("Side by side on the real opencode", how, [Table(head, rows)], targets)


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
) -> dict[str, Way]:
    password = secrets.token_urlsafe(16)
    base = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    alone = opencode_home(folder / "home-run", model.url)
    shared = opencode_home(folder / "home-serve", model.url)
    env = {**base, **shared.env, "OPENCODE_SERVER_PASSWORD": password, "PWD": str(folder)}
    serve = (opencode, "serve", "--hostname", "127.0.0.1", "--port", "0")
    _, line = await stack.enter_async_context(started(*serve, ready="listening on", env=env, cwd=folder))
    found = re.search(r"http://\S+", line)
    assert found
    url = found.group()
    worktrees = {name: git_worktree(project, folder / f"worktree-{name}", name) for name in ("run", "bare")}
    bare = await stack.enter_async_context(BareHttp.opened(url, password, worktrees["bare"]))
    kugetsu = await stack.enter_async_context(_kugetsu(folder / "kugetsu", project, {"url": url, "password": password}))
    return {
        "opencode run": OpencodeRun(opencode, {**base, **alone.env}, worktrees["run"]),
        "bare HTTP": bare,
        "kugetsu": kugetsu,
    }


@asynccontextmanager
async def _kugetsu(folder: Path, project: Path, opencode: dict[str, str]) -> AsyncIterator[Kugetsu]:
    config = write_config(folder, project, opencode)
    async with (
        bot(config),
        await ConsoleClient.connect(folder / "state" / SOCKET, hello(interactive=False)) as client,
    ):
        yield await Kugetsu.started(client, REF)


async def _snapshots(directory: Path) -> Summary:
    """kugetsu's own snapshot of its worktree, as it takes one before and after each run."""
    git = GitWorkspace(os.environ, lambda _warning: None)
    times: list[float] = []
    for number in range(SNAPSHOTS):
        began = monotonic()
        await git.snapshot(directory, f"bench/{number}")
        times.append((monotonic() - began) * 1000)
    return summary(times)


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
