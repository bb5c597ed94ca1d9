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
    found = _configured("KUGETSU_TEST_OPENCODE", REPOSITORY) or shutil.which("opencode")
    if found is None:
        raise RuntimeError("No opencode to test with: run `npm install`, or set KUGETSU_TEST_OPENCODE")
    return Path(found)


def oldest_opencode() -> Path:
    """The oldest version that is driven: `KUGETSU_TEST_OPENCODE_13`, else the one installed for the tests."""
    folder = REPOSITORY / "tests" / "opencode-1.3"
    found = _configured("KUGETSU_TEST_OPENCODE_13", folder)
    if found is None:
        raise RuntimeError(f"No opencode 1.3.0 to test with: run `npm ci` in {folder}, or set KUGETSU_TEST_OPENCODE_13")
    return found


def _configured(variable: str, folder: Path) -> Path | None:
    if configured := os.environ.get(variable):
        return Path(configured)
    beside = folder / "node_modules" / ".bin" / "opencode"
    return beside if beside.exists() else None


@dataclass(frozen=True, slots=True)
class OpencodeHome:
    """Directories and environment of one isolated opencode."""

    root: Path
    model_url: str
    config: dict[str, Any] = field(default_factory=dict)  # merged over the defaults, top level only
    catalogue: bool = True  # opencode's own list of all models, which takes 1.18 a second to read at every start

    def write(self) -> None:
        """Create the directories and opencode.json. May be called again after `config` changed."""
        path = self.root / ".config" / "opencode" / "opencode.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.defaults() | self.config, indent=2), encoding="utf-8")
        self._empty_catalogue.write_text("{}", encoding="utf-8")

    @property
    def env(self) -> dict[str, str]:
        """What must be added to the environment of opencode."""
        catalogue = {} if self.catalogue else {"OPENCODE_MODELS_PATH": str(self._empty_catalogue)}
        return {
            **catalogue,
            "HOME": str(self.root),
            "XDG_DATA_HOME": str(self.root / ".local" / "share"),
            "XDG_CONFIG_HOME": str(self.root / ".config"),
            "XDG_CACHE_HOME": str(self.root / ".cache"),
            "XDG_STATE_HOME": str(self.root / ".local" / "state"),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        }

    @property
    def _empty_catalogue(self) -> Path:
        return self.root / "models.json"

    def defaults(self) -> dict[str, Any]:
        """The configuration with which a test begins."""
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


def opencode_home(
    root: Path, model_url: str, config: dict[str, Any] | None = None, *, catalogue: bool = True
) -> OpencodeHome:
    """An isolated home below `root`, ready to be used, whose only provider is the scripted model."""
    home = OpencodeHome(root, model_url, config or {}, catalogue)
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
