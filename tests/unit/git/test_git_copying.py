"""What goes along into a new worktree."""

import os
from pathlib import Path

import pytest

from adapters.git.copying import check_entries, copy_entries, is_copy
from core.errors import WorkspaceError


@pytest.fixture
def top(tmp_path):
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


@pytest.fixture
def worktree(tmp_path):
    (tmp_path / "worktree").mkdir()
    return tmp_path / "worktree"


def test_folders_keep_their_links_and_leave_out_what_is_no_file(top, worktree):
    (top / "tools" / "bin").mkdir(parents=True)
    (top / "tools" / "it").write_text("it")
    (top / "tools" / "bin" / "it").symlink_to("../it")
    (top / "tools" / "up").symlink_to(".")
    os.mkfifo(top / "tools" / "pipe")
    check_entries(top, ("tools",))
    copy_entries(top, worktree, ("tools",))
    assert (worktree / "tools" / "bin" / "it").readlink() == Path("../it")
    assert (worktree / "tools" / "bin" / "it").read_text() == "it"
    assert sorted(path.name for path in (worktree / "tools").iterdir()) == ["bin", "it", "up"]
    for name in ("tools/it", "tools/bin/it"):
        assert is_copy(top, worktree, ("tools",), name)


def test_an_entry_that_is_a_link_gives_what_it_points_at(top, worktree):
    (top / "env.local").write_text("SECRET")
    (top / ".env").symlink_to("env.local")
    check_entries(top, (".env",))
    copy_entries(top, worktree, (".env",))
    assert not (worktree / ".env").is_symlink()
    assert (worktree / ".env").read_text() == "SECRET"
    assert is_copy(top, worktree, (".env",), ".env")


def test_absent_entries_and_dangling_links_are_passed_over(top, worktree):
    (top / "dangling").symlink_to("nowhere")
    entries = ("absent", "absent/too", "dangling")
    check_entries(top, entries)
    copy_entries(top, worktree, entries)
    assert list(worktree.iterdir()) == []


@pytest.mark.parametrize("entry", ["..", "a/..", "/a", ".git", ".Git/hooks", "", ".", "a\0b"])
def test_entries_that_are_no_plain_paths(top, entry):
    with pytest.raises(WorkspaceError, match="is refused"):
        check_entries(top, ("fine", entry))


def test_only_what_is_the_same_counts_as_a_copy(top, worktree):
    for name in (".env", "other"):
        (top / name).write_text("same")
        (worktree / name).write_text("same")
    assert is_copy(top, worktree, (".env",), ".env")
    assert not is_copy(top, worktree, (".env",), "other")
    (worktree / ".env").write_text("diff")
    assert not is_copy(top, worktree, (".env",), ".env")
    (worktree / ".env").unlink()
    assert not is_copy(top, worktree, (".env",), ".env")


def test_what_is_to_be_kept_is_not_replaced(top, worktree):
    for name in ("conf/a", "conf/b"):
        for folder in (top, worktree):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(folder.name)
    copy_entries(top, worktree, ("conf",), keep={"conf/b"})
    assert (worktree / "conf" / "a").read_text() == "top"
    assert (worktree / "conf" / "b").read_text() == "worktree"
