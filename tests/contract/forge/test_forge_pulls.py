"""What every forge does with pull and merge requests of a branch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from core.errors import ForgeError, ForgeNotFound, PullRequestExists
from core.model import IssueRef, ProjectRef
from core.ports import Forge
from tests.contract.forge.forge_labs import ForgeLab

Ask = Callable[..., Forge]
BRANCHES = ["work", "kugetsu/14", "fix/#14", "überlänge/ß", "a b+c&d=e;f", "100%25"]


def posts(lab: ForgeLab) -> int:
    return sum(asked.startswith("POST") for asked in lab.asked)


async def opened(lab: ForgeLab, forge: Forge, branch: str = "work", title: str = "Add it") -> IssueRef:
    await lab.branch(branch)
    return (await forge.open_pull_request(lab.project, branch, "main", title, "As asked")).ref


@pytest.mark.parametrize("branch", BRANCHES)
async def test_one_is_opened_and_found_again(branch: str, lab: ForgeLab, ask: Ask) -> None:
    commit = await lab.branch(branch)
    forge = ask()
    assert await forge.pull_request(lab.project, branch) is None
    made = await forge.open_pull_request(lab.project, branch, "main", "Add it", "As *asked*\n\nin #14")
    assert (made.title, made.state, made.head) == ("Add it", "open", commit)
    assert made.ref.project == lab.project
    assert made.ref.merge_request == (lab.kind == "gitlab")
    assert made.url.endswith(str(made.ref.number))
    assert await forge.pull_request(lab.project, branch) == made
    issue = await forge.issue(made.ref)
    assert (issue.title, issue.text, issue.request) == ("Add it", "As *asked*\n\nin #14", True)
    assert posts(lab) == 1


async def test_other_branches_have_none(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    await opened(lab, forge, "work")
    for other in ("wor", "work2", "WORK", "main", "", "nothing/here"):
        assert await forge.pull_request(lab.project, other) is None


async def test_without_a_token_they_can_be_seen(lab: ForgeLab, ask: Ask) -> None:
    ref = await opened(lab, ask())
    found = await ask(token=False).pull_request(lab.project, "work")
    assert found
    assert found.ref == ref


async def test_what_became_of_it(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    ref = await opened(lab, forge)
    await lab.merge(ref)
    found = await forge.pull_request(lab.project, "work")
    assert found
    assert (found.ref, found.state) == (ref, "merged")


async def test_open_ones_come_first(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    await lab.branch("other")
    first = await opened(lab, forge)
    second = (await forge.open_pull_request(lab.project, "work", "other", "Elsewhere", "")).ref
    found = await forge.pull_request(lab.project, "work")
    assert found
    assert found.ref == second
    await lab.merge(second)
    found = await forge.pull_request(lab.project, "work")
    assert found
    assert (found.ref, found.state) == (first, "open")


async def test_those_of_forks_are_not_ours(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    ref = await opened(lab, forge)
    await lab.foreign("work", "Same name, of another")
    await lab.foreign("theirs", "Only there")
    found = await forge.pull_request(lab.project, "work")
    assert found
    assert found.ref == ref
    assert await forge.pull_request(lab.project, "theirs") is None


async def test_a_second_one_is_refused_and_the_first_named(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    ref = await opened(lab, forge)
    with pytest.raises(PullRequestExists) as caught:
        await forge.open_pull_request(lab.project, "work", "main", "Add it again", "")
    assert f"for `work` of {lab.project} already: {ref.tag} “Add it”" in str(caught.value)
    assert caught.value.hint.endswith(str(ref.number))


async def test_drafts(lab: ForgeLab, ask: Ask) -> None:
    forge = ask()
    await lab.branch("work")
    made = await forge.open_pull_request(lab.project, "work", "main", "Add it", "", draft=True)
    prefix = {"github": "", "gitlab": "Draft: "}.get(lab.kind, "WIP: ")
    assert made.title == f"{prefix}Add it"
    await lab.branch("more")
    again = await forge.open_pull_request(lab.project, "more", "main", f"{prefix}Add more", "", draft=True)
    assert again.title == f"{prefix}Add more"


async def test_without_a_token_none_is_opened(lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    with pytest.raises(ForgeError) as caught:
        await ask(token=False).open_pull_request(lab.project, "work", "main", "Add it", "")
    assert "opens nothing without a token" in str(caught.value)
    assert f"`forges: {{{lab.project.instance}: {{token: …}}}}`" in caught.value.hint
    assert "or open it in the browser" in caught.value.hint
    assert posts(lab) == 0


RIGHTS = {"github": "“Pull requests: write”", "gitlab": "the scope `api`"}


async def test_a_token_that_may_only_read(lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    lab.forbid()
    with pytest.raises(ForgeError) as caught:
        await ask().open_pull_request(lab.project, "work", "main", "Add it", "")
    assert f"refuses to open a {'merge' if lab.kind == 'gitlab' else 'pull'} request for `work`" in str(caught.value)
    assert RIGHTS.get(lab.kind, "`write:repository`") in caught.value.hint
    assert posts(lab) == 1


@pytest.mark.parametrize(("head", "base"), [("nothing", "main"), ("work", "nothing"), ("work", "work"), ("work", "")])
async def test_branches_that_cannot_be_merged(head: str, base: str, lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    forge = ask()
    with pytest.raises(ForgeError, match="open") as caught:
        await forge.open_pull_request(lab.project, head, base, "Add it", "")
    assert not isinstance(caught.value, PullRequestExists)
    assert caught.value.hint
    assert await forge.pull_request(lab.project, head) is None


async def test_without_a_title(lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    with pytest.raises(ForgeError, match="does not open") as caught:
        await ask().open_pull_request(lab.project, "work", "main", " \n", "")
    assert "title" in str(caught.value).lower()


async def test_titles_and_texts_are_cut(lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    forge = ask()
    made = await forge.open_pull_request(lab.project, "work", "main", "t\nt" * 200, "x\0" * 90_000, draft=True)
    assert len(made.title) == 255
    assert (await forge.issue(made.ref)).text.startswith("xxx")


async def test_a_project_that_is_not_there(lab: ForgeLab, ask: Ask) -> None:
    nowhere = ProjectRef(lab.project.instance, "nobody/of" if lab.kind == "gitlab" else "nobody", "nothing")
    forge = ask()
    with pytest.raises(ForgeNotFound, match=r"does not know the (pull|merge) requests of"):
        await forge.pull_request(nowhere, "work")
    with pytest.raises(ForgeNotFound, match="cannot open"):
        await forge.open_pull_request(nowhere, "work", "main", "Add it", "")


async def test_private_projects_want_a_token(lab: ForgeLab, ask: Ask) -> None:
    await lab.hide()
    ref = await opened(lab, ask())
    found = await ask().pull_request(lab.project, "work")
    assert found
    assert found.ref == replace(ref, project=lab.project)
    with pytest.raises(ForgeNotFound, match="without a token"):
        await ask(token=False).pull_request(lab.project, "work")


async def test_a_wrong_token(lab: ForgeLab, ask: Ask) -> None:
    await lab.branch("work")
    lab.token = "of-yesterday"
    for question in (
        ask().pull_request(lab.project, "work"),
        ask().open_pull_request(lab.project, "work", "main", "Add it", ""),
    ):
        with pytest.raises(ForgeError, match="refuses the token"):
            await question


async def test_the_simulators_refuse_what_forges_refuse(lab: ForgeLab) -> None:
    await lab.branch("work")
    head, base = ("source_branch", "target_branch") if lab.kind == "gitlab" else ("head", "base")
    project = f"{lab.project.owner}/{lab.project.repo}"
    where = f"projects/{quote(project, safe='')}/merge_requests" if lab.kind == "gitlab" else f"repos/{project}/pulls"
    right = {"title": "Add it", head: "work", base: "main"}
    token = {
        "github": {"Authorization": f"Bearer {lab.token}"},
        "gitlab": {"PRIVATE-TOKEN": lab.token},
    }.get(lab.kind, {"Authorization": f"token {lab.token}"})
    as_json = {"Content-Type": "application/json"}
    wrong: list[tuple[dict[str, str], str]] = [
        (as_json, json.dumps(right)),
        ({**token, "Content-Type": "text/plain"}, json.dumps(right)),
        ({**token, **as_json}, "{"),
        ({**token, **as_json}, json.dumps({**right, "unheard_of": 1})),
        *(({**token, **as_json}, json.dumps({k: v for k, v in right.items() if k != key})) for key in right),
    ]
    async with aiohttp.ClientSession() as session:
        url = URL(f"{lab.url}/{where}", encoded=True)
        for headers, content in wrong:
            async with session.post(url, headers=headers, data=content) as response:
                assert 400 <= response.status < 500, content
        async with session.post(url, headers={**token, **as_json}, data=json.dumps(right)) as response:
            assert response.status == 201
