"""`diff`: the summary where it was asked, and the patch as a file."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.world import VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"


async def test_the_patch_comes_as_a_file_and_the_summary_as_the_answer(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    world.outside.workspace.changed = 3
    reply = await world.say(f"/diff {REF}", VIEWER)
    assert reply.ok
    assert "3 files changed" in reply.document.markdown
    (name,) = world.chat.of("send_file")
    assert name.endswith(".patch")
    assert Path(reply.data["patch"]).read_text()


async def test_without_changes_there_is_no_file(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    world.outside.workspace.changed = 0
    reply = await world.say(f"/diff {REF}")
    assert "no file" in reply.document.markdown
    assert world.chat.of("send_file") == []


async def test_before_the_first_run_there_is_nothing_to_compare(outside: Outside) -> None:
    world = await World(outside).open()
    await world.say(f"/start {REF} go")
    session = await world.session(key())
    assert session.key.tag == "#14"
    await world.quiet()
    await world.say(f"/fork {REF} --name idea")
    await world.quiet()
    reply = await world.say(f"/diff {REF}~idea")
    assert not reply.ok
    assert "not worked yet" in reply.document.markdown
    await world.close()
