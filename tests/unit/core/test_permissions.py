"""`permissions`: standing rules are listed, made and withdrawn; the last that matches counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import rules
from core.events import Finished, Outcome, Said
from core.model import PermissionRequest, PermissionRule, Session, SessionId, SessionState
from core.ports import Reply
from tests.fakes.agent import Ask, Script
from tests.fakes.world import ANN, BOB, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
LIST = f"/permissions {REF}"
PUSH = PermissionRequest("r1", SessionId("ses"), "bash", ("git push",), "git push", ("git push *",))


def asking(request: PermissionRequest = PUSH) -> Script:
    return [Ask(request), Said("p", "done"), Finished(Outcome.DONE)]


@pytest.fixture
async def begun(world: World) -> World:
    await world.say(f"/start {REF} one")
    await world.quiet()
    return world


async def ruled(world: World) -> list[str]:
    return [f"{rule.action} {rule.permission} {rule.pattern}" for rule in (await world.session()).rules]


def button(reply: Reply, number: int) -> str:
    return next(each.id for each in reply.document.buttons if each.label.startswith(f"Withdraw {number}:"))


async def test_rules_are_made_and_listed_with_the_projects_own(outside: Outside) -> None:
    outside.project = replace(outside.project, permissions=(PermissionRule("bash", "rm *", "deny"),))
    world = await World(outside).open()
    await world.say(f"/start {REF} one")
    await world.quiet()
    assert "none; *Always*" in (await world.say(LIST)).document.markdown
    assert (await world.say(f"{LIST} allow bash git *", BOB)).ok
    assert (await world.say(f"{LIST} DENY webfetch")).ok
    reply = await world.say(LIST)
    assert "1. `allow bash git *`\n2. `deny webfetch *`" in reply.document.markdown
    assert "From config.yaml, before them:\n- `deny bash rm *`" in reply.document.markdown
    assert [each.label for each in reply.document.buttons] == [
        "Withdraw 1: allow bash git *",
        "Withdraw 2: deny webfetch *",
    ]
    assert reply.data["session"][1] == {"permission": "webfetch", "pattern": "*", "action": "deny"}
    await world.close()


async def test_what_is_allowed_is_not_asked_any_more(begun: World) -> None:
    await begun.say(f"{LIST} allow bash git *")
    begun.agent.scripts.append(asking())
    await begun.say(f"/continue {REF} two")
    await begun.quiet()
    assert begun.chat.of("ask") == []
    assert [decision.reply for _, decision in begun.agent.decisions] == ["once"]


async def test_the_last_that_matches_counts_while_a_run_goes_on(begun: World) -> None:
    gate = asyncio.Event()
    begun.agent.scripts.append([gate, *asking()])
    await begun.say(f"/continue {REF} two")
    for line in ("allow bash *", "deny bash git *", "allow bash git push"):
        assert (await begun.say(f"{LIST} {line}")).ok
    await begun.say(f"{LIST} deny bash git *")
    assert await ruled(begun) == ["allow bash *", "allow bash git push", "deny bash git *"]
    gate.set()
    await begun.quiet()
    assert [decision.reply for _, decision in begun.agent.decisions] == ["reject"]


async def test_the_same_pattern_has_one_rule(begun: World) -> None:
    for action in ("allow", "ask", "deny", "allow"):
        await begun.say(f"{LIST} {action} bash git *")
    assert await ruled(begun) == ["allow bash git *"]


async def test_always_is_listed_here_and_holds_from_then_on(begun: World) -> None:
    await begun.say(f"{LIST} allow bash git push *")
    await begun.say(f"{LIST} ask bash *")
    begun.agent.scripts.extend([asking(), asking()])
    await begun.say(f"/continue {REF} two")
    assert (await begun.press(await begun.chat.asked(), "always")).ok
    await begun.quiet()
    assert await ruled(begun) == ["ask bash *", "allow bash git push *"]
    assert "2. `allow bash git push *`" in (await begun.say(LIST)).document.markdown
    await begun.say(f"/continue {REF} three")
    await begun.quiet()
    assert len(begun.chat.of("ask")) == 1


# ── withdrawn ──────────────────────────────────────────────────────────────────────────────────


async def test_by_number_and_by_what_it_is_about(begun: World) -> None:
    for line in ("allow bash git *", "allow bash ls *", "deny webfetch", "allow edit src/*"):
        await begun.say(f"{LIST} {line}")
    assert "`allow bash ls *` is withdrawn" in (await begun.say(f"{LIST} withdraw 2")).document.markdown
    assert (await begun.say(f"{LIST} withdraw webfetch *")).ok
    assert (await begun.say(f"{LIST} withdraw allow edit src/*")).ok
    assert await ruled(begun) == ["allow bash git *"]


@pytest.mark.parametrize("what", ["0", "2", "-1", "1.0", "9" * 5000, "", "bash", "bash ls", "deny bash git *", "²"])
async def test_what_is_not_there(begun: World, what: str) -> None:
    await begun.say(f"{LIST} allow bash git *")
    assert (await begun.say(f"{LIST} withdraw {what}")).code == "not_found"
    assert await ruled(begun) == ["allow bash git *"]
    assert begun.complaints == []


async def test_a_button_withdraws_its_own_rule_however_late(begun: World) -> None:
    for line in ("allow bash git *", "allow bash ls *", "deny webfetch"):
        await begun.say(f"{LIST} {line}")
    listed = await begun.say(LIST)
    assert (await begun.press_button(button(listed, 1), BOB)).ok
    assert (await begun.press_button(button(listed, 1), BOB)).code == "not_found"
    assert await ruled(begun) == ["allow bash ls *", "deny webfetch *"]
    assert (await begun.press_button(button(listed, 3))).ok
    assert await ruled(begun) == ["allow bash ls *"]
    await begun.say(f"{LIST} deny bash ls *")
    changed = await begun.press_button(button(listed, 2))
    assert changed.code == "not_found", "what it said does not hold any more"
    assert await ruled(begun) == ["deny bash ls *"]


async def test_of_two_about_the_same_the_one_that_is_named_goes(begun: World) -> None:
    both = (PermissionRule("bash", "git *", "deny"), PermissionRule("bash", "git *", "allow"))
    await begun.store.change_session((await begun.session()).key, lambda now: replace(now, rules=both))
    listed = await begun.say(LIST)
    assert (await begun.press_button(button(listed, 2))).ok
    assert await ruled(begun) == ["deny bash git *"]


async def test_pressed_by_two_at_once(begun: World) -> None:
    for line in ("allow bash git *", "allow bash ls *"):
        await begun.say(f"{LIST} {line}")
    listed = await begun.say(LIST)
    await asyncio.gather(*(begun.press_button(button(listed, 1), person) for person in (ANN, BOB)))
    assert await ruled(begun) == ["allow bash ls *"]


async def test_a_viewer_neither_grants_nor_withdraws(begun: World) -> None:
    await begun.say(f"{LIST} allow bash git *")
    listed = await begun.say(LIST)
    assert (await begun.press_button(button(listed, 1), VIEWER)).code == "not_allowed"
    for words in ("", "allow * *", "withdraw 1"):
        assert (await begun.say(f"{LIST} {words}", VIEWER)).code == "not_allowed"
    assert await ruled(begun) == ["allow bash git *"]


async def test_after_destroy(begun: World) -> None:
    await begun.say(f"{LIST} allow bash git *")
    listed = await begun.say(LIST)
    await begun.say(f"/destroy -y --force {REF}")
    assert (await begun.press_button(button(listed, 1))).code == "not_found"
    await begun.say(f"/start {REF} anew")
    await begun.quiet()
    assert await ruled(begun) == []
    assert (await begun.press_button(button(listed, 1))).code == "not_found"


# ── odd ones ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", ["allow", "deny ", "ask", "grant bash", "withdrawn 1", "1", "all"])
async def test_what_is_not_understood(begun: World, words: str) -> None:
    reply = await begun.say(f"{LIST} {words}")
    assert reply.code == "usage"
    assert await ruled(begun) == []


@pytest.mark.parametrize(
    "pattern",
    [
        *["`rm -rf`", "a  b", "*", "?", "-y", "--", "allow", "1", "echo @everyone", "cat <<X\n1\nX", "ü\u202eü"],
        *["<b>", "[a](b)", '"quoted"', "github.com/o/r#1", "x" * 2000],
    ],
)
async def test_odd_patterns_are_kept_as_they_are_and_can_be_withdrawn(begun: World, pattern: str) -> None:
    assert (await begun.say(f"{LIST} allow bash {pattern}")).ok
    assert (await begun.session()).rules == (PermissionRule("bash", pattern, "allow"),)
    listed = await begun.say(LIST)
    assert (await begun.press_button(button(listed, 1))).ok
    assert await ruled(begun) == []


async def test_many_are_all_listed_and_can_all_be_withdrawn(begun: World) -> None:
    for number in range(12):
        await begun.say(f"{LIST} allow bash c{number} *")
    listed = await begun.say(LIST)
    assert "12. `allow bash c11 *`" in listed.document.markdown
    assert len(listed.document.buttons) == 5
    assert (await begun.say(f"{LIST} withdraw 12")).ok
    assert len(await ruled(begun)) == 11


RULES = st.lists(
    st.builds(PermissionRule, st.sampled_from("ab"), st.sampled_from(["x", "*"]), st.sampled_from(["allow", "deny"])),
    max_size=6,
)


@given(RULES, RULES)
def test_what_is_granted_holds_and_nothing_else_changes(had: list[PermissionRule], new: list[PermissionRule]) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    empty = Session(key(), Path("/w"), "b", "s", "t", SessionState.IDLE, noon, noon)
    session = rules.granted(replace(empty, rules=tuple(had)), new)
    assert rules.granted(session, new).rules == session.rules, "once more is the same"
    for permission in "ab":
        request = PermissionRequest("r", SessionId("s"), permission, ("x",))
        assert rules.verdict(request, session.rules) == rules.verdict(request, [*had, *dict.fromkeys(new)])
