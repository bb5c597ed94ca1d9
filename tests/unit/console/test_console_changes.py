from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.console import changes, wire
from core.events import AgentEvent, Planned, Retrying, Said, Step, StepState, Todo
from core.progress import Progress, Text, fold

parts = st.sampled_from(["p1", "p2", "p3"])
events = st.lists(
    st.builds(Said, parts, st.text(max_size=5), whole=st.booleans())
    | st.builds(Said, st.just("thought"), st.text(max_size=5), reasoning=st.just(True))
    | st.builds(Step, st.sampled_from(["s1", "s2"]), st.just("read"), st.sampled_from(StepState), st.text(max_size=3))
    | st.builds(Planned, st.tuples(st.builds(Todo, st.text(max_size=3), st.just("pending")))),
    max_size=20,
)


@settings(deadline=None)
@given(events, st.data())
def test_whatever_states_are_skipped_a_terminal_ends_up_with_the_newest(
    said: list[AgentEvent], data: st.DataObject
) -> None:
    states = [Progress()]
    for event in said:
        states.append(fold(states[-1], event))
    seen = [states[0], *(state for state in states[1:-1] if data.draw(st.booleans())), states[-1]]
    texts: dict[str, str] = {}
    steps: dict[str, tuple[str, str]] = {}
    for before, after in pairwise(seen):
        for event in changes.changes("t", 1, before, after):
            if isinstance(event, wire.Text | wire.Reasoning):
                texts[event.part] = event.text if event.whole else texts.get(event.part, "") + event.text
            if isinstance(event, wire.Tool):
                steps[event.id] = (event.state, event.title)
    final = states[-1]
    assert {part: text for part, text in texts.items() if text} == {
        item.part: item.text for item in final.items if isinstance(item, Text) and item.text
    }
    assert steps == {step.id: (step.state, step.title) for step in final.steps}


@settings(deadline=None)
@given(events)
def test_nothing_is_sent_for_no_change(said: list[AgentEvent]) -> None:
    progress = Progress()
    for event in said:
        progress = fold(progress, event)
    assert list(changes.changes("t", 1, progress, progress)) == []


def test_a_retry_is_told_once() -> None:
    before = Progress()
    after = fold(before, Retrying(2, "overloaded", 4.0))
    assert list(changes.changes("t", 1, before, after)) == [wire.Retry("t", 1, 2, "overloaded", 4.0)]
    assert list(changes.changes("t", 1, after, fold(after, Said("p", "")))) == []
