"""What becomes of a message after each thing that can happen to it, and of messages that came while nobody read. Pure.

docs/delivery.md draws it; a test holds the picture against `MOVES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.errors import ChatDenied, ChatDoubt, ChatFormat, ChatLimited, KugetsuError, PlaceGone
from core.messages import Post, PostKind, PostState
from core.model import Inbound

Fault = Callable[[str], None]  # called after every effect and every record; a no-op in production

LONGEST = 5.0  # seconds between attempts: an outage's end is noticed that late at most
FRESH = timedelta(minutes=10)  # after that, what was only news is not worth a message of its own any more
FEW = 3  # … if there are more of them than this
MOVES = {
    PostState.PENDING: {PostState.SENDING, PostState.DROPPED, PostState.CLOSED},
    PostState.SENDING: {PostState.SENT, PostState.PENDING, PostState.UNKNOWN, PostState.DROPPED},
    PostState.UNKNOWN: {PostState.SENT, PostState.PENDING, PostState.DROPPED},
    PostState.SENT: {PostState.CLOSED},
    PostState.CLOSED: set[PostState](),
    PostState.DROPPED: set[PostState](),
}


def after_failure(post: Post, error: KugetsuError) -> tuple[Post, float]:
    """The message as it is now, and seconds until the next attempt. `post` was being sent, or (unknown) looked for."""
    tried = replace(post, attempts=post.attempts + 1)
    sought = post.state is PostState.UNKNOWN
    waits = PostState.UNKNOWN if sought else PostState.PENDING  # looking failed: still nobody knows
    match error:
        case ChatDoubt():
            return tried.in_state(PostState.UNKNOWN, str(error)), pause(tried.attempts)
        case ChatLimited():
            return tried.in_state(waits, str(error)), 0.0  # the budget holds it back
        case ChatDenied():
            return tried.in_state(waits, str(error)), 0.0  # nothing is tried until the next start
        case PlaceGone(instead=place) if place is not None and place != post.place:
            moved = replace(tried, place=place, repeat=post.repeat or sought)
            return moved.in_state(PostState.PENDING, str(error)), 0.0
        case KugetsuError(retryable=True):
            return tried.in_state(waits, str(error)), pause(tried.attempts)
        case PlaceGone():
            return tried.in_state(PostState.DROPPED, str(error)), 0.0
        case _ if sought:
            return not_found(tried), 0.0
        case ChatFormat() if post.page.format:
            return replace(tried, page=post.page.plain).in_state(PostState.PENDING, str(error)), 0.0
        case ChatFormat() if post.buttons:
            return replace(tried, buttons=()).in_state(PostState.PENDING, str(error)), 0.0
        case _:
            return tried.in_state(PostState.DROPPED, str(error)), 0.0


def pause(attempts: int) -> float:
    """Seconds before attempt number `attempts` + 1."""
    return min(0.5 * float(2 ** min(attempts, 10)), LONGEST)


def after_crash(post: Post) -> Post:
    """As the next process finds it."""
    return (
        post.in_state(PostState.UNKNOWN, "kugetsu ended while it was sent") if post.state is PostState.SENDING else post
    )


def not_found(post: Post) -> Post:
    """In doubt, and not to be found: shown again rather than lost, and it says so."""
    return replace(post.in_state(PostState.PENDING, post.note), repeat=True)


def outdated(posts: Sequence[Post], now: datetime) -> list[Post]:
    """Of what waits for one place: news so old and so many that one message sums them up. Answers, requests and files
    never are.
    """
    news = [post for post in posts if post.kind in {PostKind.NOTICE, PostKind.REPLY} and now - post.created > FRESH]
    return news if len(news) > FEW else []


# ── what came while nobody read ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BacklogPolicy:
    """The configuration's `runs.backlog`."""

    ask_after: timedelta = timedelta(minutes=10)
    ask_above: int = 3
    drop_after: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is done with the messages to one place: so many of the oldest are dropped, the others run or asked for."""

    dropped: int
    ask: bool


def backlog(messages: Sequence[Inbound], now: datetime, policy: BacklogPolicy) -> Backlog:
    """`messages`, oldest first, were sent to one place before now, while kugetsu was not there."""
    kept = [message for message in messages if now - message.at <= policy.drop_after]
    ask = len(kept) > policy.ask_above or any(now - message.at > policy.ask_after for message in kept)
    return Backlog(len(messages) - len(kept), ask and bool(kept))
