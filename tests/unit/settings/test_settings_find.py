"""Which file is the configuration, and the mark that ties a worktree to its bot."""

import json
import subprocess
from pathlib import Path

import pytest

from bot.settings import find_config
from bot.worktree_mark import Mark, read_mark, renew_mark, write_mark
from core.errors import ConfigurationError, WorkspaceError


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    folder = tmp_path / "cwd"
    folder.mkdir()
    return folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def worktree(folder: Path, git_dir: str) -> Path:
    """What `git worktree add` leaves."""
    folder.mkdir(parents=True)
    (folder / ".git").write_text(f"gitdir: {git_dir}\n")
    (folder / git_dir).mkdir(parents=True)
    return folder


def test_order(cwd: Path, env: dict[str, str], tmp_path: Path) -> None:
    assert find_config(None, cwd, env) is None
    in_home = touched(tmp_path / "home" / ".config" / "kugetsu" / "config.yaml")
    assert find_config(None, cwd, env) == in_home
    env["KUGETSU_CONFIG"] = str(tmp_path / "elsewhere.yaml")
    assert find_config(None, cwd, env) == tmp_path / "elsewhere.yaml"
    here = touched(cwd / "config.yaml")
    assert find_config(None, cwd, env) == here
    made = worktree(tmp_path / "tree", "../repo/.git/worktrees/tree")
    marked_config = touched(tmp_path / "bot.yaml")
    write_mark(made, marked_config, tmp_path / "state", "github.com/o/r#1")
    touched(made / "config.yaml")
    assert find_config(None, made, env) == marked_config
    assert find_config(tmp_path / "explicit.yaml", made, env) == tmp_path / "explicit.yaml"


def test_named_by_the_environment(cwd: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home")}
    assert find_config(None, cwd, home | {"KUGETSU_CONFIG": "~/k.yaml"}) == tmp_path / "home" / "k.yaml"
    assert find_config(None, cwd, home | {"KUGETSU_CONFIG": "k.yaml"}) == cwd / "k.yaml"
    assert find_config(None, cwd, home | {"KUGETSU_CONFIG": ""}) is None


def test_worktree_made_without_a_file(env: dict[str, str], tmp_path: Path) -> None:
    made = worktree(tmp_path / "tree", "../repo/.git/worktrees/tree")
    touched(made / "config.yaml")
    write_mark(made, None, tmp_path / "state", "local/demo#1")
    assert find_config(None, made, env) is None
    assert read_mark(made) == Mark(None, tmp_path / "state", "local/demo#1")


def test_mark_of_a_real_worktree_is_seen_from_its_folders_and_by_nobody_else(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
        return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True, timeout=30).stdout

    repository = tmp_path / "repo"
    repository.mkdir()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    made = tmp_path / "tree"
    git("worktree", "add", "--quiet", "-b", "issue", str(made))
    deep = made / "a" / "b"
    deep.mkdir(parents=True)
    config = tmp_path / "ünï config.yaml"
    write_mark(made, config, tmp_path / "state", "github.com/o/r#14~try")
    expected = Mark(config, tmp_path / "state", "github.com/o/r#14~try")
    assert read_mark(made) == read_mark(deep) == expected
    assert read_mark(repository) is None
    assert git("-C", str(made), "status", "--porcelain") == ""
    mark = repository / ".git" / "worktrees" / "tree" / "kugetsu.json"
    assert mark.stat().st_mode & 0o777 == 0o600
    assert sorted(json.loads(mark.read_text())) == ["config", "session", "state_dir", "token"]
    subprocess.run(["git", "init", "--quiet", str(deep)], check=True, timeout=30)
    assert read_mark(deep) == expected


def test_a_mark_is_renewed_where_it_has_another_token_or_none_or_is_damaged(tmp_path: Path) -> None:
    made = worktree(tmp_path / "tree", "../git")
    mark = tmp_path / "git" / "kugetsu.json"
    expected = Mark(None, tmp_path, "o/r#1", "t1")

    def renewed() -> Mark | None:
        renew_mark(made, None, tmp_path, "o/r#1", "t1")
        return read_mark(made)

    assert renewed() == expected  # there was none
    before = mark.stat().st_ino
    assert renewed() == expected
    assert mark.stat().st_ino == before
    mark.write_text(
        json.dumps({"config": None, "state_dir": str(tmp_path), "session": "o/r#1"})
    )  # before there were any
    assert renewed() == expected
    mark.write_text("nonsense")
    assert renewed() == expected


def test_mark_is_replaced_whole(tmp_path: Path) -> None:
    made = worktree(tmp_path / "tree", "../git")
    for session in ("o/r#1", "o/r#2"):
        write_mark(made, None, tmp_path, session)
    assert [file.name for file in (tmp_path / "git").iterdir()] == ["kugetsu.json"]
    mark = read_mark(made)
    assert mark is not None
    assert mark.session == "o/r#2"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"config": 1, "state_dir": "/s", "session": "x"}', "[" * 5000, "\0"]
)
def test_damaged_mark(text: str, tmp_path: Path) -> None:
    made = worktree(tmp_path / "tree", "../git")
    (tmp_path / "git" / "kugetsu.json").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_mark(made)
    assert "--config" in caught.value.hint
    assert caught.value.problems


@pytest.mark.parametrize("text", ["", "gitdir: /nowhere", "gitdir:", "something else", "gitdir: \0", "\xff"])
def test_git_file_that_leads_nowhere(text: str, tmp_path: Path) -> None:
    (tmp_path / ".git").write_text(text, encoding="latin-1")
    assert read_mark(tmp_path) is None


def test_only_a_worktree_can_be_marked(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no git worktree"):
        write_mark(tmp_path, None, tmp_path, "o/r#1")
