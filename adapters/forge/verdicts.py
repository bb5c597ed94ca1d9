"""What many checks come to together. Pure, but for the pages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from adapters.forge import text
from adapters.forge.refusals import TooLarge
from core.ports import Check, Checks

INSTEAD = "look at them in the browser"
MAX_PAGES = 20
MAX_FAILED = 50  # that are told one by one
NONE = Checks("none")
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")

T = TypeVar("T")


class State(Enum):
    """Of one check."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that ran, or will."""

    state: State
    check: Check


def is_commit(commit: str) -> bool:
    """Whether it is the id of one, or the beginning: what else stands in its place would be part of an address."""
    return _COMMIT.fullmatch(commit) is not None


def outcome(state: State, name: str | None, url: str | None, *said: str | None) -> Outcome:
    """`said` are the forge's words, longest last."""
    summary = text.block("\n\n".join(part for part in said if part), text.MAX_COMMENT)
    return Outcome(state, Check(text.line(name) or "unnamed", text.link(url), summary))


def verdict(outcomes: Sequence[Outcome]) -> Checks:
    """All together; those that failed are told while others are pending, too."""
    if not outcomes:
        return NONE
    states = {one.state for one in outcomes}
    worst = next(state for state in (State.PENDING, State.FAILED, State.PASSED) if state in states)
    failed = [one.check for one in outcomes if one.state is State.FAILED]
    return Checks(worst.value, len(outcomes), tuple(failed[:MAX_FAILED]))


async def all_of(about: str, page: Callable[[int], Awaitable[tuple[Sequence[T], bool]]]) -> list[T]:
    """Of all pages; the bool of `page` is whether another one follows. Raises TooLarge rather than judge by a part."""
    found: list[T] = []
    for number in range(1, MAX_PAGES + 1):
        part, more = await page(number)
        found += part
        if not (part and more):
            return found
    raise TooLarge(f"There are more than {len(found)} of {about}", f"That is above what is read; {INSTEAD}")
