"""`kugetsu chat`: one goes on typing while the answer streams above. Through a pipe: line after line, plain text."""

from __future__ import annotations

import asyncio
import errno
import getpass
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from adapters.console import script, wire
from adapters.console.asks import Choice, OpenAsk
from adapters.console.client import ConsoleClient
from adapters.console.completion import LineCompleter
from adapters.console.desk import Desk, Say, tail
from adapters.console.render import Line, clean
from core.errors import KugetsuError, UsageError

TWICE = 2.0  # seconds within which a second Ctrl-C leaves
PARTIAL_ROWS = 6  # screen lines of the unfinished paragraph that are redrawn; it is printed whole when it is finished
STEPS_SHOWN = 4

STYLE = Style.from_dict(
    {
        "dim": "ansibrightblack",
        "strong": "bold",
        "heading": "bold",
        "code": "ansicyan",
        "tool": "ansiblue",
        "done": "ansigreen",
        "failed": "ansired",
        "asking": "bold ansiyellow",
        "choice": "bold",
        "prompt": "bold ansigreen",
    }
)


def hello(
    *,
    interactive: bool,
    all: bool = False,  # noqa: A002  the protocol's word
    debug: bool = False,
    token: str = "",
) -> wire.Hello:
    """Who and where this process is."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        name = f"uid {os.getuid()}"
    return wire.Hello(name, interactive, all, str(Path.cwd()), debug, token)


async def chat(
    socket: Path,
    *,
    history: Path,
    banner: Sequence[str],
    first: Sequence[str] = (),
    debug: bool = False,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Chat over `socket` until the person leaves or the input ends; the exit code.

    `first` are lines said before any input is read. Raises `client.NotRunning` and other KugetsuErrors before the
    chat begins.
    """
    stdin, stdout, stderr = stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr
    interactive = stdin.isatty() and stdout.isatty()
    async with await ConsoleClient.connect(
        socket, hello(interactive=interactive, all=interactive, debug=debug)
    ) as client:
        if interactive:
            try:
                return await Chat(client, private_history(history)).run(banner, first)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return script.DONE  # the terminal's window was closed
        return await script.piped(client, _lines(first, stdin), out=stdout, err=stderr)


def private_history(path: Path) -> History:
    """What was typed, for its owner alone (0600)."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    path.chmod(0o600)
    return FileHistory(str(path))


async def read_line(prompt: str) -> str:
    """Ask the person at the terminal, for `script.one_shot`. Ctrl-C counts as the signal it would else be."""
    session: PromptSession[str] = PromptSession()
    try:
        return await session.prompt_async(prompt, handle_sigint=False)
    except KeyboardInterrupt:
        signal.raise_signal(signal.SIGINT)
        raise EOFError from None


class Chat:
    """The screen: a prompt at the bottom, everything else scrolls away above it."""

    def __init__(
        self,
        client: ConsoleClient,
        history: History | None = None,
        *,
        input: Input | None = None,  # noqa: A002  prompt_toolkit's word
        output: Output | None = None,
    ) -> None:
        self._client = client
        self._desk = Desk()
        self._desk.refs.update(client.welcome.refs)
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=LineCompleter(client.welcome.commands, lambda: self._desk.refs),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            key_bindings=self._keys(),
            erase_when_done=True,  # what was typed is printed as part of the conversation instead
            style=STYLE,
            input=input,
            output=output,
        )
        self._session.app.min_redraw_interval = 0.03  # seconds; a stream must not redraw for every token
        self._lines: list[Line] = []
        self._news = asyncio.Event()
        self._sent: set[asyncio.Task[None]] = set()
        self._interrupted = float("-inf")

    async def run(self, banner: Sequence[str], first: Sequence[str] = ()) -> int:
        """Until the person leaves; 1 when the bot went away."""
        self._print([(("dim", clean(line)),) for line in banner])
        listener = asyncio.create_task(self._listen())
        printer = asyncio.create_task(self._printing())
        try:
            for line in first:
                await self._submit(line)
            while await self._prompt(listener):
                pass
            if not listener.done():
                return script.DONE
            error = listener.exception()
            if not isinstance(error, KugetsuError):
                await listener
                return script.DONE
            self._print([(("failed", f"✗ {error}"),), (("dim", f"  {error.hint}"),)])
            return script.FAILED
        finally:
            tasks = (listener, printer, *self._sent)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._write()

    async def _prompt(self, listener: asyncio.Task[None]) -> bool:
        """Take one line; False at the end."""
        typing = asyncio.create_task(self._session.prompt_async(self._message))
        try:
            await asyncio.wait({typing, listener}, return_when=asyncio.FIRST_COMPLETED)
            if not typing.done():
                return False
            await self._submit(typing.result())
        except EOFError:
            return False
        finally:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)
        return True

    async def _listen(self) -> None:
        async for event in self._client.events():
            self._print(self._desk.feed(event))

    async def _submit(self, text: str) -> None:
        outcome = self._desk.typed(text)
        self._print(outcome.lines)
        if outcome.action is None:
            return
        self._desk.said()
        work = self._send(outcome.action, self._desk.thread, outcome.ask)
        task = asyncio.create_task(work)
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)
        await asyncio.sleep(0)  # it is written before the next line is taken: order is what people typed

    async def _send(self, action: Say | Choice, thread: str, ask: OpenAsk | None) -> None:
        try:
            if isinstance(action, Say):
                reply = await self._client.say(action.text, thread)
            else:
                reply = await self._client.press(action.button, action.text, thread)
        except KugetsuError as error:
            self._desk.unanswered()
            self._print([(("failed", f"✗ {error}"),)])
            return
        lines = self._desk.reply(reply)
        if not (ask and reply.ok):  # else `decided` tells, to everyone
            self._print(lines)
        if ask and reply.code == UsageError.code:  # not understood: put it again
            ask.answers.clear()
            self._print(ask.show())

    # ── the screen ─────────────────────────────────────────────────────────────────────────────

    def _print(self, lines: Iterable[Line]) -> None:
        """Above the prompt, soon; and draw the prompt anew."""
        self._lines += lines
        self._news.set()
        self._session.rprompt = self._hint()
        self._session.app.invalidate()

    async def _printing(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._lines:
                await run_in_terminal(self._write)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            text = FormattedText([(_style(kind), text) for line in lines for kind, text in (*line, ("", "\n"))])
            print_formatted_text(self._session.output, text, STYLE)

    def _message(self) -> FormattedText:
        """What is being written, what is being done, and the prompt."""
        transcript, columns = self._desk.view.transcript, max(self._session.output.get_size().columns - 1, 1)
        drawn: list[tuple[str, str]] = []
        if partial := transcript.partial.expandtabs(4):
            rows = tail(partial, columns, PARTIAL_ROWS, map(get_cwidth, partial))
            drawn += [("", f"{row}\n") for row in rows]
        for step in transcript.steps[-STEPS_SHOWN:]:
            text = "".join(text for _, text in step)
            drawn.append((_style("tool"), tail(text, columns, 10**6, map(get_cwidth, text))[0] + "\n"))
        label = self._desk.label
        return FormattedText([*drawn, (_style("prompt"), f"{label} › " if label else "› ")])

    def _hint(self) -> FormattedText | None:
        """What can be done now, at the right of the prompt."""
        asked = self._desk.asked
        hint = asked.hint if asked else "working · Ctrl-C stops" if self._desk.busy else ""
        return FormattedText([(_style("dim"), hint)]) if hint else None

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("c-c")(self._interrupt)
        keys.add("<sigint>")(self._interrupt)
        return keys

    def _interrupt(self, event: KeyPressEvent) -> None:
        """Clear what is typed; else stop the run; else, or the second time, leave."""
        now = asyncio.get_running_loop().time()
        again, self._interrupted = now - self._interrupted < TWICE, now
        if event.current_buffer.text and not again:
            event.current_buffer.reset()
        elif self._desk.busy and not again:
            self._print([(("dim", "stopping · Ctrl-C again leaves"),)])
            self._desk.said()
            task = asyncio.ensure_future(self._send(Say("/stop"), self._desk.thread, None))
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)
        else:
            event.app.exit(exception=EOFError)


def _style(kind: str) -> str:
    return f"class:{kind}" if kind else ""


async def _lines(first: Iterable[str], stream: TextIO) -> AsyncIterator[str]:
    """`first`, then the stream's. A thread of its own reads each one: files, pipes and terminals alike, and a line
    that never comes keeps nobody from leaving.
    """
    for line in first:
        yield line
    loop = asyncio.get_running_loop()
    while True:
        read: asyncio.Future[str] = loop.create_future()
        threading.Thread(target=_read, args=(stream, loop, read), daemon=True).start()
        line = await read
        if not line:
            return
        yield line


def _read(stream: TextIO, loop: asyncio.AbstractEventLoop, read: asyncio.Future[str]) -> None:
    def done(line: str, error: KugetsuError | None = None) -> None:
        if read.done():
            return
        if error:
            read.set_exception(error)
        else:
            read.set_result(line)

    line = ""
    error: KugetsuError | None = None
    try:
        line = stream.readline()
    except UnicodeDecodeError:
        error = UsageError("The input is not UTF-8 text.", "Convert it, for example with `iconv`.")
    except (OSError, ValueError) as broken:
        error = KugetsuError(f"The input cannot be read: {broken}")
    if not loop.is_closed():
        loop.call_soon_threadsafe(done, line, error)
