"""What a run looks like at one moment, folded from agent events. Pure: the same events give the same progress."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.events import (
    AgentEvent,
    Asked,
    Finished,
    Metered,
    Outcome,
    Planned,
    Refused,
    Retrying,
    Said,
    Settled,
    Started,
    Step,
    Todo,
)
from core.model import AgentRequest, Tokens


@dataclass(frozen=True, slots=True)
class Text:
    """One text part of the agent."""

    part: str
    text: str
    reasoning: bool = False
    final: bool = False  # the agent adds nothing to it


Item = Text | Step


@dataclass(frozen=True, slots=True)
class Progress:
    """A run so far. `items` are texts and tool calls in the order they first appeared."""

    items: tuple[Item, ...] = ()
    todos: tuple[Todo, ...] = ()
    asking: tuple[AgentRequest, ...] = ()
    retrying: Retrying | None = None
    model: str = ""
    tokens: Tokens = field(default_factory=Tokens)
    cost: float = 0.0
    context: int = 0  # tokens of the conversation after the last step
    outcome: Outcome | None = None
    error_code: str = ""
    error: str = ""

    @property
    def text(self) -> str:
        """All the agent said, reasoning apart: parts in order, a blank line between."""
        return "\n\n".join(
            item.text.strip("\n")
            for item in self.items
            if isinstance(item, Text) and not item.reasoning and item.text.strip()
        )

    @property
    def said(self) -> str:
        """The part with which the agent has said something to its end, if it has done nothing since: the run's end
        follows, or a step. Else empty.
        """
        last = self.items[-1] if self.items else None
        return last.part if isinstance(last, Text) and last.final and not last.reasoning else ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The tool calls, oldest first."""
        return tuple(item for item in self.items if isinstance(item, Step))


def fold(progress: Progress, event: AgentEvent) -> Progress:
    """The next state; the very same object when nothing a person could see has changed."""
    match event:
        case Started():
            return progress if event.model in {"", progress.model} else replace(progress, model=event.model)
        case Said():
            return _said(progress, event)
        case Step():
            return _stepped(progress, event)
        case Planned():
            return progress if progress.todos == event.todos else replace(progress, todos=event.todos)
        case Asked():
            if any(request.id == event.request.id for request in progress.asking):
                return progress
            return replace(progress, asking=(*progress.asking, event.request))
        case Settled():
            left = tuple(request for request in progress.asking if request.id != event.request_id)
            return progress if len(left) == len(progress.asking) else replace(progress, asking=left)
        case Refused():
            return progress  # the step it refused says so; the list of all comes with the report
        case Retrying():
            return progress if progress.retrying == event else replace(progress, retrying=event)
        case Metered(Tokens(0, 0, 0, 0, 0), 0):
            return progress
        case Metered():
            return replace(
                progress,
                tokens=progress.tokens + event.tokens,
                cost=progress.cost + event.cost,
                context=event.context or progress.context,
            )
        case Finished():
            return replace(
                progress,
                outcome=event.outcome,
                error_code=event.error_code,
                error=event.error,
                asking=(),
                retrying=None,
            )


def _said(progress: Progress, event: Said) -> Progress:
    for index in range(len(progress.items) - 1, -1, -1):
        item = progress.items[index]
        if isinstance(item, Text) and item.part == event.part:
            text = event.text if event.whole else item.text + event.text
            final = item.final or event.final
            if (text, final) == (item.text, item.final):
                return progress
            return _with_item(progress, index, replace(item, text=text, final=final))
    if not event.text:
        return progress
    added = Text(event.part, event.text, event.reasoning, event.final)
    return replace(progress, items=(*progress.items, added), retrying=None)


def _stepped(progress: Progress, event: Step) -> Progress:
    for index in range(len(progress.items) - 1, -1, -1):
        item = progress.items[index]
        if isinstance(item, Step) and item.id == event.id:
            return progress if item == event else _with_item(progress, index, event)
    return replace(progress, items=(*progress.items, event), retrying=None)


def _with_item(progress: Progress, index: int, item: Item) -> Progress:
    items = (*progress.items[:index], item, *progress.items[index + 1 :])
    return replace(progress, items=items, retrying=None)
