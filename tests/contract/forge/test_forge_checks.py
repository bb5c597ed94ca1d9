"""What every forge says of what ran on a commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import ForgeNotFound
from core.model import ProjectRef
from core.ports import Checks, Forge
from tests.contract.forge.forge_labs import ForgeLab

Ask = Callable[..., Forge]
UNKNOWN = "0123456789abcdef0123456789abcdef01234567"


async def test_nothing_ran(lab: ForgeLab, ask: Ask) -> None:
    assert await ask().checks(lab.project, await lab.branch("work")) == Checks("none")


async def test_a_commit_that_is_not_known_yet(lab: ForgeLab, ask: Ask) -> None:
    assert await ask().checks(lab.project, UNKNOWN) == Checks("none")


async def test_a_project_that_is_not_known_is_an_error(lab: ForgeLab, ask: Ask) -> None:
    with pytest.raises(ForgeNotFound, match="does not know"):
        await ask().checks(ProjectRef(lab.project.instance, "nobody", "nothing"), UNKNOWN)
    await lab.hide()
    with pytest.raises(ForgeNotFound, match="without a token"):
        await ask(token=False).checks(lab.project, UNKNOWN)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["passed"], "passed"),
        (["passed", "passed"], "passed"),
        (["pending"], "pending"),
        (["passed", "pending"], "pending"),
        (["failed", "pending"], "pending"),
        (["passed", "failed"], "failed"),
    ],
)
async def test_they_come_to_one(states: list[str], whole: str, lab: ForgeLab, ask: Ask) -> None:
    commit = await lab.branch("work")
    for number, state in enumerate(states):
        await lab.ran(commit, f"job {number}", state)
    found = await ask().checks(lab.project, commit)
    assert (found.state, found.total) == (whole, len(states))
    assert [check.name for check in found.failed] == [f"job {n}" for n, s in enumerate(states) if s == "failed"]


async def test_what_failed_says_why(lab: ForgeLab, ask: Ask) -> None:
    commit = await lab.branch("work")
    await lab.ran(commit, "lint", "passed", "fine")
    await lab.ran(commit, "tests", "failed", "2 of 300 \x1b[31mfailed")
    [check] = (await ask(token=False).checks(lab.project, commit)).failed
    assert check.name == "tests"
    assert check.url.startswith("https://")
    assert "2 of 300 [31mfailed" in check.summary


async def test_other_commits_do_not_count(lab: ForgeLab, ask: Ask) -> None:
    await lab.ran(await lab.branch("other"), "tests", "failed")
    commit = await lab.branch("work")
    await lab.ran(commit, "tests", "passed")
    assert (await ask().checks(lab.project, commit)).state == "passed"


async def test_a_long_story_is_cut(lab: ForgeLab, ask: Ask) -> None:
    commit = await lab.branch("work")
    await lab.ran(commit, "tests", "failed", "x" * 20_000)
    [check] = (await ask().checks(lab.project, commit)).failed
    assert 4_000 <= len(check.summary) <= 4_010


async def test_the_one_that_failed_among_many(lab: ForgeLab, ask: Ask) -> None:
    commit = await lab.branch("work")
    for number in range(120):
        await lab.ran(commit, f"job {number}", "failed" if number in {1, 118} else "passed")
    found = await ask().checks(lab.project, commit)
    assert (found.state, found.total) == ("failed", 120)
    assert {check.name for check in found.failed} == {"job 1", "job 118"}


@pytest.mark.parametrize("commit", ["", "..", "a/b", "deadbeef?b#c", "deadbeef\n", "dürr", "main"])
async def test_what_is_no_commit_is_not_asked_for(commit: str, lab: ForgeLab, ask: Ask) -> None:
    assert await ask().checks(lab.project, commit) == Checks("none")
    assert lab.asked == []
