"""Buttons that stand for a command line: the id is opaque, the line stays here."""

from __future__ import annotations

import secrets
from collections import OrderedDict

from core.model import Button

KEPT = 1000  # newest offers; an older one is answered with what to type


class Offers:
    """Lines people can choose by pressing; whoever presses must be allowed to say the line."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, str] = OrderedDict()

    def make(self, label: str, line: str) -> Button:
        """A button that says `line` when pressed."""
        button = Button(secrets.token_urlsafe(9), label)
        self._lines[button.id] = line
        while len(self._lines) > KEPT:
            self._lines.popitem(last=False)
        return button

    def line(self, button: str) -> str | None:
        """What pressing says; None for a button that is not an offer, or too old."""
        return self._lines.get(button)
