"""What every forge offers to start with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.ports import Forge, Issue
from tests.contract.forge.forge_labs import ForgeLab

Ask = Callable[..., Forge]


def titles(issues: list[Issue]) -> list[str]:
    return [issue.title for issue in issues]


async def test_open_issues_last_changed_first(lab: ForgeLab, ask: Ask) -> None:
    first = await lab.issue("first")
    closed = await lab.issue("closed")
    await lab.issue("third", assignee="ann")
    await lab.request("request")
    await lab.close(closed)
    await lab.comment(first, "still there?")
    recent = await ask(token=False).recent(lab.project, 10)
    assert titles(recent) == ["first", "third"]
    assert recent[0].ref == first
    assert (recent[0].state, recent[0].url, recent[0].comments) == ("open", lab.web(first), ())


async def test_my_own_before_the_others(lab: ForgeLab, ask: Ask) -> None:
    await lab.issue("mine, old", assignee="me")
    await lab.issue("mine, new", assignee="me")
    await lab.issue("of nobody")
    await lab.issue("of ann", assignee="ann")
    forge = ask()
    assert titles(await forge.recent(lab.project, 10)) == ["mine, new", "mine, old", "of ann", "of nobody"]
    assert titles(await forge.recent(lab.project, 3)) == ["mine, new", "mine, old", "of ann"]
    assert titles(await forge.recent(lab.project, 1)) == ["mine, new"]
    assert await forge.recent(lab.project, 0) == []


async def test_never_more_than_twenty(lab: ForgeLab, ask: Ask) -> None:
    for number in range(23):
        await lab.issue(f"issue {number}")
    assert titles(await ask().recent(lab.project, 100)) == [f"issue {n}" for n in range(22, 2, -1)]


async def test_nothing_there(lab: ForgeLab, ask: Ask) -> None:
    assert await ask().recent(lab.project, 5) == []


@pytest.mark.parametrize("days", [2, 10, 40])
async def test_an_old_issue_that_changed_lately_is_found_among_many(lab: ForgeLab, ask: Ask, days: int) -> None:
    old = await lab.issue("old but busy")
    for number in range(55):
        await lab.issue(f"issue {number}")
    lab.wait(days=days)
    await lab.comment(old, "I am on it")
    assert titles(await ask().recent(lab.project, 2)) == ["old but busy", "issue 54"]
