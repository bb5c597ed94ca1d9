"""Where the kinds differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.forge import Forges
from core.model import IssueRef, ProjectRef
from core.ports import Forge
from tests.contract.forge.forge_labs import FakeLab, config
from tests.simulators.clock import WallClock
from tests.simulators.forges import FakeForge, FakeGitea, FakeGitLab


async def opened(kind: str, fake: FakeForge) -> AsyncIterator[tuple[FakeLab, Forge]]:
    await fake.start()
    lab = FakeLab(kind, fake)
    forges = Forges({lab.project.instance: config(lab)}, WallClock())
    forge = forges.get(lab.project)
    assert forge
    yield lab, forge
    await forges.close()
    await fake.stop()


@pytest.fixture
async def gitlab() -> AsyncIterator[tuple[FakeLab, Forge]]:
    async for pair in opened("gitlab", FakeGitLab()):
        yield pair


@pytest.fixture
async def gitea() -> AsyncIterator[tuple[FakeLab, Forge]]:
    async for pair in opened("gitea", FakeGitea()):
        yield pair


async def test_gitlab_counts_merge_requests_apart(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    issue, request = await lab.issue("an issue"), await lab.request("a request")
    assert (issue.number, request.number) == (1, 1)
    assert ((await forge.issue(issue)).title, (await forge.issue(request)).title) == ("an issue", "a request")
    assert lab.fake.asked[0] == "GET /api/v4/projects/group%2Fsub%2Fwork/issues/1"


async def test_gitlabs_own_notes_are_no_comments(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    ref = await lab.request("pushed to often")
    for number in range(22):
        await lab.comment(ref, f"comment {number}")
        for _ in range(4):
            lab.fake.comment(lab.found(ref), "ann", "added 1 commit", system=True)
    issue = await forge.issue(ref)
    assert [comment.text for comment in issue.comments] == [f"comment {n}" for n in range(2, 22)]
    assert issue.comments_left_out == 2
    assert sum("/notes" in asked for asked in lab.fake.asked) == 2


async def test_a_number_gitlab_never_had_comments_on_costs_one_call(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    await forge.issue(await lab.issue("quiet"))
    assert len(lab.fake.asked) == 1


async def test_gitea_does_not_send_a_thousand_comments(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    ref = await lab.issue("endless")
    await lab.comment(ref, "long ago, edited today")
    for _ in range(5):
        for number in range(30):
            await lab.comment(ref, f"comment {number}")
        lab.wait(days=20)
    await lab.comment(ref, "the last")
    old = lab.found(ref).comments[0]
    old.updated = lab.found(ref).updated
    issue = await forge.issue(ref)
    assert [comment.text for comment in issue.comments] == [*(f"comment {n}" for n in range(11, 30)), "the last"]
    assert issue.comments_left_out == 152 - 20
    assert lab.fake.asked[1:] == [lab.fake.asked[1]]
    assert "since=" in lab.fake.asked[1]


async def test_gitea_goes_back_until_there_are_enough(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    ref = await lab.issue("quiet lately")
    for number in range(120):
        await lab.comment(ref, f"comment {number}")
    lab.wait(days=500)
    await lab.comment(ref, "the last")
    issue = await forge.issue(ref)
    assert [comment.text for comment in issue.comments] == [*(f"comment {n}" for n in range(101, 120)), "the last"]
    assert len(lab.fake.asked) == 4  # the issue, 30 days, a year, everything


async def test_deleted_accounts(gitea: tuple[FakeLab, Forge], gitlab: tuple[FakeLab, Forge]) -> None:
    for lab, forge in (gitea, gitlab):
        ref = await lab.issue("whose?")
        lab.found(ref).author = ""
        lab.fake.comment(lab.found(ref), "", "mine")
        issue = await forge.issue(ref)
        assert (issue.author, issue.comments[0].author, issue.comments[0].text) == ("ghost", "ghost", "mine")


async def test_whose_token_it_is_is_asked_once(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    await lab.issue("one")
    await forge.recent(lab.project, 5)
    await forge.recent(lab.project, 5)
    assert [asked for asked in lab.fake.asked if asked.endswith("/user")] == ["GET /api/v1/user"]


async def test_names_are_escaped(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    odd = IssueRef(ProjectRef("forge.test", "group/sub", "w%2e?x#y"), 1)
    with pytest.raises(Exception, match="does not know"):
        await forge.issue(odd)
    assert lab.fake.asked == ["GET /api/v1/repos/group%2Fsub/w%252e%3Fx%23y/issues/1"]


async def test_times_are_utc(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    ref = await lab.issue("when")
    await lab.comment(ref, "now")
    [comment] = (await forge.issue(ref)).comments
    assert (comment.at, comment.at.utcoffset()) == (lab.found(ref).updated, timedelta(0))
