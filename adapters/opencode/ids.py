"""Message ids of our own in opencode's form, so that a prompt can be looked up and its answers recognised."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime

from core.model import MessageId
from core.ports import Clock

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS = 14
_PER_MILLISECOND = 4096
_WRAPS = 2**48 // _PER_MILLISECOND  # milliseconds
_AHEAD = 86_400_000  # milliseconds; a clock set back since then makes it an id of the future


class MessageIds:
    """`msg_` + 12 hex digits of `(unix_ms * 4096 + counter) mod 2^48` + 14 random base62 characters.

    opencode orders messages by id, so a later id is always the greater one, also within a millisecond and when the
    clock is set back. (The 48 bits wrap every 2.2 years, for opencode's own ids just the same.)
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def new(self) -> MessageId:
        """The next id."""
        now = int(self._clock.now().timestamp() * 1000) * _PER_MILLISECOND
        self._last = max(now + 1, self._last + 1)
        tail = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))
        return MessageId(f"msg_{self._last % 2**48:012x}{tail}")


def made_at(message: MessageId, now: datetime) -> datetime:
    """When an id of ours was made, to the millisecond, if that was within the two years before `now`."""
    at = int(now.timestamp() * 1000)
    age = (at - int(message[4:16], 16) // _PER_MILLISECOND) % _WRAPS
    if age > _WRAPS - _AHEAD:
        age -= _WRAPS
    return datetime.fromtimestamp((at - age) / 1000, UTC)
