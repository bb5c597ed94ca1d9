"""Projects, bases, sessions and places through the port."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_values import ANNA, HERE, KEY, PROJECT, WHEN, fork, session

from core.errors import NotFound, SessionExists, StoreError
from core.model import (
    BaseSession,
    IssueRef,
    PermissionRule,
    Place,
    ProjectRef,
    SessionId,
    SessionKey,
    SessionState,
)
from core.ports import Store

SHOUTED = SessionKey(IssueRef(ProjectRef("GITHUB.com", "SHOKO", "kugetsu"), 14))


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        fork("Zweiter-Ansatz"),
        SessionKey(IssueRef(ProjectRef("gitlab.com:8443", "group/sub", "repo"), 3, merge_request=True)),
        SessionKey(IssueRef(ProjectRef("local", "", "Mein Ordner ß"), 1)),
    ],
    ids=str,
)
async def test_a_session_comes_back_as_it_was_stored(store: Store, key: SessionKey) -> None:
    stored = session(
        key,
        title="Grüße 👋 \x00 end",
        agent_id=SessionId("ses_2"),
        parent_id=SessionId("ses_1"),
        parent=SHOUTED,
        rules=(PermissionRule("bash", "git *", "allow"), PermissionRule("edit", "*", "deny")),
    )
    await store.add_session(stored)
    assert await store.session(key) == stored
    assert await store.sessions() == [stored]


async def test_sessions_are_the_same_whatever_the_case_and_keep_their_spelling(store: Store) -> None:
    await store.add_session(session())
    found = await store.session(SHOUTED)
    assert found is not None
    assert str(found.key) == str(KEY)
    with pytest.raises(SessionExists, match=r"github\.com/Shoko/Kugetsu#14 has a session already"):
        await store.add_session(session(SHOUTED))
    await store.attach(HERE, SHOUTED)
    assert await store.session_at(HERE) == KEY


async def test_merge_requests_and_forks_are_sessions_of_their_own(store: Store) -> None:
    keys = [KEY, SessionKey(IssueRef(PROJECT, 14, merge_request=True)), fork("a"), fork("b")]
    for number, key in enumerate(keys):
        await store.add_session(session(key, slug=f"s{number}", created=WHEN.replace(minute=number)))
    assert [stored.key for stored in await store.sessions()] == keys


async def test_a_file_name_belongs_to_one_session(store: Store) -> None:
    await store.add_session(session())
    with pytest.raises(StoreError, match=r"github\.com/Shoko/Kugetsu#14 has it"):
        await store.add_session(session(fork("a"), slug=session().slug))
    assert len(await store.sessions()) == 1


async def test_saving_changes_a_session_and_brings_none_back(store: Store) -> None:
    await store.add_session(session(parent=fork("a")))
    changed = session(state=SessionState.RUNNING, title="Other", updated=WHEN.replace(hour=23))
    await store.save_session(changed)
    assert await store.session(KEY) == changed
    await store.remove_session(KEY)
    await store.remove_session(KEY)
    await store.save_session(changed)
    assert await store.sessions() == []


async def test_a_place_has_one_session_and_a_session_many_places(store: Store) -> None:
    await store.add_session(session())
    await store.add_session(session(fork("a")))
    topic, chat = Place("telegram", "-100", "8"), Place("telegram", "-100")
    for place in (HERE, topic, chat):
        await store.attach(place, KEY)
    await store.attach(HERE, KEY)  # again: keeps its turn
    assert await store.places(KEY) == [HERE, topic, chat]
    await store.attach(topic, fork("a"))
    assert await store.session_at(topic) == fork("a")
    assert await store.places(KEY) == [HERE, chat]
    await store.attach(topic, KEY)
    assert await store.places(KEY) == [HERE, chat, topic]
    assert await store.places(fork("a")) == []
    await store.detach(HERE)
    await store.detach(HERE)
    assert await store.session_at(HERE) is None
    assert await store.places(KEY) == [chat, topic]


async def test_a_removed_session_leaves_its_places_but_not_its_runs(store: Store) -> None:
    await store.add_session(session())
    await store.attach(HERE, KEY)
    run = await store.add_run(KEY, "go", ANNA, HERE)
    await store.remove_session(KEY)
    assert await store.session_at(HERE) is None
    assert await store.places(KEY) == []
    assert await store.runs(KEY) == [run]


async def test_nothing_attaches_to_a_session_that_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound, match="has no session"):
        await store.attach(HERE, KEY)
    assert await store.session_at(HERE) is None


async def test_bases(store: Store) -> None:
    base = BaseSession(PROJECT, SessionId("ses_b"), Path("/src"), "Base", WHEN, ready=False)
    other = replace(base, project=ProjectRef("local", "", "x"), created=WHEN.replace(year=2025))
    assert await store.base(PROJECT) is None
    await store.save_base(base)
    await store.save_base(other)
    remade = replace(base, agent_id=SessionId("ses_c"), ready=True)
    await store.save_base(remade)
    assert await store.base(ProjectRef("github.com", "shoko", "KUGETSU")) == remade
    assert await store.bases() == [other, remade]


async def test_adopted_projects(store: Store) -> None:
    assert await store.adopted_projects() == {}
    await store.adopt_project(PROJECT, Path("/a"))
    await store.adopt_project(ProjectRef("github.com", "shoko", "kugetsu"), Path("/b c"))
    await store.adopt_project(ProjectRef("local", "", "x"), Path("/x"))
    assert await store.adopted_projects() == {"github.com/shoko/kugetsu": Path("/b c"), "local/x": Path("/x")}


async def test_only_valid_names_are_stored_as_paths(store: Store) -> None:
    with pytest.raises(StoreError, match="not valid Unicode"):
        await store.adopt_project(PROJECT, Path("/a\udcff"))
    assert await store.adopted_projects() == {}
    await store.adopt_project(PROJECT, Path("/a"))
