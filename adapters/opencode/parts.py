"""The text of a run's parts: deltas, lagging updates, final forms and stored copies brought to one truth. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.opencode.wire import Part
from core.events import Said


@dataclass(slots=True)
class _Text:
    reasoning: bool
    pieces: list[str] = field(default_factory=list)
    blank: bool = True
    ended: bool = False

    def joined(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class Texts:
    """What was received of each part. What was received once is never taken back by a part that is merely behind."""

    def __init__(self) -> None:
        self._parts: dict[str, _Text] = {}

    @property
    def spoke(self) -> bool:
        """Something other than blanks was said, reasoning apart."""
        return any(not text.blank and not text.reasoning for text in self._parts.values())

    def delta(self, part: str, delta: str) -> list[Said]:
        """Appended text. A part never seen may be anything, so its text waits for the part's own update; one that has
        ended, as was read from the store, is ahead of the stream.
        """
        text = self._parts.get(part)
        if text is None or text.ended or not delta:
            return []
        text.pieces.append(delta)
        text.blank = text.blank and not delta.strip()
        return [Said(part, delta, reasoning=text.reasoning)]

    def updated(self, part: Part, *, stored: bool) -> list[Said]:
        """The part as opencode has it now; `stored` when it was read back and not part of the stream.

        An unfinished part that is a beginning of what was received changes nothing: updates lag behind deltas, and
        after a crash opencode has kept an empty text.
        """
        known = self._parts.get(part.id)
        text = known or self._parts.setdefault(part.id, _Text(part.type == "reasoning"))
        have = text.joined()
        final = part.time is not None and part.time.end is not None
        ends = final and not text.ended
        text.ended = text.ended or final
        if part.text == have or (not final and have.startswith(part.text)):
            return [Said(part.id, "", reasoning=text.reasoning, final=True)] if ends and have else []
        text.pieces = [part.text]
        text.blank = not part.text.strip()
        return [Said(part.id, part.text, whole=stored or known is not None, reasoning=text.reasoning, final=final)]

    def withdrawn(self, part: str) -> list[Said]:
        """The part turned out to be no answer. Only where nothing said so before its text came."""
        text = self._parts.get(part)
        if text is None or not text.joined():
            return []
        text.pieces.clear()
        text.blank = True
        return [Said(part, "", whole=True, reasoning=text.reasoning)]
