"""Tab completion in the chat: commands and refs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from adapters.console.wire import Hint


def matches(before: str, hints: Sequence[Hint], refs: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """What may stand instead of the word before the cursor: that word, its replacement, what it is (pure)."""
    if not before.startswith(("/", "!")):
        return
    words = before[1:].split(" ")
    word = words[-1]
    if len(words) == 1 or (len(words) == 2 and words[0] == "help"):
        for hint in hints:
            if hint.name.startswith(word.lower()):
                yield word, hint.name, hint.help
        return
    for ref in sorted(refs):
        # `#14` or `kugetsu` is what people remember of a ref
        if (word and word.casefold() in ref.casefold()) or (not word and len(words) == 2):
            yield word, ref, ""


class LineCompleter(Completer):
    """`refs` is asked each time: they grow as one works."""

    def __init__(self, hints: Sequence[Hint], refs: Callable[[], Collection[str]]) -> None:
        self._hints = hints
        self._refs = refs

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """See `matches`."""
        del complete_event
        for word, text, meta in matches(document.text_before_cursor, self._hints, self._refs()):
            yield Completion(text, -len(word), display_meta=meta)
