"""Logs: what happened, for people at a terminal and for machines elsewhere, with no secret in either.

`set_up` routes structlog and the standard library's `logging` (core, aiohttp, SQLAlchemy …) through one chain whose
last step before rendering takes every known secret out, tracebacks included. `SessionLog` is the other log: one file a
session with all that went to opencode and came back.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import structlog

HIDDEN = "[hidden]"
MIN_SECRET_LENGTH = 6  # shorter ones stand by chance in other words
MAX_LOG_BYTES = 10_000_000  # of a session's debug.log, before it becomes debug.log.1

# A word with a digit or `=` after the scheme: "basic authentication" is none.
_CREDENTIALS = re.compile(
    r"(?P<before>\b(?:Basic|Bearer)\s+)(?=\S*[0-9=])[A-Za-z0-9+/._~=-]{8,}"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+(?=@)",
    re.IGNORECASE,
)

log = structlog.stdlib.get_logger(__name__)


class Redactor:
    """Takes known secrets out of what is about to be written, also as JSON or a URL spell them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Learn secrets that came up later, such as a password made for opencode."""
        for secret in secrets:
            if len(secret) >= MIN_SECRET_LENGTH:
                self._spellings |= {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe="")}
                self._spellings |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        longest_first = sorted(self._spellings, key=lambda spelling: (-len(spelling), spelling))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """`text` without secrets, basic and bearer credentials, and users in URLs."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        return _CREDENTIALS.sub(lambda match: f"{match['before'] or match['scheme']}{HIDDEN}", text)

    def value(self, value: Any) -> Any:
        """The same for a tree of JSON; anything else becomes its `repr`."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self.value(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case _:
                return self.text(repr(value))

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """As a structlog processor."""
        return {key: self.value(item) for key, item in event.items()}


def set_up(redactor: Redactor, *, debug: bool, stream: TextIO) -> None:
    """Log to `stream`: for people when it is a terminal, else JSON, one object a line. May be called again.

    `debug` shows our own debug lines and what libraries say at INFO; otherwise ours from INFO, theirs from WARNING.
    """
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if stream.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redactor,
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if debug else logging.WARNING)
    for name in ("core", "adapters", "bot"):
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.INFO)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # loggers made before this call must follow it
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SessionLog:
    """`debug.log` of one session: JSON lines `{"at", "direction", "payload"}`, private to the user.

    The file is made at the first line and kept open. Writing never fails the run it tells about: when it cannot be
    written, that is logged once and the rest is left out.
    """

    def __init__(
        self,
        path: Path,
        redactor: Redactor,
        now: Callable[[], datetime] = _utc_now,
        max_bytes: int = MAX_LOG_BYTES,
    ) -> None:
        self._path = path
        self._redactor = redactor
        self._now = now
        self._max_bytes = max_bytes
        self._descriptor: int | None = None
        self._size = 0
        self._broken = False

    def write(self, direction: str, payload: Any) -> None:
        """`direction`: "sent" or "received"; `payload` is JSON-ready."""
        if self._broken:
            return
        line = {"at": self._now().isoformat(), "direction": direction, "payload": self._redactor.value(payload)}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            if self._descriptor is not None and self._size + len(data) > self._max_bytes:
                self._rotate()
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            os.write(self._descriptor, data)
            self._size += len(data)
        except OSError as error:
            self._broken = True
            log.warning("a session's debug log cannot be written", path=str(self._path), error=str(error))
            self.close()

    def close(self) -> None:
        """Safe to repeat; a later `write` opens the file again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        if self._size >= self._max_bytes:
            self._rotate()
            self._open()

    def _rotate(self) -> None:
        self.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
