"""What a person typed, as the answer to what the agent asked (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from adapters.console import render, wire
from adapters.console.render import Line

REFUSE = "-"  # instead of an answer


@dataclass(frozen=True, slots=True)
class Choice:
    """The button that was meant, and the text that goes with it."""

    button: str
    text: str = ""


@dataclass(slots=True)
class OpenAsk:
    """A request somebody is answering; questions are put one by one and answered together."""

    event: wire.Asking
    answers: list[str] = field(default_factory=list)

    def show(self) -> list[Line]:
        """What is to be answered next."""
        if isinstance(self.event, wire.Permission):
            return render.permission(self.event)
        return render.question(self.event, len(self.answers)) if self.event.questions else []

    @property
    def hint(self) -> str:
        """What can be typed, in few words."""
        if isinstance(self.event, wire.Permission):
            return "1 once · 2 always · 3 reject (and why)"
        return "a number or your own words · - refuses"

    def take(self, typed: str) -> Choice | None:
        """None: not an answer to a permission request, or there is another question to put."""
        typed = typed.strip()
        if isinstance(self.event, wire.Permission):
            wanted = re.fullmatch(r"([12])|(3)(?:[\s,.:]+(.*))?", typed, re.DOTALL)
            if not wanted:
                return None
            button = self.event.buttons[int(wanted[1] or wanted[2]) - 1]
            return Choice(button.id, wanted[3] or "")
        answer, reject = self.event.buttons
        if typed == REFUSE:
            return Choice(reject.id)
        self.answers.append(" ".join(typed.split()))
        return Choice(answer.id, "\n".join(self.answers)) if len(self.answers) >= len(self.event.questions) else None
