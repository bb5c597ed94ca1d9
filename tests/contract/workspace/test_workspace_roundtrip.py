"""Whatever the files were and whatever became of them: a snapshot brings them back, byte for byte."""

import asyncio
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.git import GitWorkspace

NAMES = st.sampled_from(["a", "b", "-x", "sp ace", "é", "new\nline", "*", '"'])
FILE = st.tuples(st.sampled_from(["file", "program"]), st.sampled_from([b"", b"AAAA", b"BBBB", b"\0\r\n\xff"]))
LINK = st.tuples(st.just("link"), st.sampled_from([b"a", b"..", b"/nowhere"]))
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), FILE | LINK, max_size=6)
BETWEEN = st.sampled_from([(), ("add", "-A"), ("commit", "-qam", "x"), ("rm", "-rq", "--cached", "."), ("stash", "-q")])
IGNORED = "kept.ignored"


def write(root, tree):
    for entry in root.iterdir():
        if entry.name not in {".git", ".gitignore", IGNORED}:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name, (kind, content) in tree.items():
        path = root / name
        if any(parent.is_symlink() or parent.is_file() for parent in path.parents) or path.is_dir():
            continue  # the two names exclude each other
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(os.fsdecode(content))
        else:
            path.write_bytes(content)
            path.chmod(0o755 if kind == "program" else 0o644)


def read(root):
    found = {}
    for folder, folders, names in os.walk(root):
        if folder == str(root):
            folders.remove(".git")
        for name in [*names, *(f for f in folders if (Path(folder) / f).is_symlink())]:
            path = Path(folder) / name
            if path.is_symlink():
                found[str(path)] = ("link", os.fsencode(path.readlink()))
            else:
                found[str(path)] = (bool(path.stat().st_mode & stat.S_IXUSR), path.read_bytes())
    return found


@pytest.fixture(scope="module")
def env():
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    return {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **dict.fromkeys(names, "user")}


@settings(max_examples=12, deadline=None)
@given(committed=TREES, first=TREES, between=BETWEEN, second=TREES, after=BETWEEN)
def test_there_and_back(env, committed, first, between, second, after):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def git(*arguments):
            done = subprocess.run(["git", *arguments], cwd=root, env=env, capture_output=True, check=False)
            return done.stdout  # a refusal, say to stash nothing, is as good a state as any

        async def there_and_back():
            workspace = GitWorkspace(env, pytest.fail)
            git("init", "-q")
            (root / ".gitignore").write_text("*.ignored\n")
            (root / IGNORED).write_text("kept")
            write(root, committed)
            git("add", "-A")
            git("commit", "-qm", "start")
            write(root, first)
            one, state = await workspace.snapshot(root, "s/1/before"), read(root)
            git(*between)
            write(root, second)
            two, later = await workspace.snapshot(root, "s/1/after"), read(root)
            git(*after)
            for snapshot, expected in ((one, state), (two, later), (one, state)):
                await workspace.restore(root, snapshot)
                assert read(root) == expected
                again = await workspace.snapshot(root, "s/2/before")
                assert git("rev-parse", f"{again}^{{tree}}") == git("rev-parse", f"{snapshot}^{{tree}}")
                assert await workspace.changed_files(root, snapshot, again) == 0

        asyncio.run(there_and_back())
