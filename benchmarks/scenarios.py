"""What the system under test goes through, each in a process of its own; see `subject`."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import msgspec

from adapters.opencode.server import OpencodeServer, OpencodeServerSettings
from benchmarks import system
from benchmarks.chat import PLATFORM, RecordingChat
from benchmarks.machine import resident_mb
from benchmarks.stats import Summary, summary
from benchmarks.system import NoGit, TimedGit
from bot.clock import SystemClock
from bot.service import Service
from core.model import LOCAL_PERSON, Inbound, Person, Place, RunId
from core.ports import AgentRun, Workspace
from core.progress import Progress, fold

WARMING = 1.0  # seconds after the last run began in which nothing is counted
PROBE_PAUSE = 0.05  # seconds between messages to the session that is asked beside the live ones
PATIENCE = 120.0  # seconds for a whole scenario


class Live(msgspec.Struct, frozen=True):
    """`runs` stream `rate` events a second each for `seconds`, shown at `interval`."""

    state_dir: str
    project: str
    url: str
    runs: int
    interval: float
    rate: int = 20
    seconds: float = 6.0


class LiveFound(msgspec.Struct, frozen=True):
    """Times in ms, of events that were sent while all runs were live; memory in MB."""

    prompts: Summary  # message in → prompt at the server
    events: Summary  # event sent → chat called with it, its pace's waiting apart
    early: Summary  # the same for the first and …
    late: Summary  # … the last quarter of the time
    per_second: float
    chat_calls: float  # a run and second
    cpu: float  # share of one core
    seconds: float  # of counting
    idle_mb: float
    live_mb: float


class Prompts(msgspec.Struct, frozen=True):
    """`count` messages one after the other on real git, nothing else going on."""

    state_dir: str
    project: str
    url: str
    count: int = 25


class PromptsFound(msgspec.Struct, frozen=True):
    """Times in ms."""

    with_git: Summary  # message in → prompt at the server
    without_git: Summary  # the same, less that message's own snapshot
    before: Summary  # the snapshot before each run
    after: Summary


class Sequence(msgspec.Struct, frozen=True):
    """`count` runs one after the other, over a few sessions."""

    state_dir: str
    project: str
    url: str
    count: int = 2000
    sessions: int = 20
    events: int = 20


class SequenceFound(msgspec.Struct, frozen=True):
    """Resident memory in MB after so many runs; runs a second."""

    resident: dict[int, float]
    per_second: float


class Burst(msgspec.Struct, frozen=True):
    """`runs` at once get `events` each as fast as they are taken."""

    state_dir: str
    project: str
    url: str
    runs: int = 50
    events: int = 4000


class BurstFound(msgspec.Struct, frozen=True):
    """Seconds of processor and of wall clock for all events."""

    events: int
    cpu: float
    wall: float


class Subject:
    """A service that is running, and somebody who talks to it."""

    def __init__(self, service: Service, chat: RecordingChat) -> None:
        self.chat = chat
        self._parts = service.parts
        self._ids = itertools.count(1)
        self._person = Person(LOCAL_PERSON, "bench")

    async def say(self, text: str, thread: str = "") -> RunId:
        """A message as a platform would hand it over; the run it began."""
        place = Place(PLATFORM, "chat", thread)
        event = f"e{next(self._ids)}"
        inbound = Inbound(PLATFORM, event, place, self._person, text, datetime.now(UTC))
        reply = await self._parts.reception.receive(inbound)
        if reply.run is None:
            raise RuntimeError(f"not accepted: {reply.document.markdown}")
        return reply.run

    async def start(self, count: int) -> list[str]:
        """That many sessions, each with its first run behind it; their threads."""
        threads = [f"{system.PROJECT}#{number}" for number in range(1, count + 1)]
        for thread in threads:
            await self._first_word(await self.say(f"/start {thread} stream 1 at 0"))
        return threads

    async def probe(self, thread: str) -> int:
        """From a message until the server has its prompt, in ns."""
        began = time.monotonic_ns()
        first = await self._first_word(await self.say("stream 1 at 0", thread))
        return int(first[1:]) - began

    async def _first_word(self, run: RunId) -> str:
        answer = await self.chat.answer_of(run)
        if not answer.startswith("@"):
            raise RuntimeError(f"a run failed: {answer}")
        return answer.partition(" ")[0]


@asynccontextmanager
async def _subject(
    order: Live | Prompts | Sequence, workspace: Workspace, interval: float, runs: int
) -> AsyncIterator[Subject]:
    state_dir = Path(order.state_dir)
    chosen = system.settings(state_dir, order.url, Path(order.project), runs)
    chat = RecordingChat(interval)
    async with Service(system.compose(chosen, chat, workspace), state_dir) as service:
        await service.resume()
        yield Subject(service, chat)


async def live(order: Live) -> LiveFound:
    """The way through while many runs are live."""
    async with _subject(order, NoGit(), order.interval, order.runs + 2) as subject:
        *threads, probed = await subject.start(order.runs + 1)
        chat = subject.chat
        idle_mb = resident_mb()
        # Long enough for the last to begin while the first goes on, on a slow machine too; what is left is cut off.
        ramp = 0.1 * order.runs + 2 * WARMING
        events = int((order.seconds + ramp) * order.rate)
        for thread in threads:
            await subject.say(f"stream {events} at {order.rate}", thread)
        await asyncio.sleep(WARMING)
        began, calls, used = time.monotonic_ns(), chat.calls, time.process_time()
        ended = began + int(order.seconds * 1e9)
        probes: list[int] = []
        while time.monotonic_ns() < ended:
            probes.append(await subject.probe(probed))
            await asyncio.sleep(PROBE_PAUSE)
        took = (time.monotonic_ns() - began) / 1e9
        cpu, calls, live_mb = (time.process_time() - used) / took, chat.calls - calls, resident_mb()
        if chat.answers > len(threads) + 1 + len(probes):
            raise RuntimeError("a run ended before the time was over")
        await asyncio.sleep(order.interval + WARMING)  # until what was sent last is shown, too
        quarter = (ended - began) // 4
        lags = {
            span: [lag / 1e6 for sent, lag in zip(chat.sent, chat.lags, strict=True) if span[0] <= sent < span[1]]
            for span in ((began, ended), (began, began + quarter), (ended - quarter, ended))
        }
        counted, early, late = lags.values()
        return LiveFound(
            prompts=summary(probe / 1e6 for probe in probes),
            events=summary(counted),
            early=summary(early),
            late=summary(late),
            per_second=len(counted) / order.seconds,
            chat_calls=(calls - len(probes)) / took / order.runs,
            cpu=cpu,
            seconds=order.seconds,
            idle_mb=idle_mb,
            live_mb=live_mb,
        )


async def prompts(order: Prompts) -> PromptsFound:
    """What git adds."""
    git = TimedGit()
    async with _subject(order, git, 0.0, 2) as subject:
        [thread] = await subject.start(1)
        git.snapshots.clear()
        whole: list[int] = []
        for _ in range(order.count):
            whole.append(await subject.probe(thread))
            await asyncio.sleep(PROBE_PAUSE)
    before, after = git.snapshots[::2], git.snapshots[1::2]
    return PromptsFound(
        with_git=summary(taken / 1e6 for taken in whole),
        without_git=summary((taken - git) / 1e6 for taken, git in zip(whole, before, strict=True)),
        before=summary(taken / 1e6 for taken in before),
        after=summary(taken / 1e6 for taken in after),
    )


async def sequence(order: Sequence) -> SequenceFound:
    """What is left of runs that are over."""
    async with _subject(order, NoGit(), 0.0, 2) as subject:
        threads = await subject.start(order.sessions)
        resident = {0: resident_mb()}
        began = time.monotonic()
        for done, thread in zip(range(1, order.count + 1), itertools.cycle(threads), strict=False):
            await subject.chat.answer_of(await subject.say(f"stream {order.events} at 0", thread))
            if done % (order.count // 4) == 0:
                resident[done] = resident_mb()
        return SequenceFound(resident, order.count / (time.monotonic() - began))


async def burst(order: Burst) -> BurstFound:
    """The adapter and the fold alone, with more to do than they can."""
    agent = OpencodeServer(OpencodeServerSettings(Path(order.state_dir) / "server.json", url=order.url), SystemClock())
    directory = Path(order.project)
    began = [asyncio.Event() for _ in range(order.runs)]

    async def follow(number: int) -> int:
        session = await agent.create_session(directory, f"burst {number}")
        run = AgentRun(session.id, directory, agent.new_message_id(), f"burst {order.events}")
        progress = Progress()
        async with aclosing(agent.run(run)) as events:
            async for event in events:
                began[number].set()
                progress = fold(progress, event)
        return progress.text.count(" ")

    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as client:
        following = [group.create_task(follow(number)) for number in range(order.runs)]
        for each in began:
            await each.wait()
        wall, cpu = time.monotonic(), time.process_time()
        await client.post(f"{order.url}/bench/go")
        await asyncio.wait(following)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    await agent.close()
    taken = sum(task.result() for task in following)
    if taken != order.runs * order.events:
        raise RuntimeError(f"{taken} of {order.runs * order.events} events were taken")
    return BurstFound(taken, cpu, wall)


class Scenario(msgspec.Struct, frozen=True):
    """How one is called."""

    order: type[Any]
    found: type[Any]
    play: Callable[[Any], Awaitable[Any]]


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "live": Scenario(Live, LiveFound, live),
        "prompts": Scenario(Prompts, PromptsFound, prompts),
        "sequence": Scenario(Sequence, SequenceFound, sequence),
        "burst": Scenario(Burst, BurstFound, burst),
    }
)
