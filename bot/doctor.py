"""`kugetsu doctor`: looks at everything a run needs, and says what to do about what is missing."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.forge import Forges
from bot.settings import Settings
from core import view
from core.census import Census
from core.errors import KugetsuError
from core.messages import Messenger
from core.model import Document, Project
from core.ports import AgentPort, Reply, Workspace

MIN_GIT = (2, 34)  # `git add --sparse`, for snapshots of sparse checkouts
PLATFORM = 15.0  # seconds for a chat platform to answer
COMPARING = 10.0  # seconds; with many sessions a comparison may take longer than somebody waits
MIN_FREE_MB = 500  # a worktree with its dependencies soon has that


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    said: str
    hint: str = ""


class Doctor:
    """Each check stands alone: one that fails never hides the others."""

    def __init__(
        self,
        settings: Settings,
        config: Path | None,
        state_dir: Path,
        projects: Callable[[], Awaitable[Sequence[Project]]],
        agent: AgentPort,
        workspace: Workspace,
        forges: Forges,
        census: Census,
        messengers: Callable[[], Sequence[Messenger]],
        nobody: Callable[[], bool],
        running: bool,  # noqa: FBT001
        patience: float = COMPARING,
    ) -> None:
        self._settings = settings
        self._config = config
        self._state_dir = state_dir
        self._projects = projects
        self._agent = agent
        self._workspace = workspace
        self._forges = forges
        self._census = census
        self._messengers = messengers
        self._nobody = nobody
        self._running = running
        self._patience = patience

    async def examine(self, *, apart: bool = False) -> list[Check]:
        """All checks, in the order in which a newcomer would mend them.

        `apart`: another process holds the state directory and cannot be asked; its opencode is left alone.
        """
        checks = [self._python(), self._git(), self._configuration(), self._state(), self._disk(), self._database()]
        if not apart:
            checks += await self._work()
        checks += await asyncio.gather(
            *(self._guarded(f"forge {name}", partial(self._forge, name)) for name in self._forges.instances)
        )
        found = await asyncio.gather(*(self._platform(messenger) for messenger in self._messengers()))
        return [*checks, *(check for each in found for check in each)]

    async def _platform(self, messenger: Messenger) -> list[Check]:
        name = messenger.platform
        try:
            async with asyncio.timeout(PLATFORM):
                findings = await messenger.diagnose()
        except TimeoutError:
            hint = "Look whether this machine reaches it; a proxy may be in the way."
            return [Check(name, ok=False, said=f"does not answer within {PLATFORM:g} s", hint=hint)]
        known = Check(name, ok=True, said="an admin is known")
        if self._nobody():
            hint = "`kugetsu run` prints a code; send the bot `/pair CODE` directly, or list yourself under `access`."
            known = Check(name, ok=False, said="nobody may use it yet", hint=hint)
        return [
            *(Check(name, f.ok, f"{f.what}. {f.hint}" if f.ok and f.hint else f.what, f.hint) for f in findings),
            known,
        ]

    async def _work(self) -> list[Check]:
        """opencode, and what is worked on with it."""
        checks = [await self._guarded("opencode", self._opencode)]
        try:
            projects = await self._projects()
        except KugetsuError as error:
            projects = []
            checks.append(Check("projects", ok=False, said=str(error), hint=error.hint))
        if not projects:
            hint = "Add one to `projects:` in config.yaml, or run `kugetsu chat` inside a checkout."
            checks.append(Check("projects", ok=True, said="none yet", hint=hint))
        for project in projects:
            checks.append(await self._guarded(f"project {project.ref}", partial(self._project, project)))  # noqa: PERF401
        if checks[0].ok:
            checks.append(await self._guarded("sessions", self._sessions))
        return checks

    async def reply(self) -> Reply:
        """The report as a command's reply."""
        return report(await self.examine())

    def _python(self) -> Check:
        version = ".".join(map(str, sys.version_info[:3]))
        return Check("python", ok=sys.version_info >= (3, 11), said=version, hint="kugetsu needs Python 3.11 or newer.")

    def _git(self) -> Check:
        path = shutil.which("git")
        if path is None:
            return Check("git", ok=False, said="not found", hint="Install git.")
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        version = said.removeprefix("git version ").strip()
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
        wanted = ".".join(map(str, MIN_GIT))
        return Check("git", ok=numbers >= MIN_GIT, said=version, hint=f"kugetsu needs git {wanted} or newer.")

    def _configuration(self) -> Check:
        return Check("configuration", ok=True, said=str(self._config or "none, defaults hold"))

    def _state(self) -> Check:
        running = "a bot is running on it" if self._running else "no bot is running on it"
        try:
            mode = self._state_dir.stat().st_mode & 0o777
        except OSError as error:
            return Check("state", ok=False, said=f"{self._state_dir}: {error.strerror}", hint="Check `state_dir`.")
        private = not mode & 0o077
        hint = "" if private else f"Others can look in: chmod 700 {self._state_dir}"
        return Check("state", ok=private, said=f"{self._state_dir}, {running}", hint=hint)

    def _disk(self) -> Check:
        free = shutil.disk_usage(self._state_dir).free // 2**20
        hint = "" if free >= MIN_FREE_MB else "Worktrees and answers need room: free some, or move `state_dir`."
        return Check("disk", ok=free >= MIN_FREE_MB, said=f"{free} MB free", hint=hint)

    def _database(self) -> Check:
        path = self._state_dir / "kugetsu.db"
        if not path.exists():
            return Check("database", ok=True, said="not made yet")
        hint = f"Move {path} away; sessions/*.json still list the sessions."
        try:
            with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5) as database:
                said = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.Error as error:
            return Check("database", ok=False, said=str(error), hint=hint)
        return Check("database", ok=said == "ok", said=said, hint="" if said == "ok" else hint)

    async def _opencode(self) -> Check:
        transport = self._settings.opencode.transport
        capabilities = await self._agent.capabilities()
        limits = "" if capabilities.asks else ", nobody can be asked: what no rule allows is refused"
        allowed = ", may change data of older versions" if self._settings.opencode.allow_migration else ""
        return Check(
            "opencode", ok=True, said=f"{capabilities.version}, transport {transport}, answers{limits}{allowed}"
        )

    async def _project(self, project: Project) -> Check:
        checkout = await self._workspace.inspect(project)
        dirty = ", uncommitted changes stay there" if checkout.dirty else ""
        state = f"on {checkout.branch or 'a detached head'}{dirty}"
        model = self._settings.opencode.model or await self._agent.default_model(project.path)
        hint = "" if model else "opencode has no model: `opencode auth login`, or set `opencode.model`."
        said = f"{project.path}, {state}, model {model or 'none'}"
        return Check(f"project {project.ref}", ok=bool(model), said=said, hint=hint)

    async def _sessions(self) -> Check:
        try:
            async with asyncio.timeout(self._patience):
                found = await self._census.take()
        except TimeoutError:
            return Check("sessions", ok=True, said="not compared: that takes long here, `kugetsu prune` does it")
        said = f"{len(found)} things do not fit together: `kugetsu prune` lists them" if found else "all fit together"
        return Check("sessions", ok=True, said=said)

    async def _forge(self, instance: str) -> Check:
        health = await self._forges.health(instance)
        known = "without a token: public issues only"
        if health.account is not None:
            known = f"takes the token of {health.account}" if health.account else "takes the token"
        left = "" if health.left is None else f", {health.left} requests left"
        hint = "" if health.left != 0 else "Wait: forges count by the hour. `start` works with a message all the same."
        return Check(f"forge {instance}", ok=not hint, said=f"answers, {known}{left}", hint=hint)

    async def _guarded(self, name: str, check: Callable[[], Awaitable[Check]]) -> Check:
        try:
            return await check()
        except KugetsuError as error:
            return Check(name, ok=False, said=str(error), hint=error.hint)


def report(checks: Sequence[Check]) -> Reply:
    """Lines for people, a list for scripts; not ok when one check is not."""
    lines = []
    for check in checks:
        lines.append(f"{'✓' if check.ok else '✗'} {check.name}: {check.said}")
        if check.hint and (not check.ok or check.said.startswith("none")):
            lines.append(f"  → {check.hint}")
    data = [{"check": c.name, "ok": c.ok, "said": c.said, "hint": "" if c.ok else c.hint} for c in checks]
    ok = all(check.ok for check in checks)
    return Reply(Document("\n".join(lines)), ok=ok, code="" if ok else "doctor", data=data)


def broken(error: KugetsuError) -> Check:
    """What stands for everything when kugetsu could not even be put together."""
    return Check("kugetsu", ok=False, said=view.error(error).markdown)
