"""kugetsu, killed by SIGKILL at a fault point: `KUGETSU_TEST_KILL="fork made" python -m tests.e2e.killed start …`.

Fault points are those that core names (`surroundings.fault`), and besides: every write of the store
(`store.save_post`), every call of a chat platform that has an effect (`chat.send`) and every one of the agent
(`agent.fork_session`), each when it is done and nobody has heard of it yet.

- `KUGETSU_TEST_KILL`: `point`, or `point:3` for the third time it is passed.
- `KUGETSU_TEST_KILL_FILE`: a file that may say the same while the process runs; counted from when it was written.
- `KUGETSU_TEST_POINTS`: a file that gets a line for every point that was passed.
"""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

from adapters.store.sql import SqlStore
from adapters.telegram import messenger as telegram
from bot import program, wiring
from bot.cli import main
from bot.opencode import opencode_agent

SHOWS = ("send", "edit", "draft", "react", "open_thread", "rename_thread", "close_thread")  # of a messenger


@dataclass(slots=True)
class Death:
    """Comes when `at` is passed for the time that was asked for."""

    at: str = ""
    left: int = 0

    @classmethod
    def told(cls, words: str) -> Death:
        """`point` or `point:3`."""
        point, _, times = words.partition("\n")[0].strip().partition(":")
        return cls(point, int(times or 1) if point else 0)

    def passes(self, point: str) -> bool:
        """Whether this is the moment."""
        self.left -= point == self.at
        return bool(self.at) and point == self.at and self.left == 0


class Faults:
    """The fault hook."""

    def __init__(self) -> None:
        self._death = Death.told(os.environ.get("KUGETSU_TEST_KILL", ""))
        self._orders = os.environ.get("KUGETSU_TEST_KILL_FILE", "")
        self._read = ""
        points = os.environ.get("KUGETSU_TEST_POINTS", "")
        self._points = os.open(points, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if points else -1

    def __call__(self, point: str) -> None:
        self._look()
        if self._points >= 0:
            with suppress(OSError):  # the disk may be full on purpose
                os.write(self._points, f"{point}\n".encode())
        if self._death.passes(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def _look(self) -> None:
        with suppress(FileNotFoundError):
            if self._orders and (words := open(self._orders).read()) != self._read:  # noqa: PTH123, SIM115  often called
                self._read, self._death = words, Death.told(words)


fault = Faults()


def reporting(base: type, methods: Iterable[str], name: str) -> type:
    """A subclass whose `methods` are fault points when they are done."""

    def after(method: Callable[..., Any], point: str) -> Callable[..., Any]:
        async def call(*args: Any, **more: Any) -> Any:
            result = await method(*args, **more)
            fault(point)
            return result

        return call

    return type(base.__name__, (base,), {each: after(getattr(base, each), f"{name}.{each}") for each in methods})


def writes(store: type) -> list[str]:
    """Its methods that change something: those made by the decorators `writes` and `shows`."""
    found = inspect.getmembers(store, inspect.iscoroutinefunction)
    return [name for name, method in found if method.__code__.co_qualname.partition(".")[0] in {"writes", "shows"}]


class Agent:
    """An agent whose calls are fault points."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._agent, name)
        if name in {"run", "attach"}:
            return lambda run: self._events(name, found(run))
        if not inspect.iscoroutinefunction(found) or name in {"close", "warm"}:
            return found

        async def call(*args: Any, **more: Any) -> Any:
            result = await found(*args, **more)
            fault(f"agent.{name}")
            return result

        return call

    async def _events(self, name: str, events: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        async with aclosing(events):
            async for event in events:
                fault(f"agent.{name} {type(event).__name__}")
                yield event


class Killed(program.Program):
    """The same program with the fault hook set."""

    @classmethod
    def load(cls, *arguments: Any, **options: Any) -> program.Program:
        loaded = super().load(*arguments, **options)
        return replace(loaded, surroundings=replace(loaded.surroundings, fault=fault))


# Each is looked up when a command runs.
program.Program = Killed  # type: ignore[misc]
wiring.SqlStore = reporting(SqlStore, writes(SqlStore), "store")  # type: ignore[misc]
wiring.opencode_agent = lambda *words: Agent(opencode_agent(*words))
telegram.TelegramMessenger = reporting(telegram.TelegramMessenger, SHOWS, "chat")  # type: ignore[misc]
main(prog_name="kugetsu")
