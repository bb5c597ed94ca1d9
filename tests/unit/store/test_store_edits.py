"""What is found in files that people wrote, and that nothing in them can do harm."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_examples import BASE, KEY, PROJECT, ManualClock, session

from adapters.store.edits import MirrorEdits, find_edits
from adapters.store.files import Unreadable
from adapters.store.mirror import Mirror
from adapters.store.mirrored import Written
from adapters.store.sql import SqlStore
from core.edits import Edit, FoundBase, FoundSession, Missing, Retitled, Untaken
from core.model import IssueRef, SessionId, SessionKey

INDEX = "index.json"
FILE = "sessions/github.com-shoko-kugetsu-14.json"
BASES = "sessions/base.json"
REF = str(KEY)


def found(files: dict[str, Any], written: dict[str, Written] | None = None) -> list[Edit]:
    """In files given as JSON values, or as bytes."""

    def read(name: str) -> bytes | None:
        value = files.get(name)
        if isinstance(value, Unreadable):
            raise value
        return value if isinstance(value, bytes | None) else json.dumps(value).encode()

    return find_edits(read, lambda: [name for name in files if name != INDEX], written or {}, "github.com")


def the_session(agent_id: str = "ses_old", **more: Any) -> FoundSession:
    return FoundSession(INDEX, KEY, SessionId(agent_id), **more)


# ── the research's forms ───────────────────────────────────────────────────────────────────────


def test_a_single_base_and_issues_as_session_ids() -> None:
    index = {"base": "ses_base", "issues": {REF: "ses_old", "shoko/other#3": "ses_3"}}
    other = SessionKey(IssueRef(replace(PROJECT, repo="other"), 3))
    assert found({INDEX: index}) == [
        FoundBase(INDEX, None, SessionId("ses_base")),
        the_session(),
        FoundSession(INDEX, other, SessionId("ses_3")),
    ]


@pytest.mark.parametrize(
    "about",
    [
        {"session": "ses_old"},
        {"session_id": "ses_old"},
        {"opencode_session_id": "ses_old"},
        {"id": "ses_old"},
        {"id": 14, "session": {"nested": 1}, "session_id": "ses_old", "directory": 3, "worktree": None},
    ],
)
@pytest.mark.parametrize("prefix", ["", "sessions/"])
def test_issues_as_files_of_unknown_shape(about: dict[str, Any], prefix: str) -> None:
    assert found({INDEX: {"issues": {REF: f"{prefix}x.json"}}, "sessions/x.json": about}) == [the_session()]


def test_an_object_instead_of_a_file() -> None:
    about = {"session": "ses_old", "title": "Login", "parent": "ses_base"}
    assert found({INDEX: {"issues": {REF: about}}}) == [the_session(title="Login", parent=SessionId("ses_base"))]


@pytest.mark.parametrize(
    "ref", ["https://github.com/shoko/kugetsu/issues/14", "GitHub.com/Shoko/Kugetsu#14", "shoko/kugetsu#14"]
)
def test_refs_in_any_form(ref: str) -> None:
    (edit,) = found({INDEX: {"issues": {ref: "ses_old"}}})
    assert isinstance(edit, FoundSession)
    assert edit.key.key == KEY.key


@pytest.mark.parametrize(
    "value",
    [
        "../x.json",
        "/etc/passwd.json",
        "sessions/../x.json",
        "..json/x.json",
        "a\\x.json",
        ".x.json",
        "x\0.json",
        "x",
        "",
        "ses_",
        "ses_../x",
        "ses_x y",
        f"{'x' * 300}.json",
        "\ud800.json",
        None,
        7,
        [],
        {},
        {"session": "no"},
    ],
)
def test_what_names_no_session_is_said(value: object) -> None:
    (edit,) = found({INDEX: {"issues": {REF: value}}})
    assert isinstance(edit, Untaken)
    assert REF in edit.why


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ([], "no JSON object"),
        (Unreadable("it is a symbolic link"), "symbolic link"),
        ({"issues": []}, "issues"),
        ({"issues": {"nonsense": "ses_1"}}, "nonsense"),
        ({"issues": {REF: "gone.json"}}, "gone.json, which is not there"),
        ({"issues": {REF: "broken.json"}}, "broken.json: it is not valid JSON"),
        ({"base": 7}, "base"),
        ({"base": "none"}, "base"),
        ({"base": {"github.com/shoko/kugetsu": None}}, "base session of github.com/shoko/kugetsu"),
        ({"base": {"../..": "ses_1"}}, "../.."),
    ],
)
def test_nonsense_is_said(index: object, said: str) -> None:
    (edit,) = found({INDEX: index, "sessions/broken.json": b"{"})[:1]
    assert isinstance(edit, Untaken)
    assert said in edit.why


def test_a_ref_in_two_spellings_counts_once() -> None:
    first, second = found({INDEX: {"issues": {REF: "ses_old", REF.upper(): "ses_2"}}})
    assert first == the_session()
    assert isinstance(second, Untaken)


def test_without_an_index_the_files_tell_for_themselves() -> None:
    files = {
        INDEX: b"{",
        BASES: {"github.com/shoko/kugetsu": {"session": "ses_base", "ready": False}},
        FILE: {"ref": REF, "name": "", "session": "ses_old"},
        "sessions/fork.json": {"ref": REF, "name": "x", "session": "ses_x"},
        "sessions/notes.json": {"text": "mine"},
    }
    said, *rest = found(files)
    assert isinstance(said, Untaken)
    assert rest == [
        FoundSession(FILE, KEY, SessionId("ses_old")),
        FoundSession("sessions/fork.json", SessionKey(KEY.ref, "x"), SessionId("ses_x")),
        FoundBase(BASES, PROJECT, SessionId("ses_base"), ready=False),
    ]


def test_nothing_there_is_nothing_found() -> None:
    assert found({}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["ses_1", REF, "a.json"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just(REF), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.dictionaries(st.sampled_from([REF, "a/b#1", "x", str(PROJECT)]) | st.text(), JSON, max_size=3)
        for name in ("base", "issues", "session", "ref", "name", "title", "ready", str(PROJECT))
    },
)
ANYTHING = st.binary(max_size=20) | (OBJECTS | JSON).map(lambda value: json.dumps(value).encode())


@settings(max_examples=60)
@given(index=ANYTHING, before=OBJECTS, other=ANYTHING, known=st.booleans())
def test_nothing_raises_and_nothing_outside_is_read(index: bytes, before: Any, other: bytes, *, known: bool) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes | None:
        asked.append(name)
        return index if name == INDEX else other

    content = json.dumps(before).encode()
    written = {name: Written(content) for name in (INDEX, BASES, FILE)} if known else {}
    for edit in find_edits(read, lambda: [FILE, "sessions/a.json"], written, "github.com"):
        edit_text = repr(edit)
        assert edit_text
        if isinstance(edit, FoundSession | FoundBase):
            assert re.fullmatch(r"ses_\w+", edit.agent_id)
    for name in asked:
        assert name == INDEX or re.fullmatch(r"sessions/[^/\\\0.][^/\\\0]*\.json", name)


# ── on disk, against what the mirror wrote ─────────────────────────────────────────────────────


class Desk:
    """A state folder with a session in it, its mirror, and somebody who edits."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.store = SqlStore(root, ManualClock())
        self.mirror = Mirror(root, self.store, ManualClock(), self.said.append)
        self.edits = MirrorEdits(root, self.store, self.mirror, "github.com")

    async def open(self) -> Desk:
        await self.store.open()
        return self

    async def restart(self) -> Desk:
        await self.store.close()
        return await Desk(self.root).open()

    def read(self, name: str) -> Any:
        return json.loads((self.root / name).read_bytes())

    def edit(self, name: str, **changes: Any) -> None:
        (self.root / name).write_text(json.dumps(self.read(name) | changes))

    def copies(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*.json.*"))


@pytest.fixture
async def desk(tmp_path: Path) -> Any:
    desk = await Desk(tmp_path / "state").open()
    await desk.store.save_base(BASE)
    await desk.store.add_session(session())
    await desk.mirror.flush()
    yield desk
    await desk.store.close()


async def test_what_the_mirror_wrote_is_no_edit(desk: Desk) -> None:
    assert await desk.edits.look() == []
    again = await desk.restart()
    assert await again.edits.look() == []
    await again.store.close()


@pytest.mark.parametrize("written", [True, False])
async def test_a_process_that_died_while_writing_leaves_no_edit(desk: Desk, *, written: bool) -> None:
    """What it was going to write is noted; the file has the one or the other."""
    before = (desk.root / FILE).read_bytes()
    await desk.store.save_session(replace(session(), title="Newer"))
    await desk.mirror.flush()
    if not written:
        (desk.root / FILE).write_bytes(before)
    again = await desk.restart()
    assert await again.edits.look() == []
    await again.store.save_session(replace(session(), title="Newest"))
    await again.mirror.flush()
    assert again.read(FILE)["title"] == "Newest"
    assert again.copies() == []
    await again.store.close()


async def test_a_title_and_other_changes(desk: Desk) -> None:
    desk.edit(FILE, title="Mine", branch="other", directory="/etc", note="!")
    title, rest = await desk.edits.look()
    assert title == Retitled(FILE, KEY, "Mine")
    assert rest == Untaken(FILE, "changes of `directory`, `branch`, `note` are not taken.")
    await desk.edits.settle({FILE}, ())
    await desk.mirror.flush()
    assert desk.read(FILE)["title"] == "Login form – ü"
    assert len(desk.copies()) == 1
    assert "changed by hand" in desk.said[0]


async def test_what_was_taken_is_written_over(desk: Desk) -> None:
    desk.edit(FILE, title="Mine")
    await desk.edits.look()
    await desk.store.save_session(replace(session(), title="Mine"))
    await desk.edits.settle((), ())
    await desk.mirror.flush()
    assert desk.copies() == []
    assert (desk.root / FILE).read_text().startswith('{\n  "ref"')
    assert await desk.edits.look() == []


async def test_another_session_id(desk: Desk) -> None:
    desk.edit(FILE, session="ses_new")
    assert await desk.edits.look() == [FoundSession(FILE, KEY, SessionId("ses_new"), edited=True)]
    desk.edit(FILE, session=None)
    (edit,) = await desk.edits.look()
    assert isinstance(edit, Untaken)


async def test_files_and_entries_that_are_missing(desk: Desk) -> None:
    (desk.root / FILE).unlink()
    assert await desk.edits.look() == [Missing(FILE, KEY)]
    desk.edit(INDEX, base={}, issues={})
    assert set(await desk.edits.look()) == {
        Missing(INDEX, PROJECT, entry=True),
        Missing(INDEX, KEY, entry=True),
        Missing(FILE, KEY),
    }
    (desk.root / INDEX).unlink()
    (desk.root / BASES).unlink()
    assert {edit.file for edit in await desk.edits.look()} == {INDEX, BASES, FILE}
    await desk.edits.settle((), ())
    await desk.mirror.flush()
    assert desk.read(INDEX)["issues"] == {REF: Path(FILE).name}
    assert desk.read(FILE)["session"] == "ses_14"
    assert desk.copies() == []


async def test_entries_added_and_changed_in_the_index(desk: Desk) -> None:
    desk.edit(
        INDEX,
        base={str(PROJECT): "ses_base2", "a/b": "ses_b"},
        issues={REF: "ses_new", "a/b#1": "ses_1"},
        extra=1,
    )
    ab = replace(PROJECT, owner="a", repo="b")
    assert await desk.edits.look() == [
        FoundBase(INDEX, PROJECT, SessionId("ses_base2"), edited=True),
        FoundBase(INDEX, ab, SessionId("ses_b")),
        the_session("ses_new", edited=True),
        FoundSession(INDEX, SessionKey(IssueRef(ab, 1)), SessionId("ses_1")),
        Untaken(INDEX, "changes of `extra` are not taken."),
    ]


async def test_bases_edited_in_their_own_file(desk: Desk) -> None:
    base = desk.read(BASES)[str(PROJECT)]
    (desk.root / BASES).write_text(json.dumps({str(PROJECT): base | {"session": "ses_2", "title": "x"}, "a/b": 7}))
    assert await desk.edits.look() == [
        FoundBase(BASES, PROJECT, SessionId("ses_2"), edited=True),
        Untaken(BASES, "changes of `title` are not taken."),
        Untaken(BASES, "a/b is no object."),
    ]


async def test_held_files_stay_until_they_are_let_go(desk: Desk) -> None:
    desk.edit(INDEX, issues={})
    edited = desk.read(INDEX)
    await desk.edits.look()
    await desk.edits.settle((), {INDEX})
    await desk.store.save_session(replace(session(), title="Newer"))
    await desk.mirror.flush()
    assert desk.read(INDEX) == edited
    assert desk.read(FILE)["title"] == "Newer"
    assert await desk.edits.look() == [Missing(INDEX, KEY, entry=True)]
    await desk.edits.settle((), ())
    await desk.mirror.flush()
    assert desk.read(INDEX)["issues"]
    assert desk.copies() == []


async def test_an_edit_while_kugetsu_runs_is_never_written_over(desk: Desk) -> None:
    desk.edit(FILE, title="Mine")
    await desk.store.save_session(replace(session(), title="Newer"))
    desk.mirror.changed()
    await desk.mirror.flush()
    assert desk.read(FILE)["title"] == "Newer"
    (copy,) = desk.copies()
    assert desk.read(f"sessions/{copy}")["title"] == "Mine"
    assert "changed by hand" in desk.said[0]


async def test_links_pipes_and_huge_files_are_not_read(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"session": "ses_secret"}))
    (desk.root / "sessions/link.json").symlink_to(secret)
    (desk.root / "sessions/huge.json").write_bytes(b" " * (1024 * 1024 + 1))
    (desk.root / "sessions/folder.json").mkdir()
    os.mkfifo(desk.root / "sessions/pipe.json")
    names = ("link", "huge", "folder", "pipe")
    desk.edit(INDEX, issues={REF: Path(FILE).name} | {f"a/b#{n}": f"{name}.json" for n, name in enumerate(names, 1)})
    edits = await desk.edits.look()
    assert len(edits) == len(names)
    assert all(isinstance(edit, Untaken) for edit in edits)
    whys = " ".join(edit.why for edit in edits if isinstance(edit, Untaken))
    assert all(words in whys for words in ("symbolic link", "larger than 1 MB", "is no file"))


async def test_a_linked_index_is_replaced_and_its_target_is_not_touched(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    (desk.root / INDEX).rename(target)
    before = target.read_bytes()
    (desk.root / INDEX).symlink_to(target)
    assert [edit.file for edit in await desk.edits.look()] == [INDEX]
    await desk.edits.settle({INDEX}, ())
    await desk.mirror.flush()
    assert not (desk.root / INDEX).is_symlink()
    assert target.read_bytes() == before
