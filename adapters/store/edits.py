"""What people wrote into index.json and sessions/*.json, told from what the mirror wrote there.

Reads the mirror's own form and both of the research's: `{"base": "ses_…", "issues": {ref: "ses_…" | "file.json"}}`, and
files of which nothing is known but that an opencode session's id is in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from adapters.store.files import MAX_FOREIGN_BYTES, Unreadable, read_file
from adapters.store.foreign import (
    Json,
    differ,
    file_name,
    is_session_id,
    json_object,
    object_in,
    own_key,
    parsed,
    session_id,
    shown,
    text_of,
)
from adapters.store.mirror import BASES, FOLDER, INDEX, Mirror
from adapters.store.mirrored import Mirrored, Written
from core import refs
from core.edits import Edit, FoundBase, FoundSession, Missing, Retitled, Untaken
from core.errors import RefError
from core.model import ProjectRef, SessionId, SessionKey
from core.refs import RefContext

Read = Callable[[str], bytes | None]  # a file below state_dir; None when there is none. Raises Unreadable


class MirrorEdits:
    """`core.edits.EditedFiles` on the folder of a mirror."""

    def __init__(self, state_dir: Path, store: Mirrored, mirror: Mirror, default_instance: str) -> None:
        self._root = state_dir.expanduser().absolute()
        self._store = store
        self._mirror = mirror
        self._default_instance = default_instance
        self._seen: dict[str, bytes] = {}

    async def look(self) -> list[Edit]:
        """See core.edits.EditedFiles."""
        async with self._mirror.still():
            written = await self._store.written()
            return await asyncio.to_thread(self._look, written)

    async def settle(self, untaken: Collection[str], held: Collection[str]) -> None:
        """See core.edits.EditedFiles."""
        async with self._mirror.still():
            written = await self._store.written()
            taken = {name: Written(seen) for name, seen in self._seen.items() if name in written}
            await self._store.own_files({name: taken[name] for name in taken.keys() - {*untaken, *held}})
            self._mirror.look_again(held)

    def _look(self, written: Mapping[str, Written]) -> list[Edit]:
        self._seen = {}

        def read(name: str) -> bytes | None:
            ours = written.get(name)
            content = read_file(self._root / name, max(MAX_FOREIGN_BYTES, len((ours and ours.content) or b"")))
            if content is not None and ours and not ours.is_ours(content):
                self._seen[name] = content
            return content

        def names() -> Iterable[str]:
            return sorted(f"{FOLDER}/{path.name}" for path in (self._root / FOLDER).glob("*.json"))

        return find_edits(read, names, written, self._default_instance)


def find_edits(
    read: Read, names: Callable[[], Iterable[str]], written: Mapping[str, Written], default_instance: str
) -> list[Edit]:
    """Everything that `read` gives and the mirror did not write. `names` lists the files there are in sessions/."""
    return _Look(read, names, written, RefContext(default_instance)).all()


class _Look:
    """One look at all files. What goes wrong becomes part of what is found."""

    def __init__(
        self, read: Read, names: Callable[[], Iterable[str]], written: Mapping[str, Written], context: RefContext
    ) -> None:
        self._read = read
        self._names = names
        self._written = written
        self._context = context
        self._found: list[Edit] = []

    def all(self) -> list[Edit]:
        """In the order in which they are to be taken up: bases, then what the index says, then the sessions' files."""
        self._bases()
        try:
            index = self._changed(INDEX)
        except Unreadable as problem:
            self._untaken(INDEX, str(problem))
            index = None
        if index is not None:
            self._index(index, parsed(self._before(INDEX)))
        elif not self._written:  # a new database, and no index that tells where to look
            self._unlisted()
        for name in self._written:
            if name not in {INDEX, BASES}:
                self._session_file(name)
        return self._found

    # ── index.json ─────────────────────────────────────────────────────────────────────────────

    def _index(self, index: Json, before: Json) -> None:
        self._index_bases(index.get("base"), object_in(before, "base"))
        issues = index.get("issues", {})
        if isinstance(issues, dict):
            self._issues(issues, object_in(before, "issues"))
        else:
            self._untaken(INDEX, "`issues` is no object of refs and sessions")
        self._other_changes(INDEX, index, before, {"base", "issues"})

    def _index_bases(self, base: object, known: Json) -> None:
        if isinstance(base, str):
            self._base(INDEX, None, base, edited=bool(known))
        elif isinstance(base, dict):
            ready = {name: about.get("ready") is not False for name, about in self._described_bases().items()}
            for name, value in base.items():
                if differ(base, known, name):
                    self._base(INDEX, name, value, edited=name in known, ready=ready.get(name, True))
            self._missing_projects(INDEX, known, base)
        elif base is not None or known:
            self._untaken(INDEX, "`base` is neither a session nor an object of projects and sessions")

    def _issues(self, issues: Json, before: Json) -> None:
        known = {key.key: (key, before[text]) for text in before if (key := self._key(text))}
        seen: set[str] = set()
        for text, value in issues.items():
            key = self._key(text, complain_of=INDEX)
            if key is None:
                continue
            if key.key in seen:
                self._untaken(INDEX, f"{key} is there twice; the first one counts")
                continue
            seen.add(key.key)
            if key.key not in known or known[key.key][1] != value:
                self._entry(key, value, edited=key.key in known)
        for folded, (key, _) in known.items():
            if folded not in seen:
                self._found.append(Missing(INDEX, key, entry=True))

    def _entry(self, key: SessionKey, value: object, *, edited: bool) -> None:
        about: Json = {}
        if isinstance(value, dict):
            about = value
        elif isinstance(value, str) and is_session_id(value):
            about = {"session": value}
        elif isinstance(value, str) and (name := file_name(value)):
            try:
                content = self._read(name)
                about = json_object(content) if content is not None else {}
            except Unreadable as problem:
                self._untaken(INDEX, f"{key} points to {name}: {problem}")
                return
            if content is None:
                self._untaken(INDEX, f"{key} points to {name}, which is not there")
                return
        else:
            self._untaken(INDEX, f"{key} is neither a session's id nor the name of a file in {FOLDER}/")
            return
        self._session(INDEX, key, about, edited=edited)

    def _session(self, file: str, key: SessionKey, about: Json, *, edited: bool = False) -> None:
        agent_id = session_id(about)
        if agent_id is None:
            self._untaken(file, f"{key} names no opencode session")
            return
        parent = SessionId(text_of(about, "parent")) or None
        self._found.append(FoundSession(file, key, agent_id, text_of(about, "title"), parent, edited))

    def _unlisted(self) -> None:
        """Sessions' files that say themselves which issue they are of."""
        for name in filter(file_name, self._names()):
            try:
                about = json_object(self._read(name) or b"")
            except Unreadable as problem:
                self._untaken(name, str(problem))
                continue
            if name != BASES and (key := own_key(about, self._key)):
                self._session(name, key, about)
        for project, base in self._described_bases().items():
            self._base(BASES, project, base.get("session"), ready=base.get("ready") is not False)

    # ── sessions/*.json ────────────────────────────────────────────────────────────────────────

    def _session_file(self, name: str) -> None:
        before = parsed(self._before(name))
        key = own_key(before, self._key)
        try:
            now = self._changed(name)
        except Unreadable as problem:
            self._untaken(name, str(problem))
            return
        if now is None or key is None:
            return
        if differ(now, before, "title"):
            title = text_of(now, "title")
            self._found.append(Retitled(name, key, title) if title.strip() else Untaken(name, "`title` is no text."))
        if differ(now, before, "session"):
            self._session(name, key, {"session": now.get("session")}, edited=True)
        self._other_changes(name, now, before, {"title", "session"})

    # ── sessions/base.json ─────────────────────────────────────────────────────────────────────

    def _bases(self) -> None:
        if BASES not in self._written:
            return
        try:
            now = self._changed(BASES)
        except Unreadable as problem:
            self._untaken(BASES, str(problem))
            return
        if now is None:
            return
        known = parsed(self._before(BASES))
        for name, about in now.items():
            before = known.get(name)
            if not isinstance(about, dict):
                self._untaken(BASES, f"{shown(name)} is no object")
            elif not isinstance(before, dict):
                self._base(BASES, name, about.get("session"))
            else:
                if differ(about, before, "session"):
                    self._base(BASES, name, about.get("session"), edited=True)
                self._other_changes(BASES, about, before, {"session"})
        self._missing_projects(BASES, known, now)

    def _described_bases(self) -> dict[str, Json]:
        try:
            described = json_object(self._read(BASES) or b"{}")
        except Unreadable:  # it is said elsewhere, and this is only about details
            return {}
        return {name: about for name, about in described.items() if isinstance(about, dict)}

    def _base(self, file: str, name: str | None, value: object, *, edited: bool = False, ready: bool = True) -> None:
        project = None if name is None else self._project(name, complain_of=file)
        if name is not None and project is None:
            return
        if isinstance(value, str) and is_session_id(value):
            self._found.append(FoundBase(file, project, SessionId(value), ready, edited))
        else:
            self._untaken(file, f"the base session {f'of {project} ' if project else ''}is no opencode session's id")

    def _missing_projects(self, file: str, known: Json, now: Json) -> None:
        for name in known:
            if name not in now and (project := self._project(name)):
                self._found.append(Missing(file, project, entry=True))

    # ── all of them ────────────────────────────────────────────────────────────────────────────

    def _changed(self, name: str) -> Json | None:
        """The file as somebody else wrote it; None when nobody did. Raises Unreadable."""
        content = self._read(name)
        ours = self._written.get(name)
        if content is None:
            if ours:
                subject = own_key(parsed(self._before(name)), self._key)
                self._found.append(Missing(name, subject))
            return None
        return None if ours and ours.is_ours(content) else json_object(content)

    def _before(self, name: str) -> bytes | None:
        ours = self._written.get(name)
        return ours.content if ours else None

    def _other_changes(self, file: str, now: Json, before: Json, apart: set[str]) -> None:
        if file not in self._written:
            return
        names = [name for name in {**before, **now} if name not in apart and differ(now, before, name)]
        if names:
            self._untaken(file, f"changes of {', '.join(f'`{shown(name)}`' for name in names)} are not taken")

    def _key(self, text: str, complain_of: str = "") -> SessionKey | None:
        try:
            return refs.parse_session(text, self._context)
        except RefError as error:
            if complain_of:
                self._untaken(complain_of, str(error))
            return None

    def _project(self, text: str, complain_of: str = "") -> ProjectRef | None:
        try:
            return refs.parse_project(text, self._context.default_instance)
        except RefError as error:
            if complain_of:
                self._untaken(complain_of, str(error))
            return None

    def _untaken(self, file: str, why: str) -> None:
        self._found.append(Untaken(file, why if why.endswith(".") else f"{why}."))
