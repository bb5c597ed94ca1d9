"""Which scenarios are for which platform is read off what they use, and what a platform lacks is not expected there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak import fit, runner, scenario
from tests.soak.console import ConsoleDriver
from tests.soak.driver import Unsupported
from tests.soak.scenario import Scenario
from tests.soak.telegram import TelegramDriver

SAY = {"say": {"in": "a", "text": "x"}}


def made(*steps: Any, kind: str = "direct", **more: Any) -> Scenario:
    return scenario.parse({"title": "t", "places": {"a": kind}, "steps": list(steps)} | more)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (made(SAY, kind="threads"), "console has no threads"),
        (made(SAY, platforms="telegram"), "it is for telegram"),
        (made({"outage": 1}), "trouble"),
        (made({"fault": {"what": "down"}}), "trouble"),
        (made({"happen": "broken event"}), "trouble"),
        (made({"meanwhile": [{"happen": {"what": "removed", "in": "a"}}]}), "trouble"),
        (made({"edit": {"said": "x", "to": "y"}}), "edits"),
        (made({"send": {"in": "a", "file": "f", "content": "c"}}), "uploads"),
        (made({"wait": {"seen": "x"}}), "receipts"),
        (made({"wait": {"in": "a", "gone": "x"}}), "rewrites"),
        (made({"wait": {"in": "a", "for": "x", "first": "y"}}), "rewrites"),
        (made({"kill": {"at": "post sent"}}), "posts"),
        (made({"start": {"kill": "chat.send:2"}}), "posts"),
        (made({"kill": "now"}, SAY), "nothing that is said waits"),
        (made("stop", SAY, "start"), "nothing that is said waits"),
        (made({"disk": "full"}, SAY), "nothing that is said waits"),
        (made({"start": {"kill": "store.save_run"}}, SAY), "nothing that is said waits"),
        (made({"wait": {"in": "a", "for": {"telegram": "x"}}}), "nobody says how console words"),
        (made(SAY, expect={"shown": {"a": {"telegram": "x"}}}), "nobody says how console words"),
    ],
)
def test_what_terminals_lack_is_not_for_them(what: Scenario, why: str) -> None:
    assert why in fit.why_not(what, ConsoleDriver)
    assert not fit.why_not(what, TelegramDriver)


@pytest.mark.parametrize(
    "what",
    [
        made(SAY),
        made(SAY, kind="group"),
        made({"kill": "now"}, "start", SAY),
        made({"kill": {"at": "store.save_run"}}, SAY, "died", "start", SAY),
        made({"disk": "full"}, {"disk": "free"}, SAY),
        made("calm", {"crash": "opencode"}),
        made({"wait": {"in": "a", "for": "x", "lacks": ""}}),
    ],
)
def test_the_rest_is_for_every_platform(what: Scenario) -> None:
    assert not fit.why_not(what, ConsoleDriver)
    assert fit.fit(what, TelegramDriver) == what


def test_each_platform_has_its_words() -> None:
    words = {"telegram": "May it", "console": "may it"}
    what = made({"wait": {"in": "a", "for": words}}, expect={"shown": {"a": [words, "b"]}, "absent": {"a": words}})
    for platform, said in ((ConsoleDriver, "may it"), (TelegramDriver, "May it")):
        there = fit.fit(what, platform)
        assert there.steps[0].args == {"in": "a", "for": said}
        assert (there.expect.shown, there.expect.absent) == ({"a": (said, "b")}, {"a": (said,)})


def test_what_nobody_can_notice_is_not_expected() -> None:
    what = made(SAY, expect={"rings": {"a": 1}, "seen_within": 0.5, "states": {"x": "done"}})
    assert fit.fit(what, TelegramDriver).expect == what.expect
    there = fit.fit(what, ConsoleDriver).expect
    assert (there.rings, there.seen_within, there.states) == ({}, 0.0, {"x": "done"})


async def test_what_is_not_for_a_platform_is_not_run_there() -> None:
    class World:
        driver = ConsoleDriver()

    with pytest.raises(Unsupported, match="no threads"):
        await runner.run(World(), made(SAY, kind="threads"))  # type: ignore[arg-type]
