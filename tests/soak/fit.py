"""A scenario as it is on one platform: whether it can be there at all, how that words things, and what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tests.soak.driver import CARRYING, PLATFORMS, Traits, Unsupported
from tests.soak.scenario import VERBS, Expectations, Scenario, Step, load

TALKING = {"say", "send", "press", "edit"}  # what needs a bot that takes it in


class Platform(Protocol):
    """The part of a driver, or of its class, that this looks at."""

    platform: str
    traits: Traits


def files(folder: Path, platform: Platform) -> list[Path]:
    """Scenarios that can be there."""
    return [file for file in sorted(folder.glob("*.yaml")) if not why_not(load(file), platform)]


def why_not(scenario: Scenario, platform: Platform) -> str:
    """Empty: it is for that platform."""
    try:
        fit(scenario, platform)
    except Unsupported as error:
        return str(error)
    return ""


def fit(scenario: Scenario, platform: Platform) -> Scenario:
    """Raises Unsupported."""
    name, traits = platform.platform, platform.traits
    if scenario.platforms and name not in scenario.platforms:
        raise Unsupported(f"it is for {', '.join(scenario.platforms)}")
    if strange := {kind for kind, _ in scenario.places.values()} - set(traits.kinds):
        raise Unsupported(f"{name} has no {', '.join(sorted(strange))}")
    steps = _words(scenario.steps, name)
    for step in _all(steps):
        for trait in _needs(step):
            if not getattr(traits, trait):
                raise Unsupported(f"{step}: {name} has no “{trait}”")
    if not traits.waits:
        _must_be_heard(steps, name)
    return replace(scenario, steps=steps, expect=_expect(_words(scenario.expect, name), traits))


def _needs(step: Step) -> Iterator[str]:
    yield from VERBS[step.verb].asks
    args = step.args
    if step.verb == "wait":
        yield from (
            trait for word, trait in (("seen", "receipts"), ("gone", "rewrites"), ("first", "rewrites")) if word in args
        )
    point = str(args.get("at" if step.verb == "kill" else "kill", "")) if step.verb in {"kill", "start"} else ""
    if point.startswith(CARRYING):
        yield "posts"


def _must_be_heard(steps: Sequence[Step], name: str) -> None:
    """Nothing is said while the bot is away, or cannot write it down."""
    there = True
    for step in steps:
        match step.verb:
            case "kill":
                there = there and step.args["at"] != "now"
            case "died" | "stop":
                there = False
            case "start":
                there = not step.args.get("kill")
            case "disk":
                there = step.args["is"] != "full"
            case verb if verb in TALKING and not there:
                raise Unsupported(f"{step}: on {name}, nothing that is said waits for the bot")


def _expect(expect: Expectations, traits: Traits) -> Expectations:
    """Without what people cannot notice there."""
    return replace(
        expect,
        rings=expect.rings if traits.rings else {},
        seen_within=expect.seen_within if traits.receipts else 0.0,
    )


def _words(value: Any, name: str) -> Any:
    """`{telegram: …, console: …}` is what that platform says. Raises Unsupported when it is not among them."""
    match value:
        case Step():
            return replace(value, args=_words(value.args, name))
        case Expectations():
            return replace(value, **{each: _words(getattr(value, each), name) for each in ("shown", "absent")})
        case tuple() | list():
            return type(value)(_words(each, name) for each in value)
        case Mapping() if value and set(value) <= set(PLATFORMS):
            if name not in value:
                raise Unsupported(f"nobody says how {name} words {value}")
            return value[name]
        case Mapping():
            return {key: _words(each, name) for key, each in value.items()}
    return value


def _all(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.args["steps"] if step.verb == "meanwhile" else ())
