"""Permission rules: which requests of the agent are answered without asking anybody. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from core.model import PermissionRequest, PermissionRule, Refusal, Session

ALLOW, DENY, ASK = "allow", "deny", "ask"


def verdict(request: PermissionRequest, rules: Sequence[PermissionRule]) -> str:
    """allow | deny | ask. The last matching rule wins for each pattern; all must be allowed, one denied is enough."""
    answers = {_answer(request.permission, pattern, rules) for pattern in request.patterns or ("*",)}
    if DENY in answers:
        return DENY
    return ALLOW if answers == {ALLOW} else ASK


def allowing(refused: Iterable[Refusal]) -> list[PermissionRule]:
    """The rules that would let a run do what it was refused; none for what no rule can allow."""
    return [
        PermissionRule(refusal.permission, pattern, ALLOW)
        for refusal in refused
        if refusal.permission
        for pattern in refusal.patterns or ("*",)
    ]


def granted(session: Session, rules: Iterable[PermissionRule]) -> Session:
    """With more standing rules, after those it has: the last one that matches counts."""
    new = tuple(dict.fromkeys(rules))
    about = {(rule.permission, rule.pattern) for rule in new}
    kept = (rule for rule in session.rules if (rule.permission, rule.pattern) not in about)
    return replace(session, rules=(*kept, *new))


def _answer(permission: str, pattern: str, rules: Sequence[PermissionRule]) -> str:
    for rule in reversed(rules):
        if _matches(rule.permission, permission) and _matches(rule.pattern, pattern):
            return rule.action
    return ASK


def _matches(wildcard: str, text: str) -> bool:
    return bool(_compiled(wildcard).fullmatch(text))


@lru_cache(maxsize=1024)
def _compiled(wildcard: str) -> re.Pattern[str]:
    # As opencode's own: `*` is anything, slashes too, `?` one character, and `git *` covers a bare `git`.
    pattern = re.escape(wildcard).replace(r"\*", ".*").replace(r"\?", ".")
    if pattern.endswith(r"\ .*"):
        pattern = pattern.removesuffix(r"\ .*") + r"(\ .*)?"
    return re.compile(pattern, re.DOTALL)
