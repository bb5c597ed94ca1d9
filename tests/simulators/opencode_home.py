"""A private place for a real opencode to live in during a test: own home, own configuration, nothing of the user's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def opencode_binary() -> Path:
    """`KUGETSU_TEST_OPENCODE`, else the one installed beside the project, else the one on PATH."""
    configured = os.environ.get("KUGETSU_TEST_OPENCODE")
    if configured:
        return Path(configured)
    beside = REPOSITORY / "node_modules" / ".bin" / "opencode"
    if beside.exists():
        return beside
    found = shutil.which("opencode")
    if found is None:
        raise RuntimeError("No opencode to test with: run `npm install`, or set KUGETSU_TEST_OPENCODE")
    return Path(found)


@dataclass(frozen=True, slots=True)
class OpencodeHome:
    """Directories and environment of one isolated opencode."""

    root: Path
    model_url: str
    config: dict[str, Any] = field(default_factory=dict)  # merged over the defaults, top level only

    def write(self) -> None:
        """Create the directories and opencode.json. May be called again after `config` changed."""
        path = self.root / ".config" / "opencode" / "opencode.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._defaults() | self.config, indent=2), encoding="utf-8")

    @property
    def env(self) -> dict[str, str]:
        """What must be added to the environment of opencode."""
        return {
            "HOME": str(self.root),
            "XDG_DATA_HOME": str(self.root / ".local" / "share"),
            "XDG_CONFIG_HOME": str(self.root / ".config"),
            "XDG_CACHE_HOME": str(self.root / ".cache"),
            "XDG_STATE_HOME": str(self.root / ".local" / "state"),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        }

    def _defaults(self) -> dict[str, Any]:
        limit = {"context": 100_000, "output": 4_000}
        return {
            "model": "mock/m1",
            "small_model": "mock/m1",
            "autoupdate": False,
            "share": "disabled",
            "provider": {
                "mock": {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "Mock",
                    "options": {"baseURL": self.model_url, "apiKey": "x"},
                    "models": {"m1": {"name": "M1", "tool_call": True, "limit": limit}},
                }
            },
        }


def opencode_home(root: Path, model_url: str, config: dict[str, Any] | None = None) -> OpencodeHome:
    """An isolated home below `root`, ready to be used, whose only provider is the scripted model."""
    home = OpencodeHome(root, model_url, config or {})
    home.write()
    return home


def git_project(path: Path) -> Path:
    """A small repository with one commit on `main`, its own: opencode tells projects apart by their first commit."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "README.md").write_text(f"# {path}\n", encoding="utf-8")
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*identity, "commit", "-qm", "First")):
        subprocess.run(["git", *command], cwd=path, check=True, timeout=20, capture_output=True)
    return path


def git_worktree(project: Path, directory: Path, branch: str) -> Path:
    """A worktree of `project` on a new branch."""
    command = ["git", "worktree", "add", "-q", "-b", branch, str(directory)]
    subprocess.run(command, cwd=project, check=True, timeout=20, capture_output=True)
    return directory
