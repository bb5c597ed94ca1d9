"""The `opencode:` section as its adapter wants it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.opencode.binary import Binary, find_binary
from adapters.opencode.command import OpencodeCommand
from adapters.opencode.data import check_data, would_migrate
from adapters.opencode.program import environment
from adapters.opencode.server import OpencodeServer
from adapters.opencode.settings import OpencodeServerSettings, Trace
from bot.kept_secret import kept_secret
from bot.logs import Redactor
from bot.settings import Settings
from core.errors import AgentUnsupported, StoreError, WouldMigrate
from core.ports import AgentPort, Clock

STATE_FILE = "opencode-server.json"
KEY_FILE = "opencode.key"

AGENT_SHELL = "KUGETSU_AGENT"  # set where the agent's commands run: `kugetsu` there sends files, and does nothing else

# Where the installation links an opencode of its own when there is none of a supported version on PATH.
BESIDE = Path(sys.prefix) / "bin" / "opencode"


def opencode_settings(
    settings: Settings, only_env: Mapping[str, str] | None, redactor: Redactor, *, bot: bool = False
) -> OpencodeServerSettings:
    """`bot`: it goes on with a server that an earlier one left. `only_env`, for the demo, is all that opencode sees of
    the environment; else it sees the user's, without what the configuration names as secrets of the bot's own.
    """
    chosen = settings.opencode
    password = chosen.password.get_secret_value()
    tools = _tools(settings.state_dir)
    if not password and not chosen.url:
        # Made here and not by the adapter, so that logs know what to hide; kept, so that the next bot can go on with
        # the server of one that was killed.
        password = kept_secret(settings.state_dir / KEY_FILE).hex()
        redactor.add(password)
    environ = settings.agent_env() | dict(only_env or {})
    hidden = set(settings.secret_env_names()) if only_env is None else set(os.environ) - set(only_env)
    return OpencodeServerSettings(
        state_file=settings.state_dir / STATE_FILE,
        command=chosen.command,
        # Another one than the one that was named would be a surprise.
        candidates=(BESIDE,) if chosen.command == "opencode" else (),
        url=chosen.url,
        password=password,
        env=environ
        | {
            AGENT_SHELL: "1",
            "PATH": f"{tools}{os.pathsep}{environ.get('PATH', os.environ['PATH'])}",
        },
        hidden_env=frozenset(hidden),
        max_rss_mb=chosen.max_rss_mb,
        allow_migration=chosen.allow_migration,
        take_over=bot,
    )


def opencode_agent(
    transport: str, chosen: OpencodeServerSettings, clock: Clock, notice: Callable[[str], None], trace: Trace
) -> AgentPort:
    """The backend of `opencode.transport`."""
    backend = OpencodeCommand if transport == "cli" else OpencodeServer
    return backend(chosen, clock, notice, trace)


async def data_at_stake(chosen: OpencodeServerSettings) -> WouldMigrate | None:
    """What starting opencode would do to the user's data, unless that is allowed. Starts nothing in the usual case.

    Whatever else is wrong with opencode is said when it is used.
    """
    if chosen.url or chosen.allow_migration:
        return None
    env = environment(chosen.env, chosen.hidden_env)
    found = shutil.which(str(Path(chosen.command).expanduser()), path=env.get("PATH"))
    there = [path for path in (*([Path(found)] if found else []), *chosen.candidates) if path.is_file()]
    # Which of them is used shows only when each was asked for its version, which takes a second.
    if not any([await asyncio.to_thread(would_migrate, Binary(path, ""), env) for path in there]):
        return None
    try:
        await check_data(await find_binary(chosen.command, chosen.candidates, env), env)
    except WouldMigrate as error:
        return error
    except AgentUnsupported:
        return None
    return None


def _tools(state_dir: Path) -> Path:
    """A folder for the agent's PATH with `kugetsu` in it, and nothing else of our virtual environment."""
    folder = state_dir / "bin"
    link, program = folder / "kugetsu", Path(sys.prefix) / "bin" / "kugetsu"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    except OSError as error:
        raise StoreError(
            f"The state directory {state_dir} cannot be used: {error.strerror}.",
            "Give `state_dir` in config.yaml a directory that you may write to.",
        ) from error
    return folder
