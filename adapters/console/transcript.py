"""A run's events, as they come, to lines for people: finished lines and the one still being written (pure)."""

from __future__ import annotations

from adapters.console import render, wire
from adapters.console.render import Line


class Transcript:
    """Follows one session. Feed it events; print what it returns; show `partial` where it can be redrawn."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}  # part → its text so far, as received
        self._printed: dict[str, int] = {}  # part → how many characters of it are out
        self._part = ""  # what is being written
        self._styled = render.Styled()
        self._steps: dict[str, wire.Tool] = {}  # running ones
        self._verbosity = "normal"
        self._thought: dict[str, str] = {}  # part → what the model thought and is not printed yet
        self.running = False

    @property
    def partial(self) -> str:
        """The unfinished last line of the answer."""
        if self._quiet:
            return ""
        return render.clean(self._said.get(self._part, "")[self._printed.get(self._part, 0) :])

    @property
    def steps(self) -> list[Line]:
        """What the agent is doing now."""
        return [] if self._quiet else [render.tool(step, mark=" …") for step in self._steps.values()]

    def feed(self, event: wire.Event) -> list[Line]:
        """The lines this event completes."""
        match event:
            case wire.Started():
                self._begin()
                self._verbosity = event.verbosity
                return []
            case wire.Shows():
                self._verbosity = event.verbosity
                return []
            case wire.Text():
                return self._text(event)
            case wire.Tool():
                return self._tool(event)
            case wire.Plan():
                return [] if self._quiet else [*self._break(), *render.plan(event)]
            case wire.Retry():
                again = f"… {render.one_line(event.reason)} · tries again in {render.duration(event.next_in)}"
                return [*self._break(), (("dim", again),)]
            case wire.Permission():
                return [*self._break(), *render.permission(event)]
            case wire.Questions():
                return [*self._break(), *(render.question(event, 0) if event.questions else [])]
            case wire.Decided():
                return [*self._break(), render.decided(event)]
            case wire.Notice():
                return [*self._break(), *render.markdown(event.text), *render.choices(event.buttons)]
            case wire.File():
                return [*self._break(), render.file(event)]
            case wire.Finished():
                untold = render.markdown(event.text) if self._quiet and event.text and not self._printed else []
                lines = [*self._break(), *untold, *render.finished(event)]
                self._begin()
                self.running = False
                return lines
            case wire.Reasoning():
                self.running = True
                return self._thinking(event)

    @property
    def _quiet(self) -> bool:
        return self._verbosity == "quiet"

    def _thinking(self, event: wire.Reasoning) -> list[Line]:
        if self._verbosity != "detailed":
            return []
        text = event.text if event.whole else self._thought.get(event.part, "") + event.text
        *whole, self._thought[event.part] = text.split("\n")
        lines = [line for line in whole if line.strip()]
        return [*self._break(), *((("dim", f"💭 {render.one_line(line)}"),) for line in lines)] if lines else []

    def _begin(self) -> None:
        self._said.clear()
        self._printed.clear()
        self._steps.clear()
        self._thought.clear()
        self._part = ""
        self._styled = render.Styled()
        self.running = True

    def _text(self, event: wire.Text) -> list[Line]:
        self.running = True
        if self._quiet:
            return []
        lines = self._break() if event.part != self._part else []
        self._part = event.part
        before = self._said.get(event.part, "")
        after = event.text if event.whole else before + event.text
        printed = self._printed.get(event.part, 0)
        if event.whole and not after.startswith(before[:printed]):
            # lines that are out cannot be taken back: say again from the first that changed
            same = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
            printed = after.rfind("\n", 0, min(same, printed)) + 1
        end = after.rfind("\n") + 1
        if end > printed:
            lines += [self._styled.line(line) for line in render.clean(after[printed : end - 1]).split("\n")]
            printed = end
        self._said[event.part], self._printed[event.part] = after, printed
        return lines

    def _tool(self, event: wire.Tool) -> list[Line]:
        self.running = True
        if event.state in {"pending", "running"}:
            self._steps[event.id] = event
            return []
        self._steps.pop(event.id, None)
        if self._quiet:
            return []
        more = render.output(event) if self._verbosity == "detailed" else []
        return [*self._break(), render.tool(event), *more]

    def _break(self) -> list[Line]:
        """End the unfinished line, because something else comes below it."""
        partial, part = self.partial, self._part
        if part:
            self._printed[part] = len(self._said[part])
        return [self._styled.line(partial)] if partial else []
