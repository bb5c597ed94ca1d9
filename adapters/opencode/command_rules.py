"""Permissions where nobody can be asked: settled before the start, and read off the calls that were denied. Pure.

`opencode run` rejects whatever opencode would ask, which ends the run at the first request. What a sub-agent asks it
leaves unanswered on 1.3, and a question of the agent on every version: such a run waits for ever. So each agent's own
rules, as opencode gives them, are said again with an answer in place of every "ask": the one of the rules given in
advance, or else a denial, after which the agent goes on with what it may do.

They reach opencode as configuration in the environment, which is merged over the user's. A rule merged into a key that
exists would take over the key's place in the order (the last match wins), so ours have keys of their own: `bas?` is
`bash` to opencode's wildcards. And as a tool that is denied with `*` is hidden from the agent, who then never tries it,
`**` stands for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode import shell_words, translate
from adapters.opencode.wire import AgentInfo, Part, Rule
from core.model import PermissionRequest, PermissionRule, SessionId
from core.rules import ALLOW, ASK, DENY

ANYTHING, ANYTHING_SHOWN = "*", "**"
_NEVER = ("question", "plan_enter", "plan_exit")  # as `run` itself denies them in sessions it makes: all three ask
_RULES = "relevant rules "  # what follows in a denied call's error are opencode's rules as JSON


def configuration(
    agents: Iterable[AgentInfo], rules: Sequence[PermissionRule], closed: Sequence[str] = ()
) -> dict[str, Any]:
    """opencode configuration that leaves no agent anything to ask. `rules` answer what it would have asked; `closed`
    are tools that it hides from all of them, whatever else is said.
    """
    hidden = {_alias(name): {ANYTHING: DENY} for name in closed}
    settled = {agent.name: _settled(agent.permission, rules) for agent in agents}
    return {
        "agent": {
            name: {"permission": {key: own[key] for key in own if key not in hidden} | hidden}
            for name, own in settled.items()
        }
    }


def without_asking(rules: Iterable[PermissionRule]) -> list[PermissionRule]:
    """Rules of a session: what would be asked is denied."""
    return [PermissionRule(rule.permission, *_denied(rule.pattern)) if rule.action == ASK else rule for rule in rules]


def refusal(part: Part, directory: Path) -> PermissionRequest | None:
    """What this call was denied for want of somebody to ask. None: nothing was, or opencode's own rules did it."""
    state = part.state
    if state is None or state.status != "error" or _RULES not in (state.error or ""):
        return None
    try:
        rules = msgspec.json.decode((state.error or "").partition(_RULES)[2], type=list[Rule])
    except msgspec.DecodeError:
        return None
    permission = next((rule.permission for rule in reversed(rules) if not _wild(rule.permission)), part.tool)
    ours = [rule for rule in rules if "**" in rule.permission or rule.permission == _alias(permission)]
    if not ours and not any(rule.action == DENY and rule.pattern == ANYTHING_SHOWN for rule in rules):
        return None
    patterns = _patterns(permission, part, directory)
    theirs = [rule for rule in rules if rule not in ours]
    if all(_verdict(pattern, theirs) == DENY for pattern in patterns):
        return None
    step = translate.step(part, directory)
    return PermissionRequest(
        id=f"refused:{part.id}",
        session=SessionId(part.session),
        permission=permission,
        patterns=patterns,
        detail=step.title if step and step.title else patterns[0],
        always=patterns,
    )


def plainly(part: Part) -> Part:
    """The part of a refused call, with a sentence for people in place of a page of rules."""
    assert part.state is not None
    state = msgspec.structs.replace(part.state, error="Not allowed in advance, and nobody can be asked here")
    return msgspec.structs.replace(part, state=state)


# ── rules ──────────────────────────────────────────────────────────────────────────────────────


def _settled(effective: Sequence[Rule], given: Sequence[PermissionRule]) -> dict[str, dict[str, str]]:
    """The agent's rules again, by permission, each under a key of ours, without an "ask"."""
    settled: dict[str, dict[str, str]] = {}
    # What asks for permissions nobody named comes after all rules of opencode's: then those must come again, too.
    general = [rule for rule in effective if _wild(rule.permission)]
    if not any(rule.action == ASK for rule in general):
        general = []
    for turn, (name, rules) in enumerate(groupby(general, lambda rule: rule.permission), start=1):
        # A name with wildcards for part of these would have to be told apart from the rest: then none is granted.
        partly = any(_wild(rule.permission) and not _covers(rule.permission, name) for rule in given)
        settled[_alias(name, turn)] = _answered(_ordered(rules), [] if partly else _given(name, given))
    names = [*(rule.permission for rule in effective), *(rule.permission for rule in given), *_NEVER]
    for name in dict.fromkeys(name for name in names if not _wild(name)):
        own = _ordered(rule for rule in effective if _covers(rule.permission, name))
        if name in _NEVER:
            settled[_alias(name)] = {ANYTHING: DENY}
        elif general or ASK in own.values():
            settled[_alias(name)] = _answered(own, _given(name, given))
    return settled


def _ordered(rules: Iterable[Rule]) -> dict[str, str]:
    """pattern → action, in the order they count: a pattern's earlier rule never does."""
    found: dict[str, str] = {}
    for rule in rules:
        found.pop(rule.pattern, None)
        found[rule.pattern] = rule.action
    return found


def _given(permission: str, rules: Iterable[PermissionRule]) -> list[PermissionRule]:
    return [rule for rule in rules if _covers(rule.permission, permission)]


def _answered(rules: Mapping[str, str], given: Sequence[PermissionRule]) -> dict[str, str]:
    """An answer only ever stands right behind the "ask" it belongs to and covers no more than that: what opencode's
    rules say themselves keeps the last word. A rule that covers but a part of an "ask" and more is left out; unless it
    allows, what was allowed of that "ask" before it is then left out, too.
    """
    answered: dict[str, str] = {}

    def put(pattern: str, action: str) -> None:
        for variant in (pattern, ANYTHING_SHOWN if pattern == ANYTHING else pattern):
            answered.pop(variant, None)
        answered[pattern] = action

    for pattern, action in rules.items():
        if action != ASK:
            put(pattern, action)
            continue
        put(*_denied(pattern))
        for rule in given:
            allowed = rule.action == ALLOW
            if _covers(rule.pattern, pattern):
                put(*((pattern, ALLOW) if allowed else _denied(pattern)))
            elif _covers(pattern, rule.pattern):
                put(*((rule.pattern, ALLOW) if allowed else _denied(rule.pattern)))
            elif not allowed and not _apart(pattern, rule.pattern):
                put(*_denied(pattern))
    return answered


def _denied(pattern: str) -> tuple[str, str]:
    return (ANYTHING_SHOWN if pattern == ANYTHING else pattern), DENY


def _alias(permission: str, turn: int = 1) -> str:
    """Another spelling for opencode's wildcards, which nobody writes; a different one for each turn."""
    if "*" in permission:
        return permission.replace("*", "*" * (turn + 1), 1)
    return f"{permission[:-1]}?"


def _wild(permission: str) -> bool:
    return "*" in permission or "?" in permission


def _covers(wide: str, narrow: str) -> bool:
    """Whether `wide` matches everything that `narrow` does. Both are patterns, `git *` also matches `git`."""
    pattern = re.escape(wide).replace(r"\*", ".*").replace(r"\?", "[^\0]")
    if pattern.endswith(r"\ .*"):
        pattern = pattern.removesuffix(r"\ .*") + r"(\ .*)?"
    return re.fullmatch(pattern, narrow.replace("*", "\0"), re.DOTALL) is not None


def _apart(one: str, other: str) -> bool:
    """Whether two patterns can be seen to have nothing in common, from what comes before their first wildcard."""
    first, second = (re.split(r"[*?]", pattern, maxsplit=1)[0] for pattern in (one, other))
    return not (first.startswith(second) or second.startswith(first))


def _verdict(pattern: str, rules: Iterable[Rule]) -> str:
    """Of opencode's own rules: a denial we put in place of an "ask" of a session's does not count as theirs."""
    last = ALLOW
    for rule in rules:
        if _covers(rule.pattern, pattern):
            last = ASK if rule.pattern == ANYTHING_SHOWN else rule.action
    return last


# ── calls ──────────────────────────────────────────────────────────────────────────────────────


def _patterns(permission: str, part: Part, directory: Path) -> tuple[str, ...]:
    """What opencode asks for a call, as far as its input tells: enough that allowing it lets the same call through."""
    arguments = translate.arguments(part)
    command = str(arguments.get("command", ""))
    file, path = str(arguments.get("filePath") or ""), str(arguments.get("path") or "")
    if permission == "external_directory":
        named = shell_words.absolute_paths(command)
        folders = [
            *(Path(each).parent for each in [file, *named] if each),
            *(Path(each) for each in [path, *named] if each),
        ]
        found = [str(folder / "*") for folder in folders]
    elif permission == "bash":
        found = shell_words.commands(command)
    elif file or path:
        found = [translate.relative(file or path, directory), file or path]
    else:
        keys = ("url", "query", "pattern", "subagent_type", "name")
        found = [str(arguments[key]) for key in keys if arguments.get(key)]
    return tuple(dict.fromkeys(found)) or (ANYTHING,)
