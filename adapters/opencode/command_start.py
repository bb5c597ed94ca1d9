"""All that `opencode run` is started with for one prompt; what opencode does not have is said before that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adapters.opencode import command_rules
from adapters.opencode.checks import missing_agent, missing_model, missing_variant
from adapters.opencode.command_environment import command_environment
from adapters.opencode.command_process import CommandProcess, start
from adapters.opencode.offers import models_of
from adapters.opencode.program import Program
from adapters.opencode.sessions import Sessions
from core.events import Finished
from core.ports import AgentRun


@dataclass(frozen=True, slots=True)
class Start:
    """One prompt, ready to be sent. `instructions` is the file its system text is written to."""

    run: AgentRun
    program: Program
    options: tuple[str, ...]
    instructions: Path | None

    async def process(self, home: Path) -> CommandProcess:
        """From here on it works. Raises AgentUnavailable, WrongDirectory."""
        if self.instructions:
            self.instructions.write_text(self.run.system, encoding="utf-8")
        return await start(self.program, self.run.session, self.options, self.run.directory, self.run.prompt, home)

    def clean_up(self) -> None:
        """After its end."""
        if self.instructions:
            self.instructions.unlink(missing_ok=True)


async def prepared(run: AgentRun, sessions: Sessions, program: Program, home: Path) -> Start | Finished:
    """Or how the run ends without a process. Raises AgentSessionGone, AgentUnavailable, ConfigurationError."""
    await sessions.existing(run.session)  # 1.3 would end with success, having done nothing
    agents = await sessions.agents(run.directory)
    missing = missing_agent(run, agents)
    if missing is None and run.model:
        models = models_of(await sessions.offered(run.directory))
        missing = missing_model(run, models) or missing_variant(run, models)
    if missing is not None:
        return missing
    instructions = home / f"system-{run.session}.md" if run.system else None
    closed = await sessions.closed_tools(run.directory) if run.read_only else ()
    configuration = command_rules.configuration(agents, run.rules, closed)
    env = command_environment(program.env, configuration, instructions)
    return Start(run, Program(program.path, env), _options(run), instructions)


def _options(run: AgentRun) -> tuple[str, ...]:
    options: list[str] = []
    if run.model:
        options += ("--model", run.model)
    if run.variant:
        options += ("--variant", run.variant)
    if run.agent:
        options += ("--agent", run.agent)
    for file in run.attachments:
        options += ("--file", str(file.path))
    return tuple(options)
