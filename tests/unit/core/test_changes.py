"""`diff`: the summary where it was asked, and the patch as a file."""

from __future__ import annotations

from pathlib import Path

from core.events import Finished, Outcome, Said, Started, Step, StepState
from core.model import MessageId, SessionId
from core.ports import FileChange
from tests.fakes.world import VIEWER, World

REF = "github.com/shoko/kugetsu#14"


async def test_the_patch_comes_as_a_file_and_the_summary_as_the_answer(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    world.outside.workspace.differing = [
        FileChange("a.py", 3, 1),
        FileChange("b.png", binary=True),
        FileChange("new.py", before="old.py"),
    ]
    reply = await world.say(f"/diff {REF}", VIEWER)
    assert reply.ok
    assert "3 files, +3 −1" in reply.document.markdown
    assert "`b.png` binary" in reply.document.markdown
    assert "`old.py` → `new.py`" in reply.document.markdown
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


async def test_one_run_has_a_diff_of_its_own(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    world.outside.workspace.differing = [FileChange("a.py", 1)]
    for number in ("1", "last"):
        reply = await world.say(f"/diff --run {number} {REF}")
        assert reply.document.markdown.startswith("**#14** run 1: 1 file, +1 −0")
        assert reply.data["patch"].endswith("-run-1.patch")
    assert "no run" in (await world.say(f"/diff --run 7 {REF}")).document.markdown


async def test_a_fork_that_has_not_worked_has_changed_nothing(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    await world.say(f"/fork {REF} --name idea")
    await world.quiet()
    assert "no file has changed" in (await world.say(f"/diff {REF}~idea")).document.markdown
    assert "not worked yet" in (await world.say(f"/details {REF}~idea")).document.markdown


async def test_many_files_are_counted_and_the_first_are_named(world: World) -> None:
    await world.say(f"/start {REF} go")
    await world.quiet()
    world.outside.workspace.differing = [FileChange(f"deep/{'x' * 80}/{n}.py", 1) for n in range(2000)]
    said = (await world.say(f"/diff {REF}")).document.markdown
    assert "2000 files, +2000" in said
    assert len(said) < 4000
    assert "and 1980 more" in said


async def test_the_details_of_a_run_are_what_its_agent_did_and_thought(world: World) -> None:
    world.agent.scripts.append(
        [
            Started(SessionId(""), MessageId("")),
            Said("t", "Let me *see*.", reasoning=True),
            Step("s", "bash", StepState.COMPLETED, "npm test", "1 passed\n  indented"),
            Step("n", "grep", StepState.ERROR, "x", error="no such file", sub_agent=SessionId("sub")),
            Said("p", "Done."),
            Finished(Outcome.DONE),
        ]
    )
    await world.say(f"/start {REF} go")
    await world.quiet()
    said = (await world.say(f"/details {REF}", VIEWER)).document.markdown
    assert "> Let me \\*see\\*." in said
    assert "⚙ bash `npm test` ✓\n> 1 passed" in said
    assert "↳ ⚙ grep `x` ✗\n> no such file" in said


async def test_details_that_fit_no_message_are_a_file(world: World) -> None:
    steps = [Step(f"s{n}", "bash", StepState.COMPLETED, f"make {n}", "x" * 5000) for n in range(50)]
    begun, ended = Started(SessionId(""), MessageId("")), Finished(Outcome.DONE)
    world.agent.scripts.append([begun, *steps, Said("p", "Done."), ended])
    await world.say(f"/start {REF} go")
    await world.quiet()
    assert "50 steps; the file tells each" in (await world.say(f"/details {REF}")).document.markdown
    (name,) = world.chat.of("send_file")
    assert name.endswith("-run-1-details.md")
