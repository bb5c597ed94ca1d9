"""The database file: made, checked, migrated, and left alone when it is not sound."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from store_examples import ManualClock, session

from adapters.store import migrations
from adapters.store.schema import prepare
from adapters.store.sql import SqlStore
from adapters.store.tables import SCHEMA, metadata
from adapters.store.translate import translate
from core.errors import StoreError
from core.model import Refusal, Verbosity

ROOT = Path(__file__).parents[3]


def definitions(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {" ".join(sql.split()) for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def run(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement).fetchall()


WHEN = "2026-03-01T12:00:00.000000+00:00"


def fill(path: Path, table: str, **values: object) -> None:
    """A row of `table`; what must have a value and is not given gets an empty one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        columns = db.execute(f"PRAGMA table_info({table})").fetchall()
        needed = {name: "" if kind == "TEXT" else 0 for _, name, kind, full, _, key in columns if full and not key}
        row = needed | values
        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "kugetsu.db"


@pytest.fixture
def made(path: Path) -> Path:
    prepare(path)
    return path


def refused(path: Path) -> StoreError:
    """The error of opening `path`, which is not changed by it."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught, translate(path):
        prepare(path)
    assert path.read_bytes() == before
    assert str(path) in str(caught.value)
    return caught.value


# Of an index on an expression, compare_metadata can tell nothing on SQLite; `definitions` compares those too.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_migrations_end_in_the_tables_the_code_uses(made: Path, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    migrations.upgrade(migrated, None)
    assert definitions(migrated) == definitions(made)
    assert run(migrated, "SELECT version_num FROM alembic_version") == [(SCHEMA,)]
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_new_databases_get() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]


def test_an_older_database_is_migrated_when_opened(made: Path) -> None:
    for (name,) in run(made, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        run(made, f"DELETE FROM {name}" if name == "alembic_version" else f"DROP TABLE {name}")
    prepare(made)
    assert run(made, "SELECT version_num FROM alembic_version") == [(SCHEMA,)]
    assert run(made, "SELECT count(*) FROM sessions") == [(0,)]


def test_a_database_of_schema_0001_keeps_what_is_in_it(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    prepare(new)
    path.parent.mkdir()
    migrations.upgrade(path, None, "0001")
    run(path, "INSERT INTO mirror_files VALUES ('index.json')")
    fill(path, "inbox", platform="console", event_id="e1", text="hello", at=WHEN, received=WHEN)
    fill(path, "runs", id=7, session_key="github.com/o/r#1", session_repo="r", prompt="do", created=WHEN, refused="[]")
    prepare(path)
    assert run(path, "SELECT * FROM mirror_files") == [("index.json", None, None)]
    assert run(path, "SELECT event_id, text, files, outcome FROM inbox") == [("e1", "hello", "[]", None)]
    assert run(path, "SELECT id, prompt, attachments, source FROM runs") == [(7, "do", "[]", None)]
    assert definitions(path) == definitions(new)


async def test_what_runs_of_schema_0002_were_refused_stays_readable(path: Path, tmp_path: Path) -> None:
    key = session().key
    path.parent.mkdir()
    migrations.upgrade(path, None, "0002")
    refused = ["[]", """["bash grüße", "question: why?"]""", "[]"]
    for number, lines in enumerate(refused, start=1):
        values = {"session_key": key.key, "session_repo": "r", "number": number, "created": WHEN, "refused": lines}
        fill(path, "runs", id=number, state="done", **values)
    store = SqlStore(path.parent, ManualClock())
    await store.open()
    kept = (Refusal("bash grüße"), Refusal("question: why?"))
    assert [run.refused for run in await store.runs(key)] == [(), kept, ()]
    await store.close()
    prepare(tmp_path / "new.db")
    assert definitions(path) == definitions(tmp_path / "new.db")


async def test_a_database_of_schema_0005_keeps_what_is_in_it(path: Path, tmp_path: Path) -> None:
    key = session().key
    path.parent.mkdir()
    migrations.upgrade(path, None, "0005")
    names = {"instance": "github.com", "owner": "shoko", "repo": "kugetsu", "number": 14}
    fill(path, "sessions", key=key.key, slug="s", state="idle", created=WHEN, updated=WHEN, rules="[]", **names)
    fill(path, "places", platform="telegram", chat="1", thread="7", session_key=key.key)
    of = {f"session_{name}": value for name, value in names.items()}
    values = {"session_key": key.key, "created": WHEN, "refused": "[]", "attachments": "[]", "state": "done"}
    fill(path, "runs", id=3, cost=0.5, prompt="do", number=1, **values, **of)
    store = SqlStore(path.parent, ManualClock())
    await store.open()
    [kept] = await store.sessions()
    assert (kept.slug, kept.model, kept.agent, kept.variant, kept.budget) == ("s", "", "", "", 0.0)
    [place] = await store.places(kept.key)
    assert (place.chat, await store.verbosity(place)) == ("1", Verbosity.NORMAL)
    [run] = await store.runs(kept.key)
    assert (run.id, run.prompt, run.undone, run.urgent, run.context) == (3, "do", "", False, 0)
    assert await store.spent_in(kept.key) == 0.5
    await store.close()
    prepare(tmp_path / "new.db")
    assert definitions(path) == definitions(tmp_path / "new.db")


def test_a_migration_that_fails_leaves_the_database_as_it_was(made: Path) -> None:
    run(made, "DELETE FROM alembic_version")
    run(made, "DROP TABLE audit")  # made first by the migration; the table after it is there already
    before = definitions(made)
    with pytest.raises(StoreError), translate(made):
        prepare(made)
    assert definitions(made) == before


def test_only_the_owner_can_read_it(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    prepare(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_sqlite_puts_beside_it_is_private_too(path: Path) -> None:
    store = SqlStore(path.parent, ManualClock())
    await store.open()
    await store.add_session(session())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"kugetsu.db": 0o600, "kugetsu.db-wal": 0o600, "kugetsu.db-shm": 0o600}
    assert run(path, "PRAGMA journal_mode") == [("wal",)]
    await store.close()


def test_a_beginning_cut_off_is_begun_again(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("kugetsu.db.new").write_bytes(b"half")
    prepare(path)
    assert [file.name for file in path.parent.iterdir()] == ["kugetsu.db"]


def test_an_up_to_date_database_opens_without_alembic(made: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import adapters.store.sql; from adapters.store.schema import prepare\n"
        "prepare(Path(sys.argv[1])); prepare(Path(sys.argv[1]).with_name('new.db'))\n"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(made)], check=True, timeout=20, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.mark.parametrize("keep", [0, 60, 4096, 20_000], ids="{} bytes left".format)
def test_a_truncated_database_is_damaged(made: Path, keep: int) -> None:
    made.write_bytes(made.read_bytes()[:keep])
    error = refused(made)
    assert "is damaged" in str(error)
    assert "Move kugetsu.db" in error.hint
    assert "sessions/*.json" in error.hint


def test_garbage_is_damage(made: Path) -> None:
    made.write_bytes(os.urandom(9000))
    assert "is damaged" in str(refused(made))


def test_garbage_in_the_middle_is_damage(made: Path) -> None:
    content = bytearray(made.read_bytes())
    content[8192:12288] = bytes([0x5A]) * 4096
    made.write_bytes(content)
    assert "is damaged" in str(refused(made))


async def test_damage_met_later_is_said_the_same_way(made: Path) -> None:
    store = SqlStore(made.parent, ManualClock())
    await store.open()
    size = made.stat().st_size
    with made.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        await store.sessions()
    await store.close()


def test_a_database_of_a_newer_kugetsu_is_left_alone(made: Path) -> None:
    run(made, "UPDATE alembic_version SET version_num = '9999'")
    error = refused(made)
    assert "from a newer kugetsu" in str(error)
    assert "Upgrade" in error.hint


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    run(path, "CREATE TABLE notes (text)")
    assert "not one of kugetsu's" in str(refused(path))


def test_changes_without_their_database_are_not_thrown_away(path: Path) -> None:
    path.parent.mkdir()
    path.with_name("kugetsu.db-wal").write_bytes(b"newest changes")
    with pytest.raises(StoreError, match=r"kugetsu\.db-wal is there"):
        prepare(path)
    assert not path.exists()


def test_a_folder_in_its_place_cannot_be_opened(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be opened"), translate(path):
        prepare(path)


async def test_a_state_dir_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError) as caught:
        await SqlStore(tmp_path / "state", ManualClock()).open()
    assert caught.value.hint


def test_a_large_database_is_not_read_to_the_end(made: Path) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    run(made, f"{rows} INSERT INTO people SELECT i, i, '', '', '', NULL FROM n")
    prepare(made, check_seconds=-1)
