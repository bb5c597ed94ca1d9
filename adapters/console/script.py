"""Commands without a screen: one line said, what comes of it printed, an exit code (0 done, 1 failed, 2 usage)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TextIO

from adapters.console import asks, render, wire
from adapters.console.client import ConsoleClient
from adapters.console.render import Line
from adapters.console.transcript import Transcript
from core import commands
from core.errors import ConfigurationError, KugetsuError, RefError, UsageError

DONE, FAILED, USAGE = 0, 1, 2
USAGE_CODES = {UsageError.code, RefError.code, ConfigurationError.code}
REPORT = "doctor"  # the code of a report that found something amiss: it is still what was asked for
STOP_GRACE = 5.0  # seconds a run has to end after Ctrl-C

ReadLine = Callable[[str], Awaitable[str]]  # asks the person at the terminal; raises EOFError when they leave


class Plain:
    """Writes lines as text, and what is still being written as soon as it comes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._open = ""  # the unfinished line, as it stands there

    def show(self, lines: Sequence[Line], partial: str = "") -> None:
        """`partial` belongs below `lines`."""
        for line in lines:
            self._put(render.plain(line))
            self._out.write("\n")
            self._open = ""
        if partial:
            self._put(partial)
            self._open = partial
        self._out.flush()

    def end_line(self) -> None:
        """Something else follows on the terminal."""
        if self._open:
            self._out.write("\n")
            self._open = ""
        self._out.flush()

    def _put(self, text: str) -> None:
        if text.startswith(self._open):
            self._out.write(text[len(self._open) :])
        else:
            self._out.write("\n" + text)


class Script:
    """Says lines one after the other over one connection; used for one command, or for a chat through a pipe."""

    def __init__(
        self,
        client: ConsoleClient,
        *,
        out: TextIO,
        err: TextIO,
        json: bool = False,
        ask: ReadLine | None = None,
    ) -> None:
        self._client = client
        self._out = out
        self._err = err
        self._json = json
        self._ask = ask
        self._plain = Plain(out)
        self._events = client.events()
        self._others: set[int] = set()  # live runs that are not the one followed
        self._started = False
        self.thread = ""
        self.left = False  # by Ctrl-C, before the end

    async def say(self, text: str, thread: str, *, wait: bool = True) -> int:
        """The exit code. Raises BrokenPipeError when nobody reads the output."""
        self.thread = thread
        leave = asyncio.get_running_loop().create_future()
        work = asyncio.create_task(self._say(text, wait=wait))
        stopping: list[asyncio.Task[None]] = []

        def interrupted() -> None:
            if stopping or not self._started:
                if not leave.done():
                    leave.set_result(None)
            else:
                stopping.append(asyncio.create_task(self._stop(leave)))

        try:
            with _interrupts(interrupted):
                await asyncio.wait({work, leave}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return self._left()
        finally:
            for task in (work, *stopping):
                task.cancel()
            await asyncio.gather(work, *stopping, return_exceptions=True)

    async def _say(self, text: str, *, wait: bool) -> int:
        try:
            reply = await self._client.say(text, self.thread)
            self.thread = reply.thread or self.thread
            self._reply(reply, text, streams=wait and reply.run is not None)
            # What is only offered below something that is done or under way is no question.
            while reply.buttons and reply.run is None and self._ask and not self._json:
                chosen = await self._choose(reply)
                if chosen is None:
                    break
                reply = chosen
                self.thread = reply.thread or self.thread
                self._reply(reply, text, streams=wait and reply.run is not None)
            if not reply.ok:
                return USAGE if reply.code in USAGE_CODES else FAILED
            return await self._follow(reply.run) if wait and reply.run is not None else DONE
        except KugetsuError as error:
            self._failed(error.code, str(error), error.hint, finished=runs(text))
            return FAILED

    async def _choose(self, reply: wire.Reply) -> wire.Reply | None:
        assert self._ask
        self._plain.show(render.choices(reply.buttons))
        try:
            typed = (await self._ask("number › ")).strip()
        except EOFError:
            return None
        if not typed.isdecimal() or not 1 <= int(typed) <= len(reply.buttons):
            return None
        return await self._client.press(reply.buttons[int(typed) - 1].id, thread=self.thread)

    async def _follow(self, run: int) -> int:
        """Show that run until it ends."""
        self._started = True  # Ctrl-C stops it from here on
        transcript = Transcript()
        asking: dict[str, asyncio.Task[None]] = {}
        try:
            async for event in self._events:
                number = getattr(event, "run", None)
                if number is not None and number != run:
                    self._note_other(number, over=isinstance(event, wire.Finished))
                    continue
                if isinstance(event, wire.Decided) and (task := asking.pop(event.ask, None)):
                    task.cancel()
                self._event(event, transcript)
                if isinstance(event, wire.Permission | wire.Questions) and self._ask and not self._json:
                    asking[event.ask] = asyncio.create_task(self._decide(asks.OpenAsk(event)))
                if isinstance(event, wire.Finished):
                    return DONE if event.ok else FAILED
        finally:
            self._started = False
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)
        raise KugetsuError("the connection was closed before the run ended")

    def _note_other(self, run: int, *, over: bool) -> None:
        if over:
            self._others.discard(run)
        else:
            self._others.add(run)

    async def _decide(self, ask: asks.OpenAsk) -> None:
        """Until it is answered; cancelled when somebody else does."""
        assert self._ask
        while True:
            try:
                typed = await self._ask(f"{ask.hint} › ")
            except EOFError:
                return
            if not typed.strip():
                continue
            if choice := ask.take(typed):
                reply = await self._client.press(choice.button, choice.text, self.thread)
                if reply.ok or reply.code != UsageError.code:
                    return  # decided, by us or by somebody quicker: `decided` says
                self._plain.show(render.reply(reply))
                ask.answers.clear()
            self._plain.show(ask.show())

    async def _stop(self, leave: asyncio.Future[None]) -> None:
        """Ask the run to stop; leave if it does not within `STOP_GRACE`."""
        if self._others:  # ours waits behind another run, which is not ours to stop
            self._err.write("the message stays in the queue; `kugetsu queue clear` takes it out\n")
        else:
            try:
                async with asyncio.timeout(STOP_GRACE):
                    await self._client.say("/stop", self.thread)
                    await asyncio.Event().wait()  # the end of the run ends all this
            except TimeoutError:
                self._err.write(f"the run did not end within {STOP_GRACE:.0f} s\n")
            except KugetsuError as error:
                self._err.write(f"{error}\n")
        if not leave.done():
            leave.set_result(None)

    def _left(self) -> int:
        self.left = True
        self._failed("left", "left before the end", "What the bot has accepted goes on.", finished=True)
        return FAILED

    # ── output ─────────────────────────────────────────────────────────────────────────────────

    def _event(self, event: wire.Event, transcript: Transcript) -> None:
        if self._json:
            self._write(event)
        else:
            lines = transcript.feed(event)
            self._plain.show(lines, transcript.partial)

    def _reply(self, reply: wire.Reply, text: str, *, streams: bool) -> None:
        if reply.code == REPORT:
            self._report(reply)
        elif not reply.ok:
            self._failed(reply.code, reply.text, "", finished=runs(text), data=reply.data)
        elif not self._json:
            self._plain.show(render.reply(reply))
        elif not streams:
            fallback = {"ok": True, "text": reply.text, "thread": reply.thread, "run": reply.run}
            self._write(fallback if reply.data is None else reply.data)

    def _report(self, reply: wire.Reply) -> None:
        if self._json:
            self._write(reply.data)
        else:
            self._plain.show(render.markdown(reply.text))

    def _failed(self, code: str, what: str, hint: str, *, finished: bool, data: object = None) -> None:
        if self._json and finished:
            self._write(wire.Finished(self.thread, None, ok=False, error=what, code=code))
        elif self._json:
            self._write({"ok": False, "code": code, "error": what} if data is None else data)
        else:
            self._plain.end_line()
            text = f"{what}\n{hint}" if hint else what
            Plain(self._err).show(render.reply(wire.Reply(0, ok=False, text=text)))

    def _write(self, value: object) -> None:
        self._out.write(wire.encode_any(value).decode())
        self._out.flush()


def runs(text: str) -> bool:
    """Whether a line would start a run, so that scripts wait for a `finished`."""
    if not commands.is_command(text):
        return True
    spec = commands.find(text.split(maxsplit=1)[0][1:])
    return spec is not None and spec.runs


async def one_shot(
    client: ConsoleClient,
    text: str,
    thread: str,
    *,
    json: bool,
    wait: bool,
    out: TextIO,
    err: TextIO | None = None,
    ask: ReadLine | None = None,
) -> int:
    """Say one line and print what comes of it; the exit code.

    With `json`, `out` gets one object a line: every event of the run that was started, `finished` last; else the
    reply's data. `ask` reads a line from the person at the terminal, None: nobody is there. Ctrl-C stops the run and
    gives it `STOP_GRACE` seconds; the second one leaves.
    """
    script = Script(client, out=out, err=err or sys.stderr, json=json, ask=ask)
    try:
        return await script.say(text, thread, wait=wait)
    except BrokenPipeError:
        silence(out)
        return FAILED


async def piped(client: ConsoleClient, lines: AsyncIterator[str], *, out: TextIO, err: TextIO) -> int:
    """A chat without a terminal: every line waits for the run of the one before; the worst exit code of all."""
    script = Script(client, out=out, err=err)
    code = DONE
    try:
        async for line in lines:
            if line.strip():
                code = max(code, await script.say(line.strip(), script.thread))
            if script.left:
                break
    except BrokenPipeError:
        silence(out)
        return FAILED
    return code


def silence(out: TextIO) -> None:
    """Nobody reads any more (`head`): what is left in buffers goes nowhere, without a traceback at exit."""
    with contextlib.suppress(OSError, ValueError):  # in-memory streams have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _interrupts(handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)
    try:
        loop.add_signal_handler(signal.SIGINT, handler)
    except (ValueError, RuntimeError):  # signals come to the main thread only
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
