"""One `opencode serve` of our own: started when needed, watched, restarted, recycled, and ended whole."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adapters.opencode.binary import HINT, Binary, check_version, find_binary
from adapters.opencode.data import check_data
from adapters.opencode.http import PASSWORD_VARIABLE, Http
from adapters.opencode.processes import family, processes
from adapters.opencode.program import Program, environment
from adapters.opencode.record import Record
from adapters.opencode.served import Child, LeftOver, Served
from adapters.opencode.shell import without_password
from core.errors import AgentDenied, AgentError, AgentUnavailable
from core.ports import Clock

START_TIMEOUT = 30.0  # seconds; 0.9 s on a warm disk
PROBE_TIMEOUT = 5.0  # seconds; a probe sent while the server still binds may never be answered
ATTEMPTS = 3  # a port we chose may be taken before opencode binds it
MAX_PAUSE = 30.0  # seconds before a restart, at most
STEADY = 60.0  # seconds of life after which a crash counts as the first
_LISTENING = re.compile(r"listening on (http://\S+)")


class Health(msgspec.Struct):
    """`GET /global/health`."""

    healthy: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a running server is looked at, and how soon a dead one started again; in seconds."""

    probe_every: float = 5.0  # while runs wait
    probe_timeout: float = PROBE_TIMEOUT
    probes: int = 3  # a server that misses so many in a row hangs
    weigh_every: float = 60.0  # its memory
    first_pause: float = 0.5  # before a restart, doubling with each crash


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How to start the server. `candidates` are tried after `command`; `hidden` are environment names it never sees."""

    command: str
    candidates: Sequence[Path]
    env: Mapping[str, str]
    hidden: frozenset[str]
    password: str  # generated when empty
    max_rss_mb: int
    allow_migration: bool  # of the data of an earlier version
    take_over: bool  # go on with a server that a killed process left, if it would be started the same now
    idle: float  # seconds without a call after which it is ended until it is needed again; 0: never
    state_file: Path
    pace: Pace


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that answered as ours. `generation` grows with every start."""

    http: Http
    version: str
    generation: int


class Supervisor:
    """`has_runs`: whether somebody waits for the server; `down` is called when it is gone, `notice` tells people."""

    def __init__(
        self,
        settings: ServerSettings,
        clock: Clock,
        has_runs: Callable[[], bool],
        down: Callable[[], None],
        notice: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._has_runs = has_runs
        self._down = down
        self._notice = notice
        self._password = settings.password or secrets.token_urlsafe(32)
        self._record = Record(settings.state_file)
        self._starting: asyncio.Task[Endpoint] | None = None
        self._endpoint: Endpoint | None = None
        self._served: Served | None = None
        self._http: Http | None = None
        self._guard: asyncio.Task[None] | None = None
        self._binary: Binary | None = None
        self._generation = 0
        self._crashes = 0
        self._used = 0.0  # when it was last asked for, in the loop's time
        self._closed = False
        self._last_words: deque[str] = deque(maxlen=20)
        self._suspected = asyncio.Event()
        self._ending = asyncio.Lock()

    async def running(self) -> Endpoint:
        """The server, started if it is not there; concurrent callers share one start.

        Raises AgentUnsupported (WouldMigrate for one), AgentUnavailable.
        """
        self._used = asyncio.get_running_loop().time()
        if self._endpoint is not None:
            return self._endpoint
        if self._closed:
            raise AgentUnavailable("opencode was ended with kugetsu")
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(), name="opencode start")
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    async def program(self) -> Program:
        """What the server runs from, for commands beside it. Raises like `running`."""
        await self.running()
        assert self._binary is not None
        return Program(self._binary.path, environment(self._settings.env, self._settings.hidden))

    async def close(self) -> None:
        """End the server and all that it started; it is not started again."""
        self._closed = True
        for task in (self._starting, self._guard):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._end()

    def _started(self, task: asyncio.Task[Endpoint]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # every waiter was told; without waiters there is nobody to tell

    # ── starting ───────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> Endpoint:
        async with self._ending:
            pass  # the one before is gone for good before its successor opens the same data
        if self._crashes:
            await self._clock.sleep(min(self._settings.pace.first_pause * 2 ** (self._crashes - 1), MAX_PAUSE))
        env = self._environment()
        if self._binary is None or not self._binary.path.is_file():
            self._binary = None
            found = await find_binary(self._settings.command, self._settings.candidates, env)
            await check_data(found, env, allow_migration=self._settings.allow_migration)
            self._binary = found
        if endpoint := await self._taken_over(self._binary):
            return self._now(endpoint)
        await self._record.end_left_over()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                endpoint = await self._launch(self._binary, env)
            except AgentUnavailable as error:
                await self._end()
                if attempt == ATTEMPTS:
                    self._crashes += 1
                    raise
                self._notice(f"opencode did not start, trying again: {error}")
                await self._clock.sleep(self._settings.pace.first_pause * attempt)
            except BaseException:
                await self._end()
                raise
            else:
                return self._now(endpoint)
        raise AssertionError("unreachable")

    def _now(self, endpoint: Endpoint) -> Endpoint:
        self._endpoint = endpoint
        self._guard = asyncio.create_task(self._watch(endpoint), name="opencode watch")
        return endpoint

    async def _taken_over(self, binary: Binary) -> Endpoint | None:
        """The server of a process that was killed, with what it is at."""
        left = await self._record.left_over(self._made_from(binary)) if self._settings.take_over else None
        if left is None:
            return None
        leader, port = left
        http = Http(f"http://127.0.0.1:{port}", self._password, self._suspected.set)
        try:
            health = await probe(http)
        except AgentError:
            await http.close()
            return None
        self._http, self._served = http, LeftOver(leader)
        self._generation += 1
        self._notice("the opencode that an earlier kugetsu started still runs, and is gone on with")
        return Endpoint(http, health.version, self._generation)

    def _made_from(self, binary: Binary) -> str:
        """Names binary and configuration; the rest of the environment differs with every start."""
        settings = self._settings
        parts = [str(binary.path), binary.version, sorted(settings.env.items()), sorted(settings.hidden)]
        return hashlib.sha256(msgspec.json.encode([*parts, self._password])).hexdigest()

    async def _launch(self, binary: Binary, env: Mapping[str, str]) -> Endpoint:
        port = _free_port()
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        arguments = ("serve", "--hostname", "127.0.0.1", "--port", str(port))
        try:
            process = await asyncio.create_subprocess_exec(
                binary.path,
                *arguments,
                cwd=env["PWD"],
                env=env,
                stdin=null,
                stdout=pipe,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise AgentUnavailable(f"{binary.path} cannot be started: {error}", HINT) from error
        self._served = Child(process, self._last_words)
        made_from = self._made_from(binary)
        self._record.write(process.pid, port, made_from)
        url = await self._announced(process)
        self._record.write(process.pid, port, made_from)  # again: an npm launcher has brought up the real server by now
        self._generation += 1
        self._http = http = Http(url, self._password, self._suspected.set)
        try:
            health = await probe(http)
        except AgentDenied as error:  # it has our password, so this is not it
            raise AgentUnavailable(f"Another server answers at {url}") from error
        check_version(health.version, f"({binary.path})")
        return Endpoint(http, health.version, self._generation)

    async def _announced(self, process: asyncio.subprocess.Process) -> str:
        """The address it says it listens on."""
        assert process.stdout is not None
        self._last_words.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                async for raw in process.stdout:
                    line = raw.decode(errors="replace").strip()
                    self._last_words.append(line)
                    if found := _LISTENING.search(line):
                        return found.group(1)
        said = " ".join(line for line in self._last_words if line)
        raise AgentUnavailable(f"opencode did not start: {said or 'it said nothing'}", "Try `opencode serve` by hand")

    def _environment(self) -> dict[str, str]:
        """The user's environment without what is hidden. The server stands in a directory that is nobody's project."""
        home = self._settings.state_file.parent / "opencode"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = without_password(environment(self._settings.env, self._settings.hidden), home)
        return {
            **env,
            PASSWORD_VARIABLE: self._password,
            "PWD": str(home),  # opencode believes PWD rather than its working directory
        }

    # ── watching ───────────────────────────────────────────────────────────────────────────────

    async def _watch(self, endpoint: Endpoint) -> None:
        """Until the server is gone, by itself or by our hand."""
        assert self._served is not None
        began = self._clock.now()
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(self._served.ended())
            health = group.create_task(self._health(endpoint))
            weight = group.create_task(self._weigh(self._served.leader, endpoint.http))
            rest = group.create_task(self._rest(endpoint.http))
            tasks = (rest, weight, health, drain)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = next(task.result() for task in tasks if task in done)
            for task in tasks:
                task.cancel()
        self._guard = None
        self._endpoint = None
        recycled = weight in done or rest in done
        lived = (self._clock.now() - began).total_seconds()
        self._crashes = 0 if recycled else 1 if lived > STEADY else self._crashes + 1
        if reason:
            self._notice(reason)
        await asyncio.shield(self._end())
        self._down()

    async def _health(self, endpoint: Endpoint) -> str:
        pace = self._settings.pace
        missed = 0
        while missed < pace.probes:
            self._suspected.clear()
            if not missed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pace.probe_every):
                        await self._suspected.wait()  # a call got no answer: probe now
                if not (self._has_runs() or self._suspected.is_set()):
                    continue
            try:
                await probe(endpoint.http, pace.probe_timeout)
            except AgentError:
                missed += 1
                await self._clock.sleep(pace.probe_every if missed < pace.probes else 0)
            else:
                missed = 0
        return "opencode does not answer any more; it is ended and started again"

    async def _weigh(self, pid: int, http: Http) -> str:
        while True:
            await self._clock.sleep(self._settings.pace.weigh_every)
            try:
                group = await asyncio.to_thread(lambda: family(pid, processes()))
            except (OSError, subprocess.SubprocessError):
                continue  # where memory cannot be measured, nothing is recycled
            megabytes = sum(process.rss for process in group if " serve " in process.command) // 1_000_000
            idle = not self._has_runs() and not http.in_flight
            if megabytes > self._settings.max_rss_mb and idle:
                return f"opencode used {megabytes} MB while idle; it is started afresh when needed"

    async def _rest(self, http: Http) -> str:
        idle = self._settings.idle
        loop = asyncio.get_running_loop()
        if not idle:
            await loop.create_future()
        self._used = loop.time()
        while (left := self._used + idle - loop.time()) > 0:
            await self._clock.sleep(left)
            if http.in_flight or self._has_runs():
                self._used = loop.time()
        self._endpoint = None  # who asks from here on waits for the next one
        return ""

    async def _end(self) -> None:
        async with self._ending:  # who closes while the server is being ended waits for that
            served, self._served = self._served, None
            http, self._http = self._http, None
            self._endpoint = None
            if http is not None:
                await http.close()
            if served is not None:
                await served.end()
                self._record.clear(served.leader)


async def probe(http: Http, within: float = PROBE_TIMEOUT) -> Health:
    """Whether it answers, and as what. Raises AgentUnavailable, AgentDenied."""
    health = await http.get("/global/health", Health, within=within)
    if not health.healthy:
        raise AgentUnavailable(f"opencode at {http.url} says it is not healthy")
    return health


def _free_port() -> int:
    """A free port of our choice: left to itself opencode would take 4096, which the user's own clients look for."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
