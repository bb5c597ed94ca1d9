"""What gets written, and that no secret is in it."""

import io
import json
import logging
import stat
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.logs import HIDDEN, Redactor, SessionLog, set_up

SECRET = 'tok"en\\with ü/odd&chars'
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in ("core", "adapters", "bot"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def fail_with(text: str) -> None:
    raise RuntimeError(text)


def say_everything() -> None:
    """A secret in every place a log line has."""
    log = structlog.stdlib.get_logger("bot.test")
    log.info(f"event {SECRET}", value=SECRET, nested={SECRET: [SECRET, (SECRET,)]}, object=ValueError(SECRET))
    log.info("positional %s", SECRET)
    library = logging.getLogger("adapters.library")
    library.warning("args %s", SECRET, extra={"more": SECRET})
    try:
        fail_with(f"https://me:{quote(SECRET, safe='')}@host/ {SECRET}")
    except RuntimeError:
        log.exception("ours failed")
        library.exception("theirs failed")
    warnings.warn(SECRET, stacklevel=1)


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_no_secret_in_any_place_of_a_line(stream: io.StringIO) -> None:
    set_up(Redactor([SECRET]), debug=True, stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        say_everything()
    text = stream.getvalue()
    spellings = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], repr(SECRET)[1:-1]]
    assert [spelling for spelling in [*spellings, quote(SECRET, safe=""), quote(SECRET)] if spelling in text] == []
    assert text.count(HIDDEN) >= 12
    assert text.count("RuntimeError") >= 2
    assert "Traceback" in text


def test_a_line_of_json() -> None:
    stream = io.StringIO()
    set_up(Redactor(), debug=False, stream=stream)
    structlog.stdlib.get_logger("bot.service").info("ready", port=1)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "ready", "level": "info", "logger": "bot.service", "port": 1}


def test_a_line_for_people() -> None:
    stream = Terminal()
    set_up(Redactor(), debug=False, stream=stream)
    structlog.stdlib.get_logger("bot.service").info("ready", port=1)
    assert "ready" in stream.getvalue()
    assert "{" not in stream.getvalue()


@pytest.mark.parametrize(
    ("debug", "expected"),
    [(False, ["ours info", "theirs warning"]), (True, ["ours debug", "ours info", "theirs info", "theirs warning"])],
)
def test_levels(debug: bool, expected: list[str]) -> None:
    stream = io.StringIO()
    early = structlog.stdlib.get_logger("core.early")
    set_up(Redactor(), debug=not debug, stream=io.StringIO())
    set_up(Redactor(), debug=debug, stream=stream)
    early.debug("ours debug")
    logging.getLogger("core.mailbox").info("ours info")
    logging.getLogger("aiohttp").debug("theirs debug")
    logging.getLogger("aiohttp").info("theirs info")
    logging.getLogger("aiohttp").warning("theirs warning")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Basic b3BlbmNvZGU6eHh4eHg=", f"Authorization: Basic {HIDDEN}"),
        ("authorization: bearer abc123def456", f"authorization: bearer {HIDDEN}"),
        ("GET http://opencode:pw@127.0.0.1:80/doc", f"GET http://{HIDDEN}@127.0.0.1:80/doc"),
        ("basic authentication is on", "basic authentication is on"),
        ("http://127.0.0.1:4096/session?x=a@b", "http://127.0.0.1:4096/session?x=a@b"),
        ("a short one: abc", "a short one: abc"),
        ("longer-secret and longer-secret-still", f"{HIDDEN} and {HIDDEN}"),
    ],
)
def test_redacted_text(text: str, expected: str) -> None:
    assert Redactor(["abc", "longer-secret", "longer-secret-still"]).text(text) == expected


def test_a_secret_that_came_up_later() -> None:
    redactor = Redactor()
    assert redactor.text("made-up-password") == "made-up-password"
    redactor.add("made-up-password", "")
    assert redactor.text("made-up-password") == HIDDEN


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=6, max_size=20).filter(lambda s: s not in HIDDEN),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
@settings(max_examples=80, deadline=None)
def test_any_secret_is_found_in_any_spelling(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert HIDDEN in redactor.text(before + spelling + after)


def session_log(path: Path, **more: int) -> SessionLog:
    return SessionLog(path, Redactor([SECRET]), now=lambda: AT, **more)


def test_session_log(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "github.com-o-r-14" / "debug.log"
    log = session_log(path)
    assert not path.parent.exists()
    log.write("sent", {"prompt": f"use {SECRET}", "parts": [1, None, True, 0.5]})
    log.write("received", "ü\n\ud800")
    log.close()
    log.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "at": "2026-01-02T03:04:05+00:00",
        "direction": "sent",
        "payload": {"prompt": f"use {HIDDEN}", "parts": [1, None, True, 0.5]},
    }
    assert second["direction"] == "received"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_session_log_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    for text in ("one", "two"):
        log = session_log(path)
        log.write("sent", text)
        log.close()
    assert [json.loads(line)["payload"] for line in path.read_text().splitlines()] == ["one", "two"]


def test_session_log_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "debug.log"
    log = session_log(path, max_bytes=1000)
    for number in range(40):
        log.write("received", {"number": number})
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["debug.log", "debug.log.1"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    kept = [
        json.loads(line)["payload"]["number"]
        for name in ("debug.log.1", "debug.log")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert kept == list(range(kept[0], 40))
    log.write("received", {"number": 40})
    log.close()


def test_session_log_that_cannot_be_written_says_so_once(tmp_path: Path) -> None:
    stream = io.StringIO()
    set_up(Redactor(), debug=False, stream=stream)
    (tmp_path / "logs").write_text("a file in the way")
    log = session_log(tmp_path / "logs" / "debug.log")
    log.write("sent", 1)
    log.write("sent", 2)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "warning"


def test_session_log_follows_no_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "debug.log").symlink_to(target)
    log = session_log(tmp_path / "debug.log")
    log.write("sent", 1)
    assert not target.exists()
