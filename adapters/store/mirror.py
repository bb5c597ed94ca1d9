"""`index.json` and `sessions/*.json`: the sessions for people and scripts, behind the work and never in its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.store.files import replace_file, sync_folder
from adapters.store.mirrored import Mirrored, Shown
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
    `problem` once, tried again at the next change, and never raised. A file that this database's mirror did not write
    is not lost: before ours takes its name it is kept beside, as `<name>.corrupt-<time>` or `<name>.kept-<time>`.
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
        self._checked = False
        self._known: dict[str, bytes] = {}  # what is on disk, by name below state_dir
        self._told = ""

    def changed(self) -> None:
        """Something the files show is different now. Cheap; to be called on the event loop."""
        self._behind = True
        self._wake.set()

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
            shown = await self._store.shown()
            contents = await asyncio.to_thread(lambda: dict(_contents(shown)))
            for told in await asyncio.to_thread(self._make_room, contents, shown.ours):
                self._problem(told)
            # Noted first: a file is never ours without the database knowing it.
            await self._store.own_files(contents.keys() - shown.ours)
            stale = shown.ours - contents.keys()
            await asyncio.to_thread(self._write, contents, stale)
            await self._store.disown_files(stale)
        except StoreError as error:
            self._behind = True
            told = f"{error}. {error.hint}"
            if told != self._told:
                self._problem(told)
            self._told = told
        else:
            self._told = ""

    def _make_room(self, contents: dict[str, bytes], ours: frozenset[str]) -> list[str]:
        """Put what is not ours to overwrite aside; what people are to be told about it."""
        told = []
        with translate(self._root / INDEX):
            (self._root / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._checked:
                for path in (self._root / INDEX, *sorted((self._root / FOLDER).glob("*.json"))):
                    if path.is_file() and not _is_json(path.read_bytes()):
                        kept = self._set_aside(path, "corrupt")
                        told.append(f"{path} is not valid JSON: it is kept as {kept.name} and written anew")
                self._checked = True
            for name, content in contents.items():
                path = self._root / name
                if name not in self._known and path.is_file():
                    self._known[name] = path.read_bytes()
                    if name not in ours and self._known[name] != content:
                        del self._known[name]
                        kept = self._set_aside(path, "kept")
                        told.append(f"{path} is not from this database: it is kept as {kept.name} and written anew")
        return told

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

    def _write(self, contents: dict[str, bytes], stale: frozenset[str]) -> None:
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
