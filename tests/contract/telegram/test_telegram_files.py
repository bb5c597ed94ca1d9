"""Files both ways."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from core.errors import ChatError, ChatUnreachable
from core.messages import Outgoing, Page
from core.model import IncomingFile
from tests.contract.telegram.telegram_labs import Lab, place
from tests.simulators.telegram import Chat, User


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" * ((width + 1) * height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def somebody(lab: Lab) -> tuple[User, Chat]:
    alice = lab.sim.user("Alice")
    chat = lab.sim.private(alice)
    await lab.sim.say(alice, chat, "hello")
    return alice, chat


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("report.md", b"# Report", "document"),
        ("picture.png", png(30, 20), "photo"),
        ("endless.png", png(3, 900), "document"),  # more than 20 times as high as wide
        ("broken.jpg", b"no picture", "document"),
    ],
)
async def test_a_file_goes_out_as_what_it_is(lab: Lab, tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    _, chat = await somebody(lab)
    (tmp_path / "stored").write_bytes(content)
    async with lab.connected() as messenger:
        (page,) = messenger.pages("the **file**")
        for message in (
            Outgoing(page, file=tmp_path / "stored", file_name=name, silent=True),
            Outgoing(page, content=content, file_name=name, silent=True),
        ):
            shown = chat.messages[int(await messenger.send(place(chat), message, "k"))]
            assert next(iter(shown.media or {})) == kind
            assert (shown.text, shown.entities[0]["type"], shown.silent) == ("the file", "bold", True)
            stored = max(lab.sim.world.files.values(), key=lambda file: file.file_id)
            assert content in {file.content for file in lab.sim.world.files.values()}, stored


async def test_a_long_caption_goes_before_and_buttons_come_along(lab: Lab) -> None:
    _, chat = await somebody(lab)
    async with lab.connected() as messenger:
        rows = lab.saying("", "Retry").buttons
        message = Outgoing(Page("long " * 300), rows, content=b"x", file_name="x.txt")
        number = await messenger.send(place(chat), message, "k")
    _, text, file = lab.sim.messages(chat)
    assert (file.id, file.text, text.media, len(text.text)) == (int(number), "", None, 1499)
    assert [button["text"] for button in file.buttons] == ["Retry"]


async def test_the_caption_of_a_file_can_be_edited(lab: Lab) -> None:
    _, chat = await somebody(lab)
    async with lab.connected() as messenger:
        number = await messenger.send(place(chat), Outgoing(Page("a"), content=b"x", file_name="x.txt"), "k")
        await messenger.edit(place(chat), number, Outgoing(Page("b")))
        await messenger.edit(place(chat), number, Outgoing(Page("b")))
        assert chat.messages[int(number)].text == "b"
        await messenger.edit(place(chat), number, Outgoing(Page("long " * 300)))
        assert len(chat.messages[int(number)].text) == 1024


async def test_files_that_cannot_go_out(lab: Lab, tmp_path: Path) -> None:
    _, chat = await somebody(lab)
    large, empty = tmp_path / "large.bin", tmp_path / "empty"
    empty.touch()
    with large.open("wb") as file:
        file.truncate(51 << 20)
    async with lab.connected() as messenger:
        with pytest.raises(ChatError, match=r"large.bin is 53 MB: Telegram takes files up to 50 MB"):
            await messenger.send(place(chat), Outgoing(Page(""), file=large), "k")
        with pytest.raises(ChatError, match="is empty"):
            await messenger.send(place(chat), Outgoing(Page(""), file=empty), "k")
        with pytest.raises(ChatError, match=r"gone.txt cannot be read"):
            await messenger.send(place(chat), Outgoing(Page(""), file=tmp_path / "gone.txt"), "k")
        lab.sim.faults.add("error", method="sendDocument", code=413)
        with pytest.raises(ChatError, match="up to 50 MB"):
            await messenger.send(place(chat), Outgoing(Page(""), content=b"x", file_name="x"), "k")


async def test_a_file_comes_in(lab: Lab, tmp_path: Path) -> None:
    alice, chat = await somebody(lab)
    content = bytes(range(256)) * 5000
    async with lab.listening() as messenger:
        await lab.sim.send_file(alice, chat, "document", content, name="data ü.bin", caption="look")
        await lab.sim.send_file(alice, chat, "voice", b"OggS voice")
        await lab.mail.texts("hello", "look", "")
        for inbound, expected in zip(lab.mail.taken[1:], (content, b"OggS voice"), strict=True):
            await messenger.fetch(inbound.files[0], tmp_path / "in")
            assert (tmp_path / "in").read_bytes() == expected
        assert [inbound.files[0].voice for inbound in lab.mail.taken[1:]] == [False, True]


async def test_files_that_cannot_be_had(lab: Lab, tmp_path: Path) -> None:
    alice, chat = await somebody(lab)
    target = tmp_path / "new" / "in"
    async with lab.listening() as messenger:
        await lab.sim.send_file(alice, chat, "document", b"x", name="big.iso", size=21 << 20)
        await lab.sim.send_file(alice, chat, "document", b"x", name="small.txt")
        await lab.mail.texts("hello", "", "")
        big, small = (inbound.files[0] for inbound in lab.mail.taken[1:])
        for file in (big, IncomingFile(big.id, big.name, "", 0)):  # announced, and found out
            with pytest.raises(ChatError, match=r"big.iso is (21 MB|more), and Telegram lets bots fetch only"):
                await messenger.fetch(file, target)
        with pytest.raises(ChatError, match="refuses"):
            await messenger.fetch(IncomingFile("nonsense", "x", "", 0), target)
        for kind in ("drop", "error", "hang"):
            lab.sim.faults.add(kind, method="file", times=2 if kind == "drop" else 1)  # aiohttp tries again once
            with pytest.raises(ChatUnreachable) as caught:
                await messenger.fetch(small, target)
            assert lab.sim.token not in str(caught.value)
        with pytest.raises(ChatError, match="cannot be written"):
            await messenger.fetch(small, Path("/dev/null/in"))
        assert not target.exists()
        await messenger.fetch(small, target)
        assert target.read_bytes() == b"x"
