"""What the id of a chat tells (pure)."""

from __future__ import annotations

SUPERGROUP = "-100"  # begins the ids of supergroups and channels


def is_direct(chat: str) -> bool:
    """People's ids are positive, groups' are not."""
    return not chat.startswith("-")


def is_supergroup(chat: str) -> bool:
    """It may have topics, and numbers its messages by itself: private chats and basic groups of a bot share a row."""
    return chat.startswith(SUPERGROUP)
