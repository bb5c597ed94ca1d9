"""The proof that a half-made worktree is ours, and the lock that goes with it."""

import asyncio
import fcntl
import os
from contextlib import contextmanager

import pytest

from adapters.git.claims import PATIENCE, Intent, claim
from core.errors import WorkspaceError

INTENT = Intent("kugetsu/14", "/state/worktrees/a b\né", "0" * 40)


@contextmanager
def held_by_another(path):
    file = os.open(path, os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(file)


def files(common):
    return list((common / "kugetsu").iterdir())


async def test_an_intent_left_behind_is_found(tmp_path):
    async with claim(tmp_path, INTENT.branch) as held:
        assert held.intent is None
        held.write(Intent(INTENT.branch, "longer " * 50, ""))
        held.write(INTENT)
    async with claim(tmp_path, "kugetsu/15") as other:
        assert other.intent is None
    async with claim(tmp_path, INTENT.branch) as held:
        assert held.intent == INTENT
        held.clear()
    assert files(tmp_path) == []


async def test_nothing_is_left_when_nothing_was_begun(tmp_path):
    with pytest.raises(WorkspaceError):
        async with claim(tmp_path, "any name: ../../x" * 50):
            raise WorkspaceError("refused")
    assert files(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "{}", '{"surprise": 1}'])
async def test_a_torn_file_proves_nothing(tmp_path, content):
    async with claim(tmp_path, "b") as held:
        held.write(INTENT)
    files(tmp_path)[0].write_text(content)
    async with claim(tmp_path, "b") as held:
        assert held.intent is None


@pytest.mark.looptime  # the patience passes as soon as everything waits
async def test_patience_has_an_end(tmp_path):
    async with claim(tmp_path, "b") as held:
        held.write(INTENT)
    started = asyncio.get_running_loop().time()
    with held_by_another(files(tmp_path)[0]), pytest.raises(WorkspaceError, match="Another process") as failure:
        async with claim(tmp_path, "b"):
            pytest.fail("two at once")
    assert asyncio.get_running_loop().time() - started >= PATIENCE
    assert "fuser" in failure.value.hint


@pytest.mark.looptime
async def test_a_holder_that_finishes_is_followed(tmp_path):
    first = claim(tmp_path, "b")
    holding = await first.__aenter__()
    holding.write(INTENT)
    second = asyncio.create_task(claim(tmp_path, "b").__aenter__())
    await asyncio.sleep(1)
    assert not second.done()
    holding.clear()
    await first.__aexit__(None, None, None)
    following = await second
    assert following.intent is None  # the first one's file is deleted, and its lock means nothing any more
    assert os.fstat(following.file).st_nlink == 1


async def test_a_git_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "kugetsu").write_text("a file")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        async with claim(tmp_path, "b"):
            pass
