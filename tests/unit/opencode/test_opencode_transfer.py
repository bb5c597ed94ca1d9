"""Exports read and written, opencode as a command, and what stays after a failed import."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.opencode.exported import Transcript, pack, unpack
from adapters.opencode.processes import processes
from adapters.opencode.program import Program, environment
from adapters.opencode.transfer import import_session, put_by_command
from core.errors import AgentError, AgentUnavailable, WrongDirectory
from core.model import SessionId
from core.ports import AgentSession

HERE = Path("/here")


def session(number: int, parent: int | None = None, **info: Any) -> dict[str, Any]:
    name, message = f"ses_{number}", f"msg_{number}"
    if parent is not None:
        info["parentID"] = f"ses_{parent}"
    return {
        "info": {"id": name, "title": "T", "directory": "/there", "time": {"created": 1}, **info},
        "messages": [
            {
                "info": {"id": message, "sessionID": name, "role": "user"},
                "parts": [{"id": f"prt_{number}", "sessionID": name, "messageID": message, "type": "text"}],
            }
        ],
    }


def opened(export: Any) -> list[Transcript]:
    return unpack(json.dumps(export).encode(), HERE)


def refused(export: Any) -> str:
    with pytest.raises(AgentError) as error:
        opened(export)
    assert error.value.hint
    return str(error.value)


def test_what_is_packed_is_unpacked_for_its_new_place():
    family = [session(1, share={"url": "x"}), session(2, 1), session(3, 2)]
    packed = pack([(each["info"], msgspec.Raw(json.dumps(each["messages"]).encode())) for each in family])
    assert b"share" not in packed
    assert set(json.loads(packed)) == {"info", "messages", "children"}
    back = unpack(packed, HERE)
    assert [(each.id, each.parent) for each in back] == [("ses_1", None), ("ses_2", "ses_1"), ("ses_3", "ses_2")]
    assert {each.info["directory"] for each in back} == {"/here"}
    assert [json.loads(each.encoded())["messages"] for each in back] == [each["messages"] for each in family]
    assert back[1].contents == {"msg_2", "prt_2"}


@given(st.binary())
def test_any_bytes_are_refused_as_no_export(content):
    with pytest.raises(AgentError, match="no export"):
        unpack(content, HERE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "info", "parts", "time", "x"]), inner),
)


@given(info=JSON, messages=JSON, children=JSON)
def test_any_json_is_taken_or_refused(info, messages, children):
    try:
        opened({"info": info, "messages": messages, "children": children})
    except AgentError as error:
        assert "no export" in str(error)  # noqa: PT017  being taken is fine, too


@pytest.mark.parametrize("name", ["../x", "-x", "ses_../x", "ses_1\n", "ses_", "ses-1", "", 1, None])
def test_ids_that_are_not_opencodes(name):
    export = session(1)
    export["info"]["id"] = export["messages"][0]["info"]["sessionID"] = name
    export["messages"][0]["parts"][0]["sessionID"] = name
    refused(export)


@pytest.mark.parametrize(("of", "key"), [("info", "sessionID"), ("part", "sessionID"), ("part", "messageID")])
def test_nothing_is_put_into_another_session(of, key):
    export = session(1)
    message = export["messages"][0]
    (message["info"] if of == "info" else message["parts"][0])[key] = "msg_9"
    assert "msg_1" in refused(export)


def test_sub_agents_belong_to_the_session():
    assert "another session" in refused({**session(1), "children": [session(2)]})
    assert "another session" in refused({**session(1), "children": [session(2, 9)]})
    assert "another session" in refused({**session(1), "children": [session(3, 2), session(2, 1)]})
    assert "twice" in refused({**session(1), "children": [session(1, 1)]})


def test_what_is_of_the_other_machine_stays_there():
    rules = [{"permission": "bash", "pattern": "*", "action": action} for action in ("allow", "ask", "deny")]
    more = {"share": {"url": "x"}, "workspaceID": "wrk_1", "projectID": "p", "path": "p", "permission": rules}
    (transcript,) = opened(session(1, 7, **more, slug="kept"))
    assert transcript.info == {
        "id": "ses_1",
        "title": "T",
        "slug": "kept",
        "time": {"created": 1},
        "directory": "/here",
        "permission": rules[1:],
    }


# ── opencode as a command ──────────────────────────────────────────────────────────────────────


def program(folder: Path, script: str) -> Program:
    path = folder / "opencode"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Program(path, {**os.environ, "PWD": "/stale"})


def test_the_environment_hides_and_adds(monkeypatch):
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.setenv("A_SETTING", "kept")
    env = environment({"HOME": "/other"}, {"A_SECRET"})
    assert "A_SECRET" not in env
    assert (env["A_SETTING"], env["HOME"], env["OPENCODE_DISABLE_AUTOUPDATE"]) == ("kept", "/other", "1")


async def test_a_command_stands_in_its_directory_and_is_asked_nothing(tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    script = r"""cat; env | grep ^PWD= ; printf '\033[91mred\033[0m' >&2; exit 3"""
    code, said = await program(tmp_path, script).run(there, "x", within=10)
    assert (code, said) == (3, f"PWD={there}\nred")


async def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path):
    hanging = program(tmp_path, "sleep 600 & echo $! > started; wait")
    with pytest.raises(AgentUnavailable, match="within"):
        await hanging.run(tmp_path, "import", within=0.3)
    assert int((tmp_path / "started").read_text()) not in {process.pid for process in processes()}


async def test_a_command_that_is_not_there(tmp_path):
    with pytest.raises(AgentUnavailable) as error:
        await Program(tmp_path / "nothing", {}).run(tmp_path, "import", within=1)
    assert error.value.hint


async def test_the_file_of_an_import_is_private_and_goes_away(tmp_path):
    script = 'ls -l "$2" > seen; echo "$2" > name; cp "$2" copy; echo "No room"; exit 1'
    (transcript,) = opened(session(1))
    with pytest.raises(AgentError, match="No room"):
        await put_by_command(program(tmp_path, script), transcript, tmp_path)
    assert (tmp_path / "seen").read_text().startswith("-rw------- ")
    assert (tmp_path / "copy").read_bytes() == transcript.encoded()
    assert not Path((tmp_path / "name").read_text().strip()).exists()


# ── what stays ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Records:
    """What `import_session` uses of a server's sessions, in memory."""

    here: dict[str, AgentSession] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    dead: bool = False
    astray: bool = False
    lost: bool = False  # what is put is not kept

    @property
    def http(self) -> Records:
        return self

    async def put(self, transcript: Transcript, directory: Path) -> None:
        if not self.lost:
            parent = transcript.parent
            made = AgentSession(transcript.id, "T", directory, datetime.now(UTC), parent)
            self.here[transcript.id] = made

    async def find(self, name: SessionId) -> AgentSession | None:
        return self.here.get(name)

    async def existing(self, name: SessionId) -> AgentSession:
        return self.here[name]

    async def settle(self, name: SessionId, directory: Path) -> None:
        if self.astray:
            raise WrongDirectory(f"{name} is elsewhere")

    async def delete(self, name: SessionId) -> None:
        if self.dead:
            raise AgentUnavailable("it is gone")
        self.deletes.append(name)
        self.here.pop(name, None)

    async def get(self, path: str, answer: Any, *, within: float) -> Any:
        stored = session(int(path.split("/")[2].removeprefix("ses_")))
        return msgspec.convert(stored["messages"], answer)


FAMILY = json.dumps({**session(1), "children": [session(2, 1)]}).encode()


async def test_an_import_returns_the_session(tmp_path):
    records = Records()
    assert (await import_session(records, records.put, FAMILY, tmp_path)).id == "ses_1"
    assert set(records.here) == {"ses_1", "ses_2"}
    assert records.deletes == []


async def test_a_sub_agents_session_that_was_left_behind_is_replaced(tmp_path):
    records = Records()
    await records.put(opened({**session(1), "children": [session(2, 1)]})[1], Path("/old"))
    await import_session(records, records.put, FAMILY, tmp_path)
    assert records.deletes == ["ses_2"]
    assert records.here[SessionId("ses_2")].directory == tmp_path


async def test_a_stranger_with_a_sub_agents_id_is_not_touched(tmp_path):
    records = Records()
    await records.put(opened(session(2))[0], Path("/old"))
    with pytest.raises(AgentError, match="already"):
        await import_session(records, records.put, FAMILY, tmp_path)
    assert (list(records.here), records.deletes) == (["ses_2"], [])


@pytest.mark.parametrize(("trouble", "raised"), [("astray", WrongDirectory), ("lost", AgentError)])
async def test_what_went_wrong_is_taken_back(tmp_path, trouble, raised):
    records = Records(**{trouble: True})
    with pytest.raises(raised):
        await import_session(records, records.put, FAMILY, tmp_path)
    assert records.here == {}
    assert records.deletes == ["ses_2", "ses_1"]


async def test_a_cancelled_import_is_taken_back(tmp_path):
    records = Records()
    second = asyncio.Event()

    async def put(transcript: Transcript, directory: Path) -> None:
        await records.put(transcript, directory)
        if transcript.parent:
            second.set()
            await asyncio.Event().wait()

    importing = asyncio.create_task(import_session(records, put, FAMILY, tmp_path))
    await second.wait()
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert records.here == {}


async def test_what_cannot_be_taken_back_is_told(tmp_path):
    records = Records(astray=True, dead=True)
    with pytest.raises(WrongDirectory) as error:
        await import_session(records, records.put, FAMILY, tmp_path)
    assert any("it is gone" in note for note in error.value.__notes__)
