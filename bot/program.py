"""What the commands of the shell do: find the bot or be it, say something, wait for what comes of it."""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.console import terminal
from adapters.console.client import ConsoleClient, NotRunning
from adapters.console.script import one_shot
from bot import wiring
from bot.demo import project as demo_project
from bot.demo.endpoint import ModelEndpoint
from bot.demo.model import DemoModel
from bot.doctor import broken, report
from bot.logs import Redactor, set_up
from bot.opencode import AGENT_SHELL, data_at_stake, opencode_settings
from bot.service import SOCKET, Service
from bot.settings import Settings, find_config, load
from bot.wiring import Surroundings
from bot.worktree_mark import read_mark
from core import commands
from core.errors import Busy, KugetsuError, NotAllowed, NotFound, WouldMigrate
from core.ports import Reply

TAKE_OVER = 10.0  # seconds to wait for a process that holds the lock and does not listen yet, or not any more


@dataclass(frozen=True, slots=True)
class Report:
    """What `config check` prints."""

    text: str
    json: str


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded configuration, ready to act on."""

    settings: Settings
    surroundings: Surroundings
    redactor: Redactor
    debug: bool = False

    @classmethod
    def load(cls, config: Path | None, *, debug: bool = False, demo: bool = False) -> Program:
        """Raises ConfigurationError with all problems of the file."""
        if demo:
            settings = load(None, os.environ)
            project = demo_project.make_project(settings.state_dir)
            # Below the user's state directory, with a lock and a database of its own.
            settings = settings.model_copy(update={"state_dir": project.path.parent})
            surroundings = Surroundings(None, demo=project)
        else:
            path = find_config(config, Path.cwd(), os.environ)
            settings = load(path, os.environ)
            mark = read_mark(Path.cwd()) if path is None else None
            if mark:  # a worktree made without a file: what is said in it is for the bot that made it
                settings = settings.model_copy(update={"state_dir": mark.state_dir})
            surroundings = Surroundings(path.absolute() if path else None)
        redactor = Redactor(settings.secrets())
        set_up(redactor, debug=settings.debug or debug, stream=sys.stderr)
        return cls(settings, surroundings, redactor, debug)

    def _log_aside(self, stack: AsyncExitStack) -> None:
        """What a chat logs goes to a file: lines of a log between those of a conversation help nobody."""
        folder = self.settings.state_dir / "logs"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = stack.enter_context((folder / "chat.log").open("a", encoding="utf-8"))
        debug = self.settings.debug or self.debug
        set_up(self.redactor, debug=debug, stream=file)
        stack.callback(set_up, self.redactor, debug=debug, stream=sys.stderr)

    async def serve(self) -> int:
        """The bot, until SIGTERM or Ctrl-C."""
        _people_only()
        if problem := await self._data_at_stake():
            raise problem
        async with Service(self.parts(bot=True), self.settings.state_dir, bot=True) as service:
            leave = asyncio.Event()
            asked = 0

            def ask_to_leave() -> None:
                nonlocal asked
                asked += 1
                leave.set()
                if asked > 1:
                    service.hurry()

            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.add_signal_handler(number, ask_to_leave)
            await service.resume()
            print(f"kugetsu listens on {service.socket}; `kugetsu chat` talks to it. Ctrl-C ends it.", flush=True)
            if self.settings.adapters.telegram and service.parts.people.nobody:
                code = service.parts.people.first_code()
                print(
                    f"Nobody may use the chats yet. To become the first admin, send the bot: /pair {code}", flush=True
                )
            await leave.wait()
            await service.drain()
        return 0

    async def say(self, line: str, *, json: bool) -> int:
        """One command, by the bot that runs or by this process; the exit code."""
        interactive = sys.stdin.isatty() and sys.stdout.isatty() and not json
        sends = line.split(maxsplit=1)[0] == "/send"
        if not sends:
            _people_only()
        mark = read_mark(Path.cwd()) if sends else None
        async with self.bot() as (service, socket):
            hello = terminal.hello(interactive=interactive, debug=self.debug, token=mark.token if mark else "")
            async with await ConsoleClient.connect(socket, hello) as client:
                ask = terminal.read_line if interactive else None
                code = await one_shot(client, line, "", json=json, wait=True, out=sys.stdout, ask=ask)
            if service:
                await service.quiet()
        return code

    async def chat(self, *, yes: bool) -> int:
        """The terminal chat, on the demo project if this is the demo."""
        _people_only()
        async with AsyncExitStack() as stack:
            if sys.stdin.isatty() and sys.stdout.isatty():
                self._log_aside(stack)
            elif self.surroundings.demo:  # through a pipe a chat is quiet, but nobody should miss that this is no agent
                print(*self._banner(), sep="\n", flush=True)
            program = await (self._with_demo_model(stack) if self.surroundings.demo else self._with_consent())
            service, socket = await stack.enter_async_context(program.bot())
            first: list[str] = []
            if service:
                await service.resume()
                if not self.surroundings.demo:
                    first = await self._adopt(service, yes=yes)
            return await terminal.chat(
                socket,
                history=self.settings.state_dir / "history",
                banner=self._banner(),
                first=first,
                debug=self.debug,
            )

    async def _with_demo_model(self, stack: AsyncExitStack) -> Program:
        """The model on loopback, and an opencode kept from everything of the user's."""
        endpoint = ModelEndpoint(DemoModel().respond, "demo")
        await endpoint.start()
        stack.push_async_callback(endpoint.stop)
        env = demo_project.opencode_env(self.settings.state_dir.parent, endpoint.url)
        return replace(self, surroundings=replace(self.surroundings, agent_env=env))

    async def _data_at_stake(self) -> WouldMigrate | None:
        return await data_at_stake(opencode_settings(self.settings, self.surroundings.agent_env, self.redactor))

    async def _with_consent(self) -> Program:
        """Ask before opencode changes a user's data for good. Raises WouldMigrate when it must not, or nobody is there.

        A bot that runs has its opencode already.
        """
        if await _answers(self.settings.state_dir / SOCKET) or not (problem := await self._data_at_stake()):
            return self
        if not await _agreed(f"{problem}.\nThere is no way back but a copy of that file. Change it? [y/N] "):
            raise problem
        opencode = self.settings.opencode.model_copy(update={"allow_migration": True})
        return replace(self, settings=self.settings.model_copy(update={"opencode": opencode}))

    async def _adopt(self, service: Service, *, yes: bool) -> list[str]:
        """Ask once whether the checkout one stands in is to be a project; the lines to say first."""
        here = Path.cwd()
        located = await service.parts.workspace.locate(here)
        if located is None:
            if not await service.parts.projects.all():
                raise NotFound(
                    "There is no project yet, and this is no git checkout.",
                    "Go to one and call `kugetsu chat` there, or look around first: `kugetsu chat --demo`.",
                )
            return []
        if await service.parts.projects.at(here) or await service.parts.sessions.at_directory(here):
            return []
        model = self.settings.opencode.model or await service.parts.agent.default_model(located.top)
        if not model:
            raise NotFound(
                "opencode has no model to work with.",
                "Give it one (`opencode auth login`), or look around first: `kugetsu chat --demo`.",
            )
        question = f"Work on {located.top} as {located.ref}, with the model {model}? [y/N] "
        if not yes:
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise NotFound(
                    f"{located.top} is no project yet, and there is nobody to ask.",
                    f"`kugetsu chat --yes` takes it, with the model {model}; or add it to `projects:` in config.yaml.",
                )
            if not await _agreed(question):
                raise NotFound("Then there is nothing to work on.", "`kugetsu chat --demo` shows how it would be.")
        return ["/init --here"]

    def _banner(self) -> Sequence[str]:
        if self.surroundings.demo:
            return (
                "This is a demo: real opencode on a small project, with a built-in model that only acts its part.",
                f"Type   /start {demo_project.REF}#1 add a greeting   and watch; what you type next goes to it.",
                "/help lists the commands, Ctrl-C stops a run, Ctrl-D leaves.",
            )
        return (
            f"Type   /start {commands.REF} what is to be done   with a ref of yours to begin.",
            "Any other line is the next instruction; /list shows the sessions, /help the commands.",
            "Ctrl-C stops a run, Ctrl-D leaves.",
        )

    def parts(self, *, bot: bool = False) -> wiring.Parts:
        """A process's worth of kugetsu, not started."""
        return wiring.build(self.settings, self.surroundings, self.redactor, bot=bot)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[tuple[Service | None, Path]]:
        """The socket of the bot that runs, or of the one this process then is."""
        socket = self.settings.state_dir / SOCKET
        async with AsyncExitStack() as stack:
            service: Service | None = None
            for _ in range(int(TAKE_OVER / 0.1)):
                try:
                    service = await stack.enter_async_context(Service(self.parts(), self.settings.state_dir))
                    stack.enter_context(_leaving(service))
                    break
                except Busy:
                    if await _answers(socket):
                        break
                    await asyncio.sleep(0.1)
            else:
                raise Busy(
                    f"Another kugetsu process holds {self.settings.state_dir} and does not answer.",
                    "Look at its log; end it if it hangs. Nothing of its state is lost by that.",
                )
            yield service, socket


def _people_only() -> None:
    """Raises NotAllowed in the agent's shell: what it is talked into must not manage sessions by accident."""
    if os.environ.get(AGENT_SHELL):
        raise NotAllowed(
            "In the agent's shell `kugetsu` sends files, and does nothing else.",
            "`kugetsu send PATH`; the rest is for people, from shells of their own.",
        )


async def _agreed(question: str) -> bool:
    """Yes, by a person at the terminal; nobody there says no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        answer = await terminal.read_line(question)
    except EOFError:
        return False
    return answer.strip().lower() in {"y", "yes"}


async def _answers(socket: Path) -> bool:
    try:
        client = await ConsoleClient.connect(socket, terminal.hello(interactive=False))
    except NotRunning:
        return False
    await client.close()
    return True


class _leaving:  # noqa: N801  reads as what it does: `with leaving(service)`
    """SIGTERM ends runs as cut off, tells whoever watches, and then the command; a second one ends it at once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        main = asyncio.current_task()
        assert main is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leave, main)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _leave(self, main: asyncio.Task[Any]) -> None:
        if self._task:
            main.cancel()
        else:
            self._task = asyncio.create_task(self._service.leave(main))


def config_report(config: Path | None) -> Report:
    """Raises ConfigurationError with every problem."""
    path = find_config(config, Path.cwd(), os.environ)
    settings = load(path, os.environ)
    projects = [str(project.ref) for project in settings.known_projects()]
    listed = ", ".join(projects) or "none"
    text = f"{path or 'No configuration file: the defaults'} is fine.\nState: {settings.state_dir}\nProjects: {listed}"
    data = {"ok": True, "config": str(path) if path else None, "projects": projects, "problems": []}
    return Report(text, jsonlib.dumps(data))


def error_json(error: KugetsuError, problems: Sequence[str]) -> str:
    """An error for scripts."""
    data = {"ok": False, "code": error.code, "error": str(error), "hint": error.hint, "problems": list(problems)}
    return jsonlib.dumps(data)


async def examine(config: Path | None, *, json: bool) -> int:
    """`kugetsu doctor`: works beside a running bot, and when nothing else does."""
    _people_only()
    program = Program.load(config)
    try:
        async with program.bot() as (_, socket):
            hello = terminal.hello(interactive=False)
            async with await ConsoleClient.connect(socket, hello) as client:
                return await one_shot(client, "/doctor", "", json=json, wait=False, out=sys.stdout)
    except KugetsuError as error:
        parts = program.parts()
        try:
            checks = [broken(error), *await parts.doctor.examine(apart=isinstance(error, Busy))]
        finally:
            await parts.forges.close()
            await parts.agent.close()
        _print(report(checks), json=json)
        return 1


def _print(reply: Reply, *, json: bool) -> None:
    text = jsonlib.dumps(reply.data) if json else reply.document.markdown
    sys.stdout.write(text + "\n")
