"""kugetsu in a process of its own, ended in every way there is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections import deque
from pathlib import Path

from tests.e2e.harness import PATIENCE, Machine, ours, until

KEPT = 400  # lines of its log
LEAVING = 40.0  # seconds for SIGTERM: more than it may take to drain


class BotProcess:
    """One bot at a time, on one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.log: deque[str] = deque(maxlen=KEPT)
        self.kills: list[str] = []  # what had just been passed when it was killed
        self.points = machine.root / "points.log"
        self._orders = machine.root / "kill"
        self._number = 0
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._expected = False  # its end is

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, kill: str = "") -> None:
        """Ready when this returns; or dead, when `kill` came before."""
        assert not self.alive, "the bot runs already"
        self._orders.unlink(missing_ok=True)
        self._expected = bool(kill)
        env = {"KUGETSU_TEST_KILL": kill, "KUGETSU_TEST_KILL_FILE": str(self._orders)}
        env |= {"KUGETSU_TEST_POINTS": str(self.points)}
        self.points.unlink(missing_ok=True)
        words = ("--config", str(self.machine.config), "run")
        self._process = await self.machine.start_process(*words, module="tests.e2e.killed", env=env)
        ready = asyncio.Event()
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, ready)),
            asyncio.create_task(self._read(self._process.stderr, None)),
        ]
        waiting = [asyncio.create_task(ready.wait()), asyncio.create_task(self._process.wait())]
        try:
            await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not ready.is_set():
            await self._ended()
            assert kill, f"the bot did not come up:\n{self.tail}"

    def arm(self, kill: str) -> None:
        """`point:n`: SIGKILL from inside, when that is passed."""
        self._expected = True
        self._number += 1
        temporary = self._orders.with_suffix(".new")
        temporary.write_text(f"{kill}\n{'#' * self._number}", encoding="utf-8")
        temporary.replace(self._orders)

    def disarm(self) -> None:
        """What was ordered and did not come to pass is not wanted any more."""
        self.arm("")
        self._expected = False

    async def kill(self) -> None:
        """SIGKILL now; a bot that is dead already stays so."""
        if self._process and self.alive:
            self._expected = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._ended()

    async def dead(self, seconds: float) -> bool:
        """Wait for the kill that was ordered. False when it did not come."""
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        await self._ended()
        return True

    async def stop(self, *, twice: bool = False) -> None:
        """SIGTERM, and its end."""
        if self._process and self.alive:
            self._expected = True
            self._process.terminate()
            if twice:
                await asyncio.sleep(0.3)  # it has nothing to tell when it has heard the first one
                self._process.terminate()
            async with asyncio.timeout(LEAVING):
                await self._process.wait()
        await self._ended()

    def must_live(self) -> None:
        """Raises AssertionError when it ended and nobody wanted that."""
        if self._process and not self.alive and not self._expected:
            raise AssertionError(f"the bot ended by itself ({self._process.returncode}):\n{self.tail}")

    def fill_disk(self, *, full: bool) -> None:
        """Every write to a file fails from now on, or works again."""
        assert self._process
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    async def kill_opencode(self) -> None:
        """SIGKILL to its opencode server."""
        for process in self._servers():
            os.kill(int(process.name), signal.SIGKILL)

    async def gone(self) -> None:
        """The bot and what it left behind."""
        await self.kill()
        await self.kill_opencode()
        await until(lambda: not self._servers(), "opencode is gone")

    @property
    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(list(self.log)[-60:])

    def _servers(self) -> list[Path]:
        return [each for each in Path("/proc").iterdir() if each.name.isdecimal() and ours(each, self.machine)]

    async def _read(self, stream: asyncio.StreamReader | None, ready: asyncio.Event | None) -> None:
        assert stream
        while line := await stream.readline():
            self.log.append(f"{time.strftime('%H:%M:%S')} {line.decode(errors='replace').rstrip()}")
            if ready and b"listens" in line:
                ready.set()

    async def _ended(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        await process.wait()
        # opencode may live on and hold the pipes: what was printed by now is all that counts.
        if self._readers:
            await asyncio.wait(self._readers, timeout=0.2)
        for reader in self._readers:
            reader.cancel()
        self._readers = []
        self.log.append(f"── ended: {process.returncode}")
        if process.returncode == -signal.SIGKILL:
            passed = self.points.read_text().splitlines() if self.points.exists() else []
            self.kills.append(passed[-1] if passed else "before anything")
