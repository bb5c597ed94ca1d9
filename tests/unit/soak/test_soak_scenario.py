"""Scenario files: those that are there can be read, and what is wrong in one is named with what there is instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.soak import scenario, seeds
from tests.soak.scenario import Step

FOLDER = Path(__file__).parents[2] / "scenarios"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_file_can_be_read(file: Path) -> None:
    assert scenario.load(file).steps


def test_what_it_says() -> None:
    read = scenario.parse(
        {
            "title": "t",
            "places": {"phone": "direct", "team": {"kind": "threads", "people": ["bob", "eve"]}},
            "model": {"hello": "Hi.", "slow": {"say": ["a", "b"], "hangs": True, "then": "c"}},
            "steps": ["calm", {"kill": "now"}, {"say": {"in": "phone", "text": "x"}}],
            "expect": {"shown": {"phone": "Hi."}, "allow": ["order"]},
        }
    )
    assert read.places == {"phone": ("direct", ("alice",)), "team": ("threads", ("bob", "eve"))}
    assert [script.answer for script in read.scripts] == ["Hi.", "abc"]
    assert read.steps == (Step("calm", {}), Step("kill", {"at": "now"}), Step("say", {"in": "phone", "text": "x"}))
    assert read.expect.shown == {"phone": ("Hi.",)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [{"shout": {}}]}, "no 'shout'; there are say"),
        ({"steps": [{"say": {"in": "phone"}}]}, "say needs text"),
        ({"steps": [{"say": {"in": "phone", "text": "x", "loud": True}}]}, "has no loud"),
        ({"steps": [{"say": {}, "edit": {}}]}, "one verb a step"),
        ({"steps": [{"fault": {"what": "gremlins"}}]}, "no 'gremlins'; there are down"),
        ({"steps": [{"happen": "rain"}]}, "no 'rain'"),
        ({"places": {"phone": "pigeon"}}, "no 'pigeon'; there are direct"),
        ({"expect": {"allow": ["everything"]}}, "no 'everything'; there are handled"),
        ({"expect": {"joy": 1}}, "has no joy"),
        ({"colour": "blue"}, "has no colour"),
        ({"platforms": ["pigeons"]}, "no 'pigeons'; there are telegram"),
        ({"steps": [{"wait": {"for": "x"}}]}, "for needs in, git or worktree"),
        ({"steps": [{"wait": {"live": "x"}}]}, "live needs in"),
        ({"steps": [{"wait": {"in": "phone", "button": "x"}}]}, "button needs for"),
        ({"steps": [{"wait": {"in": "phone", "content": "x"}}]}, "content needs file"),
        ({"steps": [{"wait": {"git": "log"}}]}, "git needs for or absent"),
        ({"steps": [{"wait": {"git": "log", "for": "x", "absent": "y"}}]}, "git needs for or absent"),
        ({"steps": [{"wait": {"worktree": "a", "for": "x", "in": "phone", "file": "f"}}]}, "not for file and worktree"),
        ({"steps": [{"wait": {"in": "phone", "for": "x", "of": "y"}}]}, "of needs git or worktree"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    raw = {"title": "t", "places": {"phone": "direct"}, "steps": ["calm"]} | change
    with pytest.raises(ValueError, match=said):
        scenario.parse(raw)


def test_a_seed_is_always_the_same_scenario() -> None:
    assert seeds.raw(7) == seeds.raw(7)
    assert len({str(seeds.raw(seed)) for seed in range(100)}) == 100
    for seed in range(300):
        kills = [step for step in seeds.scenario(seed).steps if step.verb in {"kill", "died"}]
        assert kills, f"seed {seed} kills nobody"
