"""The Bot API's methods. Importing the package fills the table."""

from __future__ import annotations

from . import account, chats, editing, files, polling, sending, topics, webhooks
from .table import ABSENT, METHODS, Handler

__all__ = [
    "ABSENT",
    "METHODS",
    "Handler",
    "account",
    "chats",
    "editing",
    "files",
    "polling",
    "sending",
    "topics",
    "webhooks",
]
