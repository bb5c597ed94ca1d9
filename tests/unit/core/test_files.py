"""Which files of a worktree may be sent, and why others may not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core import commands
from core.access import Role
from core.callers import Caller
from core.errors import KugetsuError, NotAllowed, NotFound, UsageError
from core.files import MAX_BYTES, Files
from core.model import Inbound
from core.refs import RefContext
from tests.fakes.world import ANN, LOBBY, World


@dataclass
class Ignoring:
    """A workspace, as far as sending goes."""

    names: set[str] = field(default_factory=set)

    async def ignored(self, directory: Path, file: Path) -> bool:
        return file.name in self.names


class Desk:
    """A session with a worktree on disk, and somebody in it who sends files."""

    def __init__(self, world: World, worktree: Path) -> None:
        self.world = world
        self.worktree = worktree
        workspace: Any = Ignoring({".env"})
        self._files = Files(world.store, workspace, world.sessions, world.audience)

    async def send(self, path: str, directory: Path | None = None) -> Any:
        at = self.world.outside.clock.now()
        inbound = Inbound("fake", "e", LOBBY, ANN, f"/send {path}", at, directory or self.worktree)
        command = commands.parse(inbound.text, RefContext())
        return await self._files.commands["send"](command, Caller(inbound, Role.DRIVER, None, RefContext()))


@pytest.fixture
async def desk(world: World) -> Desk:
    await world.say("/start shoko/kugetsu#14 do it")
    await world.quiet()
    worktree = (await world.session()).directory
    (worktree / "docs").mkdir(parents=True)
    (worktree / "docs" / "a report.pdf").write_bytes(b"report")
    return Desk(world, worktree)


async def test_a_file_goes_to_every_place_of_its_session(desk: Desk) -> None:
    reply = await desk.send("docs/a report.pdf")
    assert reply.data == {"ref": "github.com/shoko/kugetsu#14", "file": "docs/a report.pdf", "size": 6}
    assert desk.world.chat.of("send_file") == ["docs/a report.pdf"]
    await desk.send("../docs/./a report.pdf", desk.worktree / "docs")
    assert len(desk.world.chat.of("send_file")) == 2


async def refused(desk: Desk, path: str, directory: Path | None = None) -> KugetsuError:
    with pytest.raises(KugetsuError) as caught:
        await desk.send(path, directory)
    assert caught.value.hint
    assert desk.world.chat.of("send_file") == []
    return caught.value


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../outside.txt", "docs/../../x", "link", "folder link/x.txt"])
async def test_nothing_from_outside_the_worktree(desk: Desk, path: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("private")
    (desk.worktree / "link").symlink_to(tmp_path / "x.txt")
    (desk.worktree / "folder link").symlink_to(tmp_path)
    error = await refused(desk, path)
    assert isinstance(error, NotAllowed)
    assert "outside the worktree" in str(error)


async def test_nothing_that_git_ignores_or_keeps(desk: Desk) -> None:
    (desk.worktree / ".env").write_text("KEY=1")
    (desk.worktree / "innocent").symlink_to(desk.worktree / ".env")
    (desk.worktree / ".git").write_text("gitdir: elsewhere")
    for path in (".env", "innocent", ".git"):
        assert isinstance(await refused(desk, path), NotAllowed)


async def test_only_files_that_are_there(desk: Desk) -> None:
    (desk.worktree / "loop").symlink_to("loop")
    for path in ("docs", ".", "missing.txt", "dangling"):
        (desk.worktree / "dangling").unlink(missing_ok=True)
        (desk.worktree / "dangling").symlink_to(desk.worktree / "nowhere")
        assert isinstance(await refused(desk, path), NotFound)
    for path in ("loop", "x" * 300, "\0", "a/" * 3000):
        assert isinstance(await refused(desk, path), NotFound)


async def test_nothing_that_no_chat_would_take(desk: Desk) -> None:
    with (desk.worktree / "large.bin").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    error = await refused(desk, "large.bin")
    assert isinstance(error, UsageError)
    assert "50 MB" in str(error)
    with (desk.worktree / "large.bin").open("wb") as file:
        file.truncate(MAX_BYTES)
    assert (await desk.send("large.bin")).ok


async def test_outside_of_any_worktree_it_says_where_to_go(desk: Desk, tmp_path: Path) -> None:
    assert isinstance(await refused(desk, "x.txt", tmp_path), UsageError)
