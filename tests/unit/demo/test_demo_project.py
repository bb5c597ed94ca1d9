from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bot.demo.project import make_project, opencode_env
from core.errors import WorkspaceError

LEAKS = {
    "ANTHROPIC_API_KEY": "sk",
    "OPENAI_API_KEY": "sk",
    "OPENCODE_CONFIG": "/home/ada/.config/opencode/opencode.json",
    "OPENCODE_CONFIG_CONTENT": "{}",
    "XDG_CONFIG_HOME": "/home/ada/.config",
    "HOME": "/home/ada",
    "HTTPS_PROXY": "http://proxy",
    "GITHUB_TOKEN": "gh",
}


def git(path: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=path, check=True, capture_output=True, text=True, timeout=20).stdout


def test_the_project_is_a_repository_with_one_commit_and_green_tests(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert str(project.ref) == "local/demo"
    assert project.path == tmp_path / "demo" / "project"
    assert git(project.path, "log", "--format=%an <%ae> %s") == "kugetsu demo <demo@localhost> A greeting\n"
    assert git(project.path, "branch", "--show-current") == "main\n"
    subprocess.run([sys.executable, "-m", "unittest"], cwd=project.path, check=True, capture_output=True, timeout=20)
    assert git(project.path, "status", "--short") == ""


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    first = make_project(tmp_path)
    (first.path / "README.md").write_text("mine")
    assert make_project(tmp_path) == first
    assert (first.path / "README.md").read_text() == "mine"
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["project"]


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "project"
    path.mkdir(parents=True)
    (path / "precious").touch()
    with pytest.raises(WorkspaceError):
        make_project(tmp_path)
    assert [path.name for path in path.parent.iterdir()] == ["project"]
    assert [path.name for path in path.iterdir()] == ["precious"]


def test_opencode_gets_nothing_of_the_users(tmp_path: Path) -> None:
    env = opencode_env(tmp_path, "http://127.0.0.1:1/v1", LEAKS | {"PATH": "/bin", "LC_TIME": "C", "TERM": "xterm"})
    kept = {name: env.pop(name) for name in ("PATH", "LC_TIME", "TERM")}
    assert kept == {"PATH": "/bin", "LC_TIME": "C", "TERM": "xterm"}
    homes = {name for name, value in env.items() if Path(value).is_relative_to(tmp_path / "demo")}
    assert homes == {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"}
    assert all(name.startswith("OPENCODE_DISABLE_") for name in set(env) - homes)
    assert all(stat.S_IMODE(Path(env[name]).stat().st_mode) == 0o700 for name in homes)


def test_the_only_provider_is_the_demo(tmp_path: Path) -> None:
    for port in (1, 2):  # a new start has a new port
        env = opencode_env(tmp_path, f"http://127.0.0.1:{port}/v1", {})
        written = json.loads((Path(env["XDG_CONFIG_HOME"]) / "opencode" / "opencode.json").read_text())
        assert written["enabled_providers"] == list(written["provider"]) == ["demo"]
        assert written["model"] == written["small_model"] == "demo/demo"
        assert written["provider"]["demo"]["options"]["baseURL"] == f"http://127.0.0.1:{port}/v1"
        assert (written["autoupdate"], written["share"]) == (False, "disabled")
