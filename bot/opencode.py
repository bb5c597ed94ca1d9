"""The `opencode:` section as its adapter wants it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.opencode.server import OpencodeServerSettings
from bot.logs import Redactor
from bot.settings import Settings
from core.errors import StoreError

STATE_FILE = "opencode-server.json"

# Where the installation links an opencode of its own when there is none of a supported version on PATH.
BESIDE = Path(sys.prefix) / "bin" / "opencode"


def opencode_settings(
    settings: Settings, only_env: Mapping[str, str] | None, redactor: Redactor
) -> OpencodeServerSettings:
    """`only_env`, for the demo, is all that opencode sees of the environment; else it sees the user's, without what
    the configuration names as secrets of the bot's own.
    """
    chosen = settings.opencode
    password = chosen.password.get_secret_value()
    if not password and not chosen.url:
        # Made here and not by the adapter, so that logs know what to hide.
        password = secrets.token_urlsafe(24)
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
        env=environ | {"PATH": f"{_tools(settings.state_dir)}{os.pathsep}{environ.get('PATH', os.environ['PATH'])}"},
        hidden_env=frozenset(hidden),
        max_rss_mb=chosen.max_rss_mb,
    )


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
