"""Where the kinds differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest

from adapters.forge import Forges
from core.model import IssueRef, ProjectRef
from core.ports import Check, Checks, Forge
from tests.contract.forge.forge_labs import FakeLab, GitHubLab, config
from tests.simulators.clock import WallClock
from tests.simulators.forges import FakeForge, FakeGitea, FakeGitLab, FakePipeline, FakeRun
from tests.simulators.github_emulator import GitHubEmulator, StrictGitHub

_NUMBERS = count()


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


async def test_gitlab_asks_for_nested_projects_and_odd_branches(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    await forge.pull_request(lab.project, "fix/#1 ü")
    assert lab.fake.asked[0].startswith(
        "GET /api/v4/projects/group%2Fsub%2Fwork/merge_requests?source_branch=fix/%231+%C3%BC&state=opened&"
    )


async def test_gitlab_jobs_that_may_fail(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    commit = await lab.branch("work")
    lab.job(commit, FakeRun("lint", "failed", "script_failure", may_fail=True))
    lab.job(commit, FakeRun("deploy", "manual"))
    lab.job(commit, FakeRun("tests", "success"))
    assert await forge.checks(lab.project, commit) == Checks("passed", 3)
    lab.job(commit, FakeRun("build", "failed", "script_failure"))
    found = await forge.checks(lab.project, commit)
    assert (found.state, found.total) == ("failed", 4)
    assert [(check.name, check.summary) for check in found.failed] == [("build", "stage test: script failure")]


async def test_gitlab_counts_the_newest_pipeline_of_branch_and_of_request(gitlab: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitlab
    commit = await lab.branch("work")
    lab.job(commit, FakeRun("tests", "failed"), number=1)
    lab.job(commit, FakeRun("tests", "success"), number=2)
    assert await forge.checks(lab.project, commit) == Checks("passed", 1)
    lab.job(commit, FakeRun("review", "running"), ref="refs/merge-requests/1/head", number=3)
    assert await forge.checks(lab.project, commit) == Checks("pending", 2)
    lab.repository.runs[commit][-1].state = lab.repository.pipelines[-1].state = "canceled"
    found = await forge.checks(lab.project, commit)
    assert [(check.name, check.summary) for check in found.failed] == [("review", "stage test: canceled")]


@pytest.mark.parametrize(
    ("state", "whole"),
    [
        ("created", "pending"),
        ("waiting_for_resource", "pending"),
        ("canceling", "pending"),
        ("scheduled", "pending"),
        ("what_is_new", "pending"),
        ("success", "passed"),
        ("manual", "passed"),
        ("skipped", "passed"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
async def test_a_gitlab_pipeline_whose_jobs_do_not_explain_it(
    state: str, whole: str, gitlab: tuple[FakeLab, Forge]
) -> None:
    lab, forge = gitlab
    commit = await lab.branch("work")
    lab.repository.pipelines.append(FakePipeline(9, commit, "work", state))
    found = await forge.checks(lab.project, commit)
    assert (found.state, found.total) == (whole, 1)
    assert [check.name for check in found.failed] == (["pipeline 9"] if whole == "failed" else [])


async def test_gitea_is_searched_through_for_the_branch(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    await lab.branch("work")
    made = await forge.open_pull_request(lab.project, "work", "main", "The first", "")
    for number in range(120):
        await lab.request(f"request {number}")
        lab.found(IssueRef(lab.project, number + 2)).head = f"branch-{number}"
    assert await forge.pull_request(lab.project, "work") == made
    assert sum("state=open" in asked for asked in lab.fake.asked) == 3
    assert await forge.pull_request(lab.project, "nothing") is None


async def test_a_gitea_branch_that_was_deleted(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    await lab.branch("work")
    made = await forge.open_pull_request(lab.project, "work", "main", "Add it", "")
    await lab.merge(made.ref)
    del lab.repository.branches["work"]
    found = await forge.pull_request(lab.project, "work")
    assert found
    assert (found.ref, found.state) == (made.ref, "merged")


async def test_gitea_warnings_pass(gitea: tuple[FakeLab, Forge]) -> None:
    lab, forge = gitea
    commit = await lab.branch("work")
    lab.repository.runs[commit] = [FakeRun("a", "warning"), FakeRun("b", "skipped"), FakeRun("c", "success")]
    assert await forge.checks(lab.project, commit) == Checks("passed", 3)
    lab.repository.runs[commit].append(FakeRun("d", "error", "no runner"))
    assert await forge.checks(lab.project, commit) == Checks(
        "failed", 4, (Check("d", "https://ci.test/runs/1", "no runner"),)
    )


@pytest.fixture
async def github_lab(github: GitHubEmulator) -> AsyncIterator[tuple[GitHubLab, Forge]]:
    front = StrictGitHub(github.url)
    await front.start()
    lab = GitHubLab(github.url, front, f"kinds-{next(_NUMBERS)}")
    await lab.open()
    forges = Forges({lab.project.instance: config(lab)}, WallClock())
    forge = forges.get(lab.project)
    assert forge
    yield lab, forge
    await forges.close()
    await front.stop()


async def test_github_counts_statuses_and_check_runs(github_lab: tuple[GitHubLab, Forge]) -> None:
    lab, forge = github_lab
    commit = await lab.branch("work")
    lab.reported(commit, "ci/elsewhere", "success")
    assert await forge.checks(lab.project, commit) == Checks("passed", 1)
    await lab.ran(commit, "tests", "passed")
    assert await forge.checks(lab.project, commit) == Checks("passed", 2)
    lab.reported(commit, "ci/slow", "pending")
    assert (await forge.checks(lab.project, commit)).state == "pending"
    lab.front.statuses[commit][-1]["state"] = "error"
    found = await forge.checks(lab.project, commit)
    assert (found.state, found.total, [check.name for check in found.failed]) == ("failed", 3, ["ci/slow"])


async def test_github_keeps_to_the_branch_in_an_odd_name(github_lab: tuple[GitHubLab, Forge]) -> None:
    lab, forge = github_lab
    assert await forge.pull_request(lab.project, "fix/#1 ü&state=x") is None
    assert "/pulls?head=me:fix/%231+%C3%BC%26state%3Dx&state=all&per_page=50" in lab.asked[0]
