"""`kugetsu doctor`: one line a check, and none hides another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.forge import ForgeConfig, Forges
from bot.doctor import Check, Doctor, report
from bot.settings import Settings
from core.census import Finding, Remedy
from core.errors import AgentUnsupported, StoreError, WouldMigrate
from core.model import Project
from tests.fakes.agent import ScriptedAgent
from tests.fakes.clock import ManualClock
from tests.fakes.messenger import FakeMessenger
from tests.fakes.workspace import FakeWorkspace
from tests.fakes.world import PROJECT
from tests.unit.forge.raw_server import RawServer, Received, as_json


@dataclass
class Findings:
    """In place of a comparison: what it would find, or how it would fail."""

    found: list[Finding] | Exception | float

    async def take(self) -> list[Finding]:
        if isinstance(self.found, Exception):
            raise self.found
        if isinstance(self.found, float):
            await asyncio.sleep(self.found)
            return []
        return self.found


def forge(received: Received) -> bytes:
    if received.headers.get("authorization") == "token good":
        return as_json({"login": "me"})
    return as_json({"message": "no"}, 401) if "authorization" in received.headers else as_json({"version": "1"})


Examine = Callable[..., Any]


@pytest.fixture
async def examine(tmp_path: Path) -> AsyncIterator[Examine]:
    opened: list[Forges] = []

    async def examined(
        agent: ScriptedAgent | None = None,
        forges: dict[str, ForgeConfig] | None = None,
        found: list[Finding] | Exception | float = (),
        *,
        apart: bool = False,
        messengers: Sequence[FakeMessenger] = (),
        nobody: bool = False,
        **opencode: Any,
    ) -> dict[str, Check]:
        async def projects() -> list[Project]:
            return [Project(PROJECT, tmp_path)]

        tmp_path.chmod(0o700)
        opened.append(Forges(forges or {}, ManualClock(), timeout=0.5))
        settings = Settings.model_validate({"opencode": opencode, "state_dir": str(tmp_path)})
        agent = agent or ScriptedAgent(ManualClock())
        census: Any = Findings(found)
        doctor = Doctor(
            settings,
            None,
            tmp_path,
            projects,
            agent,
            FakeWorkspace(),
            opened[-1],
            census,
            lambda: messengers,
            lambda: nobody,
            running=True,
            patience=0.05,
        )
        return {check.name: check for check in await doctor.examine(apart=apart)}

    yield examined
    for forges in opened:
        await forges.close()


async def test_all_is_well(examine: Examine) -> None:
    checks = await examine()
    assert [*checks] == [
        "python",
        "git",
        "configuration",
        "state",
        "disk",
        "database",
        "opencode",
        f"project {PROJECT}",
        "sessions",
    ]
    assert all(check.ok for check in checks.values())
    assert checks["opencode"].said == "1.0, transport server, answers"
    assert checks["sessions"].said == "all fit together"


async def test_what_the_cli_transport_cannot_do_is_named(examine: Examine) -> None:
    agent = ScriptedAgent(ManualClock())
    agent.asks = False
    said = (await examine(agent, transport="cli", allow_migration=True))["opencode"].said
    assert said.startswith("1.0, transport cli, answers, nobody can be asked")
    assert said.endswith("may change data of older versions")


@pytest.mark.parametrize(
    "problem",
    [
        WouldMigrate("it would change the database", "allow it with opencode.allow_migration"),
        AgentUnsupported("opencode 2.0.0 is not supported", "Install it with `npm install -g opencode-ai@1.18.33`"),
    ],
    ids=["migration", "version"],
)
async def test_an_opencode_that_is_not_to_be_started_is_named_with_what_to_do(
    examine: Examine, problem: AgentUnsupported
) -> None:
    agent = ScriptedAgent(ManualClock())
    agent.raising["capabilities"] = problem
    checks = await examine(agent)
    assert checks["opencode"] == Check("opencode", ok=False, said=str(problem), hint=problem.hint)
    assert checks[f"project {PROJECT}"].ok  # the others are looked at all the same
    assert "sessions" not in checks  # there is nothing to compare with


async def test_forges_are_asked_side_by_side_and_none_hides_another(examine: Examine) -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with RawServer(forge) as up, RawServer(lambda _: never) as hangs:
        configs = {
            "down.test": ForgeConfig("gitea", "", "http://127.0.0.1:9"),
            "hangs.test": ForgeConfig("gitea", "", hangs.url),
            "wrong.test": ForgeConfig("gitea", "bad", up.url),
            "known.test": ForgeConfig("gitea", "good", up.url),
            "open.test": ForgeConfig("forgejo", "", up.url),
        }
        checks = await examine(forges=configs)
    asked = {name.removeprefix("forge "): check for name, check in checks.items() if name.startswith("forge ")}
    assert [name for name, check in asked.items() if check.ok] == ["known.test", "open.test"]
    assert asked["known.test"].said == "answers, takes the token of me"
    assert asked["open.test"].said == "answers, without a token: public issues only"
    assert "cannot be reached" in asked["down.test"].said
    assert "did not answer within 0.5 s" in asked["hangs.test"].said
    assert "refuses the token" in asked["wrong.test"].said
    assert all(check.hint for check in asked.values() if not check.ok)
    reply = report([*checks.values()])
    assert not reply.ok
    assert "✗ forge down.test" in reply.document.markdown


async def test_a_rate_limit_that_is_used_up(examine: Examine) -> None:
    async with RawServer(lambda _: as_json({"rate": {"remaining": 0}})) as github:
        check = (await examine(forges={"github.com": ForgeConfig("github", "", github.url)}))["forge github.com"]
    assert not check.ok
    assert "0 requests left" in check.said
    assert check.hint.startswith("Wait")


async def test_what_does_not_fit_together_is_counted(examine: Examine) -> None:
    two = [Finding("a", Remedy.REPORT), Finding("b", Remedy.REMOVE)]
    assert "2 things" in (await examine(found=two))["sessions"].said
    assert not (await examine(found=StoreError("unreadable")))["sessions"].ok
    assert "takes long" in (await examine(found=60.0))["sessions"].said


async def test_beside_a_bot_that_does_not_answer_its_opencode_is_left_alone(examine: Examine) -> None:
    agent = ScriptedAgent(ManualClock())
    checks = await examine(agent, {"down.test": ForgeConfig("gitea", "", "http://127.0.0.1:9")}, apart=True)
    assert agent.calls == []
    assert "opencode" not in checks
    assert "forge down.test" in checks


# ── chats ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_platform_is_asked_what_is_wrong_with_its_account(examine: Examine) -> None:
    checks = await examine(messengers=[FakeMessenger()])
    assert checks["fake"].ok
    down = FakeMessenger()
    down.down = True
    checks = await examine(messengers=[down])
    assert checks["opencode"].ok, "it hides nothing else"


async def test_without_an_admin_it_says_how_to_become_one(examine: Examine) -> None:
    checks = await examine(messengers=[FakeMessenger()], nobody=True)
    assert not checks["fake"].ok
    assert "/pair" in checks["fake"].hint


async def test_a_platform_that_hangs_is_not_waited_for(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(FakeMessenger):
        async def diagnose(self) -> list[Any]:
            await asyncio.Event().wait()
            return []

    monkeypatch.setattr("bot.doctor.PLATFORM", 0.05)
    checks = await examine(messengers=[Hanging()])
    assert not checks["fake"].ok
    assert "does not answer" in checks["fake"].said
