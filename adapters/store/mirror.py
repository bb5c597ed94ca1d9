"""`index.json` and `sessions/*.json`: the sessions for people and scripts, behind the work and never in its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.store.files import MAX_FOREIGN_BYTES, Unreadable, read_file, replace_file, sync_folder
from adapters.store.mirrored import Mirrored, Shown, Written
from adapters.store.translate import translate
from core.errors import StoreError
from core.model import Place, Session
from core.ports import Clock

INDEX = "index.json"
FOLDER = "sessions"
BASES = f"{FOLDER}/base.json"
GATHER_SECONDS = 0.2  # a run changes its session a few times in a row: one pass for all of them


class Mirror:
    """Keeps the files in step with the database.

    `changed` is what the store calls; `run` is the background task; `flush` is for shutdown. What goes wrong is told to
    `problem` once, tried again at the next change, and never raised. What somebody else wrote into a file is not lost:
    before ours takes its name it is kept beside, as `<name>.corrupt-<time>` or `<name>.kept-<time>`.
    """

    def __init__(self, state_dir: Path, store: Mirrored, clock: Clock, problem: Callable[[str], None]) -> None:
        self._root = state_dir.expanduser().absolute()
        self._store = store
        self._clock = clock
        self._problem = problem
        self._behind = True  # at first: of what happened while no mirror ran
        self._wake = asyncio.Event()
        self._wake.set()
        self._turn = asyncio.Lock()
        self._written: dict[str, Written] | None = None  # as the database has it; None: to be read, the folder checked
        self._known: dict[str, bytes] = {}  # what is on disk, by name below state_dir
        self._held: frozenset[str] = frozenset()
        self._told = ""

    def changed(self) -> None:
        """Something the files show is different now. Cheap; to be called on the event loop."""
        self._behind = True
        self._wake.set()

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """No file is written inside."""
        async with self._turn:
            yield

    def look_again(self, held: Collection[str] = ()) -> None:
        """Believe nothing about the disk any more; leave the files in `held` alone until the next call.

        To be called inside `still`.
        """
        self._written = None
        self._known.clear()
        self._held = frozenset(held)
        self.changed()

    async def run(self) -> None:
        """Write whenever something changed, until cancelled. The first pass is made at once."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            await self._clock.sleep(GATHER_SECONDS)

    async def flush(self) -> None:
        """Return when the files are in step with the database, or when it was told why they are not."""
        async with self._turn:
            if not self._behind:
                return
            work = asyncio.create_task(self._pass())
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                # A thread cannot be cancelled: left behind, it would write old contents under the next pass.
                await asyncio.wait({work})
                raise

    async def _pass(self) -> None:
        self._behind = False
        try:
            if self._written is None:
                written = await self._store.written()
                for told in await asyncio.to_thread(self._keep_corrupt):
                    self._problem(told)
                self._written = written
            shown = await self._store.shown()
            contents = {name: content for name, content in _contents(shown) if name not in self._held}
            for told in await asyncio.to_thread(self._make_room, contents, self._written):
                self._problem(told)
            # Noted first: a file is never ours without the database knowing it.
            notes = {
                name: Written(content, self._known.get(name))
                for name, content in contents.items()
                if not (self._known.get(name) == content == _content(self._written.get(name)))
            }
            await self._store.own_files(notes)
            self._written |= notes
            stale = self._written.keys() - contents.keys() - self._held
            await asyncio.to_thread(self._write, contents, stale)
            await self._store.disown_files(stale)
            for name in stale:
                del self._written[name]
        except StoreError as error:
            self._behind = True
            told = f"{error}. {error.hint}"
            if told != self._told:
                self._problem(told)
            self._told = told
        else:
            self._told = ""

    def _keep_corrupt(self) -> list[str]:
        """Put what is not even JSON aside; what people are to be told about it."""
        told = []
        with translate(self._root / INDEX):
            (self._root / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
            names = (INDEX, *sorted(f"{FOLDER}/{path.name}" for path in (self._root / FOLDER).glob("*.json")))
            for name in names:
                content = None if name in self._held else self._read(name)
                if isinstance(content, bytes) and not _is_json(content):
                    kept = self._set_aside(self._root / name, "corrupt")
                    told.append(f"{self._root / name} is not valid JSON: it is kept as {kept.name} and written anew")
        return told

    def _make_room(self, contents: dict[str, bytes], written: dict[str, Written]) -> list[str]:
        """Put what is not ours to overwrite aside; what people are to be told about it."""
        told = []
        with translate(self._root / INDEX):
            for name, content in contents.items():
                if self._known.get(name) == content:
                    continue
                ours = written.get(name)
                found = self._read(name, len(content), len(_content(ours) or b""))
                known = self._known.pop(name, None)
                if found is None:
                    continue
                if isinstance(found, bytes) and (found in {content, known} or (ours and ours.is_ours(found))):
                    self._known[name] = found
                    continue
                kept = self._set_aside(self._root / name, "kept")
                whose = "was changed by hand" if ours else "is not from this database"
                told.append(f"{self._root / name} {whose}: it is kept as {kept.name} and written anew")
        return told

    def _read(self, name: str, *sizes: int) -> bytes | Unreadable | None:
        try:
            return read_file(self._root / name, max((MAX_FOREIGN_BYTES, *sizes)))
        except Unreadable as problem:
            return problem

    def _set_aside(self, path: Path, why: str) -> Path:
        name = f"{path.name}.{why}-{self._clock.now():%Y%m%dT%H%M%SZ}"
        kept = path.with_name(name)
        count = 1
        while kept.exists():
            count += 1
            kept = path.with_name(f"{name}-{count}")
        path.rename(kept)
        sync_folder(path.parent)
        return kept

    def _write(self, contents: dict[str, bytes], stale: Collection[str]) -> None:
        for name, content in contents.items():
            if self._known.get(name) != content:
                with translate(self._root / name):
                    replace_file(self._root / name, content)
                self._known[name] = content
        for name in stale:
            with translate(self._root / name):
                (self._root / name).unlink(missing_ok=True)
                sync_folder((self._root / name).parent)
            self._known.pop(name, None)


def _content(written: Written | None) -> bytes | None:
    return None if written is None else written.content


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _contents(shown: Shown) -> Iterator[tuple[str, bytes]]:
    """Every file by its name below state_dir, in the order of writing: the index names only files that are there."""
    for session, places in shown.sessions:
        yield f"{FOLDER}/{session.slug}.json", _json(_session_object(session, places))
    yield (
        BASES,
        _json(
            {
                str(base.project): {
                    "session": base.agent_id,
                    "directory": str(base.directory),
                    "title": base.title,
                    "created": base.created.isoformat(),
                    "ready": base.ready,
                }
                for base in shown.bases
            }
        ),
    )
    yield (
        INDEX,
        _json(
            {
                "base": {str(base.project): base.agent_id for base in shown.bases},
                "issues": {str(session.key): f"{session.slug}.json" for session, _ in shown.sessions},
            }
        ),
    )


def _session_object(session: Session, places: tuple[Place, ...]) -> dict[str, object]:
    return {
        "ref": str(session.key.ref),
        "name": session.key.name,
        "session": session.agent_id,
        "parent": session.parent_id,
        "directory": str(session.directory),
        "branch": session.branch,
        "title": session.title,
        "state": session.state.value,
        "created": session.created.isoformat(),
        "updated": session.updated.isoformat(),
        "places": [str(place) for place in places],
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
