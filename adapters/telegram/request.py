"""python-telegram-bot's way to the network, with all that its answers tell.

The library's own request keeps neither the HTTP status nor `retry_after` as a plain number, rewrites the case of
refusals, logs every page that is no JSON as an error, and lets idle connections go after 5 s, which costs the next
message a TLS handshake. `do_request` and `parse_json_payload` are its documented points to change that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from typing import Any

import httpx
import msgspec
from telegram.error import TelegramError, TimedOut
from telegram.request import HTTPXRequest

from adapters.telegram.settings import Times

CONNECTIONS = 64  # at once; more would only wait for Telegram's 30 messages a second
KEPT_IDLE = 16
KEEP_ALIVE = 45.0  # seconds; Telegram's front end keeps them for longer


class Refusal(TelegramError):
    """Telegram itself said no."""

    def __init__(self, code: int, text: str, retry_after: float = 0.0, moved_to: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.moved_to = moved_to


class NoAnswer(TelegramError):
    """Something came back that the Bot API does not say: a front end's or a proxy's page."""

    def __init__(self, code: int) -> None:
        super().__init__(f"HTTP {code} without an answer of the Bot API")
        self.code = code


class _Parameters(msgspec.Struct):
    retry_after: float = 0.0
    migrate_to_chat_id: int = 0


class _Refused(msgspec.Struct):
    description: str = ""
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


class Request(HTTPXRequest):
    """One pool of connections. Raises Refusal and NoAnswer instead of the library's guesses."""

    __slots__ = ("_closing", "_full_since", "_wedged")

    def __init__(self, times: Times, tls: ssl.SSLContext, connections: int = CONNECTIONS) -> None:
        super().__init__(
            connection_pool_size=connections,
            connect_timeout=times.connect,
            pool_timeout=times.pool,
            read_timeout=times.read,
            write_timeout=times.write,
            media_write_timeout=times.media,
            httpx_kwargs={
                "verify": tls,
                "limits": httpx.Limits(
                    max_connections=connections, max_keepalive_connections=KEPT_IDLE, keepalive_expiry=KEEP_ALIVE
                ),
            },
        )

        self._closing: set[asyncio.Task[None]] = set()
        self._wedged = times.wedged
        self._full_since = 0.0  # monotonic

    def renew(self) -> None:
        """Go on with new connections. Pools are known to wedge; the old one is closed, if it can be."""
        old, self._client = self._client, self._build_client()
        task = asyncio.create_task(old.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _full(self) -> None:
        """All connections in use for long, and not one call that ended: they are not going to end."""
        now = time.monotonic()
        if not self._full_since:
            self._full_since = now
        elif now - self._full_since > self._wedged:
            self._full_since = 0.0
            self.renew()

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logging.getLogger("telegram").debug("old connections could not be closed: %r", error)

    async def do_request(self, *args: Any, **more: Any) -> tuple[int, bytes]:
        """See BaseRequest."""
        try:
            code, content = await super().do_request(*args, **more)
        except TimedOut as error:
            if isinstance(error.__cause__, httpx.PoolTimeout):
                self._full()
            raise
        self._full_since = 0.0
        if 200 <= code < 300:
            return code, content
        try:
            refused = msgspec.json.decode(content, type=_Refused)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise NoAnswer(code) from None
        raise Refusal(code, refused.description, refused.parameters.retry_after, refused.parameters.migrate_to_chat_id)

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """See BaseRequest. Only for what came with a good status."""
        try:
            answer = json.loads(payload.decode(errors="replace"))
        except (ValueError, RecursionError):
            raise NoAnswer(200) from None
        if not isinstance(answer, dict) or "result" not in answer:
            raise NoAnswer(200)
        return answer


class HideToken(logging.Filter):
    """The library puts the token into the path, and httpx logs every path."""

    _PATH = re.compile(r"(?<=/bot)[^/\s\"]+")

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops anything."""
        record.msg, record.args = self._PATH.sub("[hidden]", record.getMessage()), ()
        return True


def hide_token_in_logs() -> None:
    """For the whole process."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, HideToken) for known in logger.filters):
        logger.addFilter(HideToken())


def tls_context() -> ssl.SSLContext:
    """One for all pools: reading the certificates takes 20 ms and a megabyte each time."""
    return httpx.create_ssl_context()
