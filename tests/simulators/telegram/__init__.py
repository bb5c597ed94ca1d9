"""A strict Telegram: a Bot API server for tests, and the people who talk to the bot through it."""

from __future__ import annotations

from .core import Press
from .errors import Refused
from .faults import Fault
from .limits import Limits
from .log import Call, Event
from .simulator import TelegramSimulator
from .state import RIGHTS, Chat, Message, Topic, User

__all__ = [
    "RIGHTS",
    "Call",
    "Chat",
    "Event",
    "Fault",
    "Limits",
    "Message",
    "Press",
    "Refused",
    "TelegramSimulator",
    "Topic",
    "User",
]
