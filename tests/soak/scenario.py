"""Scenario files: what people do, what goes wrong, and what must have become of it. YAML; see tests/scenarios.

`{ref}`, `{ref2}`, `{ref3}` are issues that no other scenario has, `{tag}` … their `#14`. A text that platforms word
differently is a mapping: `for: {telegram: "May it use", console: "may it use"}`; see `tests.soak.fit`.

What `wait` can wait for, all of it if there is more:

    {in: phone, for: "One two."}                      a message with that text; with `times`, so many
    {in: phone, for: "May it use", button: "Allow"}   … the newest of them with such a button, by a part of its label
    {in: phone, for: "May it use", lacks: "Allow"}    … or without; "": without any
    {in: phone, first: "May it use", for: "Allowed"}  … which said something else when it came
    {in: phone, file: ".patch", content: "+line"}     a file, by a part of its name, and what is in it
    {in: phone, gone: "text"}                         no message has that text
    {in: phone, live: "text"}                         it is being written
    {git: "log --oneline", for: "text"}               what git prints in the worktree of `{ref}`, or of the session `of`
    {worktree: "notes/a.txt", for: "text"}            what a file there has in it
    {worktree: "notes/a.txt", absent: "text"}         … or, as after `git`, has not; `absent: true`: there is no file
    {asked: "text"}, {told: "text"}                   a prompt reached the model, a tool's result or a person's answer
    {seen: "text"}, {quiet: true}, {seconds: 1}       the receipt of a message; that all is done; nothing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.soak.checker import RULES
from tests.soak.driver import CALLS, EVENTS, FAULTS, KINDS, PLATFORMS

PATIENCE = 75.0  # seconds: more than a platform's longest limit
IN_PLACES = ("times", "button", "lacks", "first", "file", "content", "gone", "live")  # what `wait` looks for in a place
WAITS = (*IN_PLACES, "git", "worktree", "absent", "asked", "told", "seen", "quiet", "seconds")


@dataclass(frozen=True, slots=True)
class Verb:
    """What a step may say."""

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    short: str = ""  # the argument that stands for itself: `kill: now`
    asks: tuple[str, ...] = ()  # names of `Traits` that a platform must have for it


VERBS = {
    "say": Verb(("in", "text"), ("by", "reply")),  # reply: part of the bot's message that is answered
    "send": Verb(("in", "file", "content"), ("text", "by"), asks=("uploads",)),
    "edit": Verb(("said", "to"), asks=("edits",)),
    "press": Verb(("in", "message", "button"), ("by", "tells", "within")),  # button: a part of its label
    "wait": Verb((), ("in", "for", "within", "of", *WAITS)),
    "outage": Verb(("seconds",), short="seconds", asks=("trouble",)),
    "fault": Verb(("what",), ("call", "in", "times", "seconds"), asks=("trouble",)),
    "calm": Verb(),
    "happen": Verb(("what",), ("in", "text"), short="what", asks=("trouble",)),
    "kill": Verb(("at",), ("times",), short="at"),  # `now`, or a fault point
    "died": Verb((), ("within", "or")),  # or: rest – it may have come to rest first; then it is killed there
    "agree": Verb(),  # from here on, every request is allowed once
    "meanwhile": Verb(("steps",), short="steps"),  # each as soon as it can be, while the next steps go on
    "stop": Verb((), ("twice",)),  # SIGTERM; twice: and again, which is to end it at once
    "start": Verb((), ("kill",)),
    "crash": Verb(("what",), short="what"),  # opencode
    "release": Verb(("prompt",), short="prompt"),
    "console": Verb(("command", "until"), ("within",)),  # the command line, again until its output has `until` in it
    "forge": Verb((), ("checks", "name", "said", "merge", "has", "within")),  # what happens, or is, on the forge
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
    thinks: tuple[str, ...] = ()  # before it says anything
    ends: str = ""  # why, where the answer is cut off: length | content_filter
    fails: Mapping[str, Any] = field(default_factory=dict)  # status, message and, for a while only, times

    @property
    def answer(self) -> str:
        return "".join(self.say) + self.then


@dataclass(frozen=True, slots=True)
class Expectations:
    """What must have become of it, besides everything the checker knows by itself."""

    answered: Mapping[str, str] = field(default_factory=dict)  # prompt → answer
    within: Mapping[str, float] = field(default_factory=dict)  # prompt → seconds from the message to its answer
    seen_within: float = 0.0  # seconds for the receipt of every message
    shown: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # place → texts
    absent: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
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
    for platform in _tuple(raw.get("platforms", ())):
        _one_of(platform, PLATFORMS, "platforms")
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
    _only(raw, {"say", "every", "hangs", "call", "arguments", "then", "thinks", "ends", "fails"}, f"model {prompt!r}")
    words = {name: _tuple(raw.get(name, ())) for name in ("say", "thinks")}
    return Script(prompt, **(raw | words))


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
    if verb == "wait":
        _wait(args, f"{where}: {verb}")
    if verb == "fault":
        _one_of(args["what"], FAULTS, where)
        _one_of(args.get("call", "any"), CALLS, where)
    if verb == "happen":
        _one_of(args["what"], EVENTS, where)
    return Step(verb, args)


def _wait(args: Mapping[str, Any], where: str) -> None:
    git = [name for name in ("git", "worktree") if name in args]
    if needy := [name for name in IN_PLACES if name in args]:
        if "in" not in args:
            raise ValueError(f"{where} {needy[0]} needs in")
        if git:
            raise ValueError(f"{where} looks into a place or into a worktree, not for {needy[0]} and {git[0]}")
    if "for" in args and not git and "in" not in args:
        raise ValueError(f"{where} for needs in, git or worktree")
    if git and ("for" in args) == ("absent" in args):
        raise ValueError(f"{where} {git[0]} needs for or absent")
    if not git and (alone := [name for name in ("of", "absent") if name in args]):
        raise ValueError(f"{where} {alone[0]} needs git or worktree")
    if "for" not in args and (alone := [name for name in ("times", "button", "lacks", "first") if name in args]):
        raise ValueError(f"{where} {alone[0]} needs for")
    if "content" in args and "file" not in args:
        raise ValueError(f"{where} content needs file")


def _tuple(raw: Any) -> tuple[Any, ...]:
    return (raw,) if isinstance(raw, str | dict) else tuple(raw)


def _only(raw: Mapping[str, Any], known: set[str], where: str) -> None:
    if strange := [str(name) for name in raw if name not in known]:
        raise ValueError(f"{where} has no {', '.join(strange)}; there are {', '.join(sorted(known))}")


def _one_of(value: Any, known: Sequence[str] | Mapping[str, Any] | set[str], where: str) -> None:
    if value not in known:
        raise ValueError(f"{where}: no {value!r}; there are {', '.join(known)}")
