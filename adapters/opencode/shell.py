"""Keeps the server's password from the shell of the agent's tools.

An agent that was talked into it could otherwise approve its own permissions. This is no wall (the same user can read
the server's own environment), only what can be kept from the shell. opencode runs commands with `$SHELL`, so that is
what it is given: a script of the same name that drops the password and becomes the user's shell. (opencode's own way, a
plugin, costs a package installation at the start of every server, and 9 s where there is no network.)
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from adapters.opencode.http import PASSWORD_VARIABLE

_UNUSABLE = frozenset({"fish", "nu"})  # opencode does not run commands with these


def without_password(env: Mapping[str, str], directory: Path) -> dict[str, str]:
    """`env` with a `SHELL` below `directory` that hides the password."""
    path = env.get("PATH")
    shell = shutil.which(env.get("SHELL", ""), path=path)
    if shell is None or Path(shell).name in _UNUSABLE:
        shell = shutil.which("bash", path=path) or "/bin/sh"
    wrapper = directory / Path(shell).name
    script = f'#!/bin/sh\nunset {PASSWORD_VARIABLE}\nSHELL={shlex.quote(shell)} exec {shlex.quote(shell)} "$@"\n'
    temporary = wrapper.with_suffix(".new")
    temporary.write_text(script, encoding="utf-8")
    temporary.chmod(0o700)
    temporary.replace(wrapper)
    return {**env, "SHELL": str(wrapper)}
