"""opencode's HTTP interface, thinly: password, time-outs, and its refusals as errors of ours."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from core.errors import AgentDenied, AgentError, AgentSessionGone, AgentUnavailable
from core.model import SessionId

USER = "opencode"  # the user name opencode expects with the password
PASSWORD_VARIABLE = "OPENCODE_SERVER_PASSWORD"  # noqa: S105 - the name; its presence switches the password on
SLOW = 60.0  # seconds for what reads or copies a whole conversation
TIMEOUT = 20.0  # seconds for one call; opencode answers in well under one, cold in about one
T = TypeVar("T")


class AgentRefusal(AgentError):
    """An HTTP status that says no, with opencode's own words."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


class _ErrorData(msgspec.Struct):
    message: str = ""


class _ErrorBody(msgspec.Struct):
    """opencode words its errors in two ways: `{data: {message}}` and `{message}`."""

    data: _ErrorData = msgspec.field(default_factory=_ErrorData)
    message: str = ""


class Http:
    """One opencode server, until `close`. `silent` is told when a call gets no answer in time."""

    def __init__(self, url: str, password: str, silent: Callable[[], None] = lambda: None) -> None:
        self.url = url.rstrip("/")
        self._silent = silent
        self._closed = False
        token = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"} if password else {}
        self._client: aiohttp.ClientSession | None = None
        self.in_flight = 0  # calls that wait for their answer; the event stream does not count

    async def close(self) -> None:
        """Cut every connection."""
        self._closed = True
        client, self._client = self._client, None
        if client:
            await client.close()

    async def get(
        self, path: str, answer: type[T], *, directory: Path | None = None, within: float = TIMEOUT, **query: str | int
    ) -> T:
        """GET, decoded as `answer`."""
        return _decoded(path, await self._call("GET", path, directory, query, within=within), answer)

    async def get_project(self, path: str, answer: type[T], *, directory: Path, **query: str | int) -> T:
        """GET for the whole project of `directory`: given as a header it names the project and filters nothing."""
        headers = {"x-opencode-directory": quote(os.path.realpath(directory))}
        return _decoded(path, await self._call("GET", path, None, query, headers=headers, within=SLOW), answer)

    async def post(
        self, path: str, body: Mapping[str, Any], *, directory: Path | None = None, within: float = TIMEOUT
    ) -> bytes:
        """POST; the answer undecoded, for most are only `true`."""
        return await self._call("POST", path, directory, {}, body, within)

    async def post_for(
        self,
        path: str,
        body: Mapping[str, Any],
        answer: type[T],
        *,
        directory: Path | None = None,
        within: float = TIMEOUT,
    ) -> T:
        """POST, decoded as `answer`."""
        return _decoded(path, await self._call("POST", path, directory, {}, body, within), answer)

    async def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """PATCH."""
        await self._call("PATCH", path, None, {}, body)

    async def delete(self, path: str) -> None:
        """DELETE."""
        await self._call("DELETE", path, None, {})

    def stream(self, path: str, idle_timeout: float) -> aiohttp.client._RequestContextManager:
        """A GET that stays open; `idle_timeout` seconds without a byte end it."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=idle_timeout)
        return self._session().get(self.url + path, timeout=timeout)

    async def _call(
        self,
        method: str,
        path: str,
        directory: Path | None,
        query: Mapping[str, str | int],
        body: Mapping[str, Any] | None = None,
        within: float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        params = dict(query) if directory is None else {**query, "directory": os.path.realpath(directory)}
        limit = aiohttp.ClientTimeout(total=within)
        request = self._session().request(
            method, self.url + path, params=params, json=body, timeout=limit, headers=headers
        )
        self.in_flight += 1
        try:
            async with request as response:
                content = await response.read()
                status = response.status
        except TimeoutError as error:
            self._silent()
            raise AgentUnavailable(f"opencode did not answer {method} {path} within {within:g} s") from error
        except aiohttp.ClientError as error:
            raise AgentUnavailable(f"opencode cannot be reached at {self.url}: {error}") from error
        finally:
            self.in_flight -= 1
        if status == 401:
            raise denied(self.url)
        if status >= 400:
            raise AgentRefusal(status, _message(content) or f"opencode answered {method} {path} with status {status}")
        return content

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise AgentUnavailable(f"opencode at {self.url} was ended")
        if self._client is None:
            # A run's own connection never waits for another's: the pool has no limit.
            connector = aiohttp.TCPConnector(limit=0)
            self._client = aiohttp.ClientSession(headers=self._headers, connector=connector)
        return self._client


def denied(url: str) -> AgentDenied:
    """What a wrong password is told."""
    return AgentDenied(
        f"opencode at {url} refused the password",
        "Set opencode.password to the OPENCODE_SERVER_PASSWORD which that server was started with",
    )


def gone(session: SessionId) -> AgentSessionGone:
    """What a session that does not exist is told."""
    return AgentSessionGone(
        f"opencode no longer has the session {session}", "Start the issue again, or fork another session"
    )


def at_work() -> AgentError:
    """What is told who wants of a session that works what only one at rest can do."""
    return AgentError("The agent is at work in this session", "Wait until it is done, or stop it")


def _decoded(path: str, content: bytes, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=answer)
    except msgspec.DecodeError as error:
        raise AgentError(f"opencode answered {path} with something kugetsu does not understand: {error}") from error


def _message(content: bytes) -> str:
    try:
        body = msgspec.json.decode(content, type=_ErrorBody)
    except msgspec.DecodeError:
        text = content.decode(errors="replace")
    else:
        text = body.data.message or body.message
    return text.strip().partition("\n")[0].removeprefix("Error: ")[:500]  # 1.3 adds where in its source it happened
