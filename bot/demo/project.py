"""What the demo works on: a small real repository, and an opencode that sees nothing of the user's.

The demo must never cost anything: opencode gets an environment made from an allow-list, homes of its own, and a
configuration whose only provider is the demo's model.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from core.errors import WorkspaceError
from core.model import LOCAL_INSTANCE, Project, ProjectRef

REF = ProjectRef(LOCAL_INSTANCE, "", "demo")
README, MODULE = "README.md", "greeting.py"
TEST_COMMAND = "python3 -m unittest"
GIT_TIMEOUT = 20.0  # seconds

# Everything else stays out, provider keys, proxies and OPENCODE_* above all.
ALLOWED = frozenset({"PATH", "LANG", "LANGUAGE", "TERM", "TMPDIR", "USER", "LOGNAME", "SHELL", "TZ"})

FILES = {
    README: """\
# Greeting

A few lines of Python that greet people in their language.

    python3 -c 'from greeting import greet; print(greet("Ada"))'

The tests run with `python3 -m unittest`.
""",
    "AGENTS.md": """\
# For agents

- `greeting.py` holds everything; new languages go into `GREETINGS`.
- Run the tests with `python3 -m unittest` after every change.
""",
    MODULE: '''\
"""Greets people in their language."""

GREETINGS = {
    "en": "Hello",
}


def greet(name: str, language: str = "en") -> str:
    """`Hello, Ada!`"""
    return f"{GREETINGS[language]}, {name}!"
''',
    "test_greeting.py": """\
import unittest

from greeting import GREETINGS, greet


class GreetingTest(unittest.TestCase):
    def test_every_language_names_the_person(self) -> None:
        for language in GREETINGS:
            self.assertIn("Ada", greet("Ada", language))
""",
    ".gitignore": "__pycache__/\n",
}


def make_project(state_dir: Path) -> Project:
    """The demo's repository in `state_dir/demo/project`, made unless it is there. Raises WorkspaceError.

    Blocks for the few git commands it takes.
    """
    path = state_dir / "demo" / "project"
    if not (path / ".git").exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix="project-", dir=path.parent))
        try:
            _write_repository(making)
            making.replace(path)  # it is there whole, or not at all
        except OSError as error:
            raise WorkspaceError(f"the demo project cannot be made: {error}", f"Check {path.parent}.") from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return Project(REF, path, base_branch="main")


def opencode_env(state_dir: Path, endpoint_url: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for the demo's opencode, not an addition to another; writes its configuration too.

    Homes are below `state_dir/demo`, HOME as well: opencode also reads `~/.opencode` and `~/.claude`.
    """
    root = state_dir / "demo"
    homes = {
        "HOME": root / "home",
        "XDG_CONFIG_HOME": root / "config",
        "XDG_DATA_HOME": root / "data",
        "XDG_STATE_HOME": root / "state",
        "XDG_CACHE_HOME": root / "cache",
    }
    for home in homes.values():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(
        homes["XDG_CONFIG_HOME"] / "opencode" / "opencode.json", json.dumps(_configuration(endpoint_url), indent=2)
    )
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if name in ALLOWED or name.startswith("LC_")}
    return (
        kept
        | {name: str(home) for name, home in homes.items()}
        | {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }
    )


def _configuration(endpoint_url: str) -> dict[str, object]:
    return {
        "$schema": "https://opencode.ai/config.json",
        "model": "demo/demo",
        "small_model": "demo/demo",
        "enabled_providers": ["demo"],
        "autoupdate": False,
        "share": "disabled",
        # tests ask first, so that the demo shows what that is like; what only looks does not
        "permission": {"bash": {"*": "ask", "git status*": "allow", "ls*": "allow"}},
        "provider": {
            "demo": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "kugetsu demo (canned answers)",
                "options": {"baseURL": endpoint_url, "apiKey": "none"},
                "models": {"demo": {"name": "demo", "tool_call": True, "limit": {"context": 100_000, "output": 4_000}}},
            }
        },
    }


def _write_repository(path: Path) -> None:
    for name, text in FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    _git(path, "init", "--quiet", "--initial-branch=main")
    _git(path, "add", "--all")
    _git(path, "commit", "--quiet", "--message", "A greeting")


def _git(path: Path, *arguments: str) -> None:
    """With nothing of the user's: no identity, hooks, templates or signing."""
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _IDENTITY.items()}
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(path), "LC_ALL": "C"} | who
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        subprocess.run(
            ["git", *arguments],  # noqa: S607  the git on PATH, like everywhere
            cwd=path,
            env=env,
            check=True,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT,
        )
    except FileNotFoundError as error:
        raise WorkspaceError("git is not installed.", "Install git; the demo needs it too.") from error
    except subprocess.CalledProcessError as error:
        raise WorkspaceError(f"git {arguments[0]} failed: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise WorkspaceError(f"git {arguments[0]} did not end within {GIT_TIMEOUT:.0f} s.") from error


_IDENTITY = {"NAME": "kugetsu demo", "EMAIL": "demo@localhost", "DATE": "2026-01-01T00:00:00Z"}


def _replace(path: Path, text: str) -> None:
    """Write whole or not at all: another command may be reading."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
