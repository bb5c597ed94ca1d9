"""The store against a model of it in a few dictionaries, by random walks."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from store_values import ANNA, KEY, SteppedClock, fork, session

from adapters.store.sql import SqlStore
from core.errors import NotFound, SessionExists
from core.model import IssueRef, Place, ProjectRef, Run, RunState, SessionKey

KEYS = st.sampled_from([KEY, fork("A"), SessionKey(IssueRef(ProjectRef("gitlab.com", "g/s", "r"), 14, True))])
PLACES = st.sampled_from([Place("p", "c"), Place("p", "c", "1"), Place("q", "c", "1")])


def spelled(key: SessionKey, upper: bool) -> SessionKey:
    ref = key.ref
    project = ProjectRef(ref.project.instance, ref.project.owner.upper(), ref.project.repo)
    return SessionKey(replace(ref, project=project), key.name) if upper else key


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.sessions: dict[str, SessionKey] = {}
        self.places: list[tuple[Place, str]] = []
        self.runs: dict[str, list[Run]] = {}
        self.open()

    def open(self) -> None:
        self.store = SqlStore(Path(self.folder.name), SteppedClock())
        self.do(self.store.open())

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    @rule()
    def restart(self) -> None:
        self.do(self.store.close())
        self.open()

    @rule(key=KEYS, upper=st.booleans())
    def add_session(self, key: SessionKey, upper: bool) -> None:
        key = spelled(key, upper)
        try:
            self.do(self.store.add_session(session(key)))
            assert key.key not in self.sessions
            self.sessions[key.key] = key
        except SessionExists:
            assert key.key in self.sessions

    @rule(key=KEYS, upper=st.booleans())
    def remove_session(self, key: SessionKey, upper: bool) -> None:
        self.do(self.store.remove_session(spelled(key, upper)))
        self.sessions.pop(key.key, None)
        self.places = [(place, at) for place, at in self.places if at != key.key]

    @rule(key=KEYS, upper=st.booleans(), place=PLACES)
    def attach(self, key: SessionKey, upper: bool, place: Place) -> None:
        try:
            self.do(self.store.attach(place, spelled(key, upper)))
            assert key.key in self.sessions
        except NotFound:
            assert key.key not in self.sessions
            return
        if (place, key.key) not in self.places:
            self.places = [(other, at) for other, at in self.places if other != place] + [(place, key.key)]

    @rule(place=PLACES)
    def detach(self, place: Place) -> None:
        self.do(self.store.detach(place))
        self.places = [(other, at) for other, at in self.places if other != place]

    @rule(keys=st.lists(KEYS, min_size=1, max_size=3), place=PLACES, upper=st.booleans())
    def add_runs(self, keys: list[SessionKey], place: Place, upper: bool) -> None:
        async def at_once() -> list[Run]:
            return await asyncio.gather(*(self.store.add_run(spelled(key, upper), "p", ANNA, place) for key in keys))

        for run in self.do(at_once()):
            runs = self.runs.setdefault(run.session.key, [])
            assert run.number == len(runs) + 1
            runs.append(run)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), state=st.sampled_from(RunState))
    def save_run(self, data: st.DataObject, state: RunState) -> None:
        runs = self.runs[data.draw(st.sampled_from(sorted(self.runs)))]
        index = data.draw(st.integers(0, len(runs) - 1))
        runs[index] = replace(runs[index], state=state)
        self.do(self.store.save_run(runs[index]))

    @invariant()
    def agrees(self) -> None:
        assert {found.key for found in self.do(self.store.sessions())} == set(self.sessions.values())
        for key in (KEY, fork("A")):
            assert self.do(self.store.places(key)) == [place for place, at in self.places if at == key.key]
            assert self.do(self.store.runs(key)) == self.runs.get(key.key, [])
        for place, key_ in self.places:
            assert self.do(self.store.session_at(place)) == self.sessions[key_]
        unfinished = sorted(
            (run for runs in self.runs.values() for run in runs if not run.state.over), key=lambda run: run.id
        )
        assert self.do(self.store.unfinished_runs()) == unfinished

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
