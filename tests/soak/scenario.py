"""Scenario files: what people do, what goes wrong, and what must have become of it. YAML; see tests/scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.soak.checker import RULES
from tests.soak.driver import CALLS, EVENTS, FAULTS, KINDS

PATIENCE = 75.0  # seconds: more than a platform's longest limit


@dataclass(frozen=True, slots=True)
class Verb:
    """What a step may say."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    short: str = ""  # the argument that stands for itself: `kill: now`


VERBS = {
    "say": Verb(("in", "text"), ("by", "reply")),  # reply: part of the bot's message that is answered
    "send": Verb(("in", "file", "content"), ("text", "by")),
    "edit": Verb(("said", "to")),
    "press": Verb(("in", "message", "button"), ("by", "tells")),
    "wait": Verb((), ("in", "for", "times", "live", "asked", "seen", "gone", "quiet", "seconds", "within")),
    "outage": Verb(("seconds",), short="seconds"),
    "fault": Verb(("what",), ("call", "in", "times", "seconds")),
    "calm": Verb(),
    "happen": Verb(("what",), ("in", "text"), short="what"),
    "kill": Verb(("at",), ("times",), short="at"),  # `now`, or a fault point
    "died": Verb((), ("within", "or")),  # or: rest – it may have come to rest first; then it is killed there
    "agree": Verb(),  # from here on, every request is allowed once
    "meanwhile": Verb(("steps",), short="steps"),  # each as soon as it can be, while the next steps go on
    "stop": Verb((), ("twice",)),  # SIGTERM; twice: and again, which is to end it at once
    "start": Verb((), ("kill",)),
    "crash": Verb(("what",), short="what"),  # opencode
    "release": Verb(("prompt",), short="prompt"),
    "console": Verb(("command", "until"), ("within",)),  # the command line, again until its output has `until` in it
    "disk": Verb(("is",), short="is"),  # full | free
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens."""

    verb: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.verb} {dict(self.args)}" if self.args else self.verb


@dataclass(frozen=True, slots=True)
class Script:
    """What the model says to prompts with `prompt` in them."""

    prompt: str
    say: tuple[str, ...] = ()
    every: float = 0.0
    hangs: bool = False  # after what it says, until released
    call: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    then: str = ""

    @property
    def answer(self) -> str:
        return "".join(self.say) + self.then


@dataclass(frozen=True, slots=True)
class Expectations:
    """What must have become of it, besides everything the checker knows by itself."""

    answered: Mapping[str, str] = field(default_factory=dict)  # prompt → answer
    within: Mapping[str, float] = field(default_factory=dict)  # prompt → seconds from the message to its answer
    seen_within: float = 0.0  # seconds for the receipt of every message
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # place → texts
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rings: Mapping[str, int] = field(default_factory=dict)  # place → how often
    outcomes: Mapping[str, str] = field(default_factory=dict)  # message → accepted | refused | ignored
    states: Mapping[str, str] = field(default_factory=dict)  # prompt → how its last run ended
    allow: tuple[str, ...] = ()  # rules of the checker that this scenario breaks, with a reason in the file


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file, read."""

    title: str
    places: Mapping[str, tuple[str, tuple[str, ...]]]  # name → kind, people
    scripts: tuple[Script, ...]
    steps: tuple[Step, ...]
    expect: Expectations
    platforms: tuple[str, ...] = ()  # empty: all
    patience: float = PATIENCE  # seconds for everything to come to its end


def load(path: Path) -> Scenario:
    """Raises ValueError, naming what is wrong and what there is."""
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def parse(raw: Mapping[str, Any]) -> Scenario:
    """See `load`."""
    _only(raw, {"title", "places", "model", "steps", "expect", "platforms", "patience"}, "a scenario")
    places = {name: _place(name, place) for name, place in raw["places"].items()}
    expect = dict(raw.get("expect", {}))
    _only(expect, set(Expectations.__dataclass_fields__), "expect")
    for rule in expect.get("allow", ()):
        _one_of(rule, RULES, "allow")
    for key in ("shown", "absent"):
        expect[key] = {place: _tuple(texts) for place, texts in expect.get(key, {}).items()}
    expect["allow"] = tuple(expect.get("allow", ()))
    return Scenario(
        title=raw["title"],
        places=places,
        scripts=tuple(_script(prompt, script) for prompt, script in raw.get("model", {}).items()),
        steps=tuple(_step(number, step) for number, step in enumerate(raw["steps"], start=1)),
        expect=Expectations(**expect),
        platforms=_tuple(raw.get("platforms", ())),
        patience=float(raw.get("patience", PATIENCE)),
    )


def _place(name: str, raw: Any) -> tuple[str, tuple[str, ...]]:
    kind, people = (raw, "alice") if isinstance(raw, str) else (raw["kind"], raw.get("people", "alice"))
    _one_of(kind, KINDS, f"place {name}")
    return kind, _tuple(people)


def _script(prompt: str, raw: Any) -> Script:
    if not isinstance(raw, dict):
        return Script(prompt, _tuple(raw))
    _only(raw, {"say", "every", "hangs", "call", "arguments", "then"}, f"model {prompt!r}")
    return Script(prompt, **(raw | {"say": _tuple(raw.get("say", ()))}))


def _step(number: int, raw: Any) -> Step:
    where = f"step {number}"
    verb, args = (raw, {}) if isinstance(raw, str) else next(iter(raw.items()))
    if isinstance(raw, dict) and len(raw) != 1:
        raise ValueError(f"{where}: one verb a step, not {', '.join(raw)}")
    _one_of(verb, VERBS, where)
    spec = VERBS[verb]
    if verb == "meanwhile" and isinstance(args, list):
        return Step(verb, {"steps": tuple(_step(number, each) for each in args)})
    if not isinstance(args, dict):
        if not spec.short:
            raise ValueError(f"{where}: {verb} takes {', '.join((*spec.needs, *spec.takes))}")
        args = {spec.short: args}
    _only(args, {*spec.needs, *spec.takes}, f"{where}: {verb}")
    if missing := [name for name in spec.needs if name not in args]:
        raise ValueError(f"{where}: {verb} needs {', '.join(missing)}")
    if verb == "fault":
        _one_of(args["what"], FAULTS, where)
        _one_of(args.get("call", "any"), CALLS, where)
    if verb == "happen":
        _one_of(args["what"], EVENTS, where)
    return Step(verb, args)


def _tuple(raw: Any) -> tuple[str, ...]:
    return (raw,) if isinstance(raw, str) else tuple(raw)


def _only(raw: Mapping[str, Any], known: set[str], where: str) -> None:
    if strange := [str(name) for name in raw if name not in known]:
        raise ValueError(f"{where} has no {', '.join(strange)}; there are {', '.join(sorted(known))}")


def _one_of(value: Any, known: Sequence[str] | Mapping[str, Any] | set[str], where: str) -> None:
    if value not in known:
        raise ValueError(f"{where}: no {value!r}; there are {', '.join(known)}")
