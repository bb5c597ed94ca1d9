"""The queue of updates: kept until confirmed, handed out by offset, spoiled on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .clock import SimulatedClock
from .errors import Refused
from .log import Log

KINDS = frozenset(
    [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
        "message_reaction",
        "message_reaction_count",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "purchased_paid_media",
        "managed_bot",
        "guest_message",
    ]
)
DEFAULT_KINDS = KINDS - {"chat_member", "message_reaction", "message_reaction_count"}
KEPT_SECONDS = 86_400  # Telegram keeps an update for 24 hours
_FUTURE = 10  # an offset further ahead than this is not believed


@dataclass(slots=True, eq=False)
class Update:
    id: int
    kind: str
    body: Any  # what the bot gets
    wall: float
    monotonic: float
    delivered: list[float] = field(default_factory=list)  # monotonic
    confirmed: float | None = None
    forced: bool = False  # delivered once whatever the offset: duplicates and broken updates


@dataclass(slots=True, eq=False)
class Poll:
    """A getUpdates call that waits."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: Refused | None = None


class UpdateQueue:
    """Updates in order. `all` keeps every update ever made, `pending` those not confirmed."""

    def __init__(self, clock: SimulatedClock, log: Log, first_id: int = 731_005_001) -> None:
        self._clock = clock
        self._log = log
        self._next = first_id
        self.allowed = DEFAULT_KINDS
        self.pending: list[Update] = []
        self.all: list[Update] = []
        self.poll: Poll | None = None
        self.held = False  # nothing is handed out
        self.on_change: Callable[[], None] = lambda: None

    def add(self, kind: str, payload: Any) -> Update | None:
        """A new update; None when the bot did not ask for its kind."""
        if kind not in self.allowed:
            return None
        return self._append(kind, {"update_id": self._next, kind: payload}, self._next)

    def inject(self, body: Any) -> Update:
        """Anything at all. An object without `update_id` gets the next; other things stay as they are."""
        number = self._next
        if isinstance(body, dict):
            body = {"update_id": number} | body
            number = body["update_id"] if isinstance(body["update_id"], int) else number
        kind = next((name for name in body if name != "update_id"), "") if isinstance(body, dict) else ""
        strange = not isinstance(body, dict) or body["update_id"] != number or number < self._next
        return self._append(kind, body, number, forced=strange)

    def duplicate(self, update_id: int) -> Update:
        """Hand out an update once more, confirmed or not."""
        first = next(update for update in self.all if update.id == update_id)
        return self._append(first.kind, first.body, update_id, forced=True)

    def _append(self, kind: str, body: Any, number: int, *, forced: bool = False) -> Update:
        update = Update(number, kind, body, self._clock.wall(), self._clock.monotonic(), forced=forced)
        self._next = max(self._next, number + 1)
        self.pending.append(update)
        self.all.append(update)
        self._log.add("update", update_id=number, update=kind, body=body)
        self._changed()
        return update

    def reorder(self, ids: Sequence[int]) -> None:
        """Hand out pending updates in this order, the rest after them."""
        rank = {number: place for place, number in enumerate(ids)}
        self.pending.sort(key=lambda update: rank.get(update.id, len(rank)))
        self._changed()

    def hold(self) -> None:
        """Collect updates without handing them out, until `release`."""
        self.held = True

    def release(self) -> None:
        self.held = False
        self._changed()

    def clear(self) -> None:
        """Forget what is pending, as `drop_pending_updates` does."""
        self.pending = []

    def take(self, offset: int, limit: int) -> list[Update]:
        """Confirm what is below `offset` and give what comes from there on."""
        oldest = self._clock.wall() - KEPT_SECONDS
        self.pending = [update for update in self.pending if update.wall > oldest]
        if offset < 0:
            self._confirm(lambda place, _: place < len(self.pending) + offset)
            offset = 0
        if offset > self._next + _FUTURE:
            offset = 0
        if offset > 0:
            self._confirm(lambda _, update: bool(update.delivered) if update.forced else update.id < offset)
        if self.held:
            return []
        return [update for update in self.pending if update.forced or update.id >= offset][:limit]

    def _confirm(self, gone: Callable[[int, Update], bool]) -> None:
        kept = []
        for place, update in enumerate(self.pending):
            if gone(place, update):
                self.confirm(update)
            else:
                kept.append(update)
        self.pending = kept

    def confirm(self, update: Update) -> None:
        update.confirmed = self._clock.monotonic()
        self._log.add("confirmed", update_id=update.id)

    def drop(self, update: Update) -> None:
        self.pending = [other for other in self.pending if other is not update]

    def mark_delivered(self, updates: Sequence[Update], how: str) -> None:
        for update in updates:
            update.delivered.append(self._clock.monotonic())
            self._log.add("delivered", update_id=update.id, how=how, times=len(update.delivered))

    def abort_poll(self, text: str) -> None:
        """End the call that waits, if any, with 409."""
        if self.poll:
            self.poll.refusal = Refused(409, f"Conflict: {text}")
            self.poll.woken.set()
            self.poll = None

    def _changed(self) -> None:
        if self.held:
            return
        if self.poll:
            self.poll.woken.set()
        self.on_change()
