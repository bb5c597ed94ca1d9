"""What every forge tells of an issue, pull or merge request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.errors import ForgeError, ForgeNotFound
from core.model import ProjectRef
from core.ports import Forge
from tests.contract.forge.forge_labs import ForgeLab

Ask = Callable[..., Forge]


async def test_an_issue(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("The login form", "It should\n\n* exist")
    issue = await ask().issue(ref)
    assert (issue.ref, issue.title, issue.text) == (ref, "The login form", "It should\n\n* exist")
    assert (issue.author, issue.state, issue.request) == ("ann", "open", False)
    assert issue.url == lab.web(ref)
    assert (issue.comments, issue.comments_left_out) == ((), 0)


async def test_without_a_token(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("public")
    await lab.comment(ref, "yes")
    issue = await ask(token=False).issue(ref)
    assert (issue.title, [comment.text for comment in issue.comments]) == ("public", ["yes"])


async def test_a_closed_one(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("old")
    await lab.close(ref)
    assert (await ask().issue(ref)).state == "closed"


async def test_no_text(lab: ForgeLab, ask: Ask) -> None:
    assert (await ask().issue(await lab.issue("bare", None))).text == ""


@pytest.mark.parametrize("written", [1, 20, 21, 45])
async def test_the_last_comments_oldest_first(lab: ForgeLab, ask: Ask, written: int) -> None:
    ref = await lab.issue("much said")
    for number in range(written):
        await lab.comment(ref, f"comment {number}")
    issue = await ask().issue(ref)
    assert [comment.text for comment in issue.comments] == [f"comment {n}" for n in range(written)][-20:]
    assert issue.comments_left_out == max(0, written - 20)
    assert {comment.author for comment in issue.comments} == {"ann"}
    times = [comment.at for comment in issue.comments]
    assert times == sorted(times)
    assert all(at.utcoffset() is not None for at in times)


async def test_requests(lab: ForgeLab, ask: Ask) -> None:
    await lab.issue("an issue first")
    ref = await lab.request("Add it", "as asked")
    await lab.comment(ref, "nice")
    forge = ask()
    issue = await forge.issue(ref)
    assert (issue.ref, issue.title, issue.text, issue.request, issue.state) == (ref, "Add it", "as asked", True, "open")
    assert [comment.text for comment in issue.comments] == ["nice"]
    await lab.merge(ref)
    assert (await forge.issue(ref)).state == "merged"


async def test_missing_ones(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("the only one")
    with pytest.raises(ForgeNotFound) as caught:
        await ask().issue(replace(ref, number=99))
    assert f"does not know {replace(ref, number=99)}" in str(caught.value)
    assert "give `start` a message" in caught.value.hint
    with pytest.raises(ForgeNotFound):
        await ask().issue(replace(ref, project=ProjectRef(lab.project.instance, "nobody", "nothing")))


async def test_private_ones_want_a_token(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("public")
    await lab.hide()
    ref = replace(ref, project=lab.project)
    assert (await ask().issue(ref)).title == "hidden"
    for question in (ask(token=False).issue(ref), ask(token=False).recent(lab.project, 5)):
        with pytest.raises(ForgeNotFound) as caught:
            await question
        assert "without a token" in str(caught.value)
        assert f"`forges: {{{lab.project.instance}: {{token: …}}}}`" in caught.value.hint


async def test_a_wrong_token_is_named_as_the_reason(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("public")
    lab.token = "of-yesterday"
    with pytest.raises(ForgeError, match="refuses the token") as caught:
        await ask().issue(ref)
    assert "of-yesterday" not in f"{caught.value} {caught.value.hint}"


async def test_long_and_foreign_text(lab: ForgeLab, ask: Ask) -> None:
    ref = await lab.issue("Ein 🧑‍🚒 \u202eevil\u202c\ttitle", "line\r\n" + "🧑‍🚒é" * 25_000)
    await lab.comment(ref, "\x1b[31mred" + "x" * 5_000)
    issue = await ask().issue(ref)
    assert issue.title == "Ein 🧑‍🚒 evil title"
    assert issue.text.startswith("line\n🧑‍🚒é🧑‍🚒é")
    assert issue.text.endswith("… (cut)")
    assert len(issue.text) == 50_000 + len("… (cut)")
    assert issue.comments[0].text.startswith("[31mred")
    assert len(issue.comments[0].text) == 4_000 + len("… (cut)")
