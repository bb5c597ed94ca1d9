"""Buttons that stand for a command line: the id is opaque, the line stays in the store and outlives a restart."""

from __future__ import annotations

import secrets

from core.model import Button
from core.ports import Store


class Offers:
    """Lines people can choose by pressing; whoever presses must be allowed to say the line."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, label: str, line: str) -> Button:
        """A button that says `line` when pressed. Raises StoreError."""
        button = Button(secrets.token_urlsafe(9), label)
        await self._store.add_offer(button.id, line)
        return button

    async def line(self, button: str) -> str | None:
        """What pressing says; None for a button that is not an offer, or too old. Raises StoreError."""
        return await self._store.offer(button)
