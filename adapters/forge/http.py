"""A forge's HTTP interface: bounded in time and size, JSON or an error for people, the token for nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

import aiohttp
import msgspec
from yarl import URL

from adapters.forge import text
from adapters.forge.refusals import Refusal, Server, TooLarge, Unsure, refused
from core.errors import ForgeError

TIMEOUT = 15.0  # seconds for all calls of one question together
MAX_BODY = 4_000_000  # bytes; 50 GitHub issues with the longest texts allowed there are 3.3 MB
MAX_REFUSAL = 64_000  # bytes of an error page that are read for its message
MAX_REDIRECTS = 3  # a renamed repository takes one
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSED_ON = frozenset({307, 308})  # the same call, elsewhere: the only ones that say so of a POST
_CHUNK = 65_536

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Decoded JSON, and where it came from in the end."""

    data: T
    url: URL  # after redirects, without the query
    last_page: int  # as the Link header tells, 0 when it does not
    more: bool  # the Link header names a next page
    left: int | None = None  # requests until the rate limit, where the forge says


@dataclass(frozen=True, slots=True)
class Health:
    """A forge that answered."""

    account: str | None  # whose token it took: None without one, empty where it is no person's
    left: int | None  # requests until the rate limit, where it says


class Connections:
    """What all forges share: one pool, made when first needed. Usable again after `close`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """Needs a running loop."""
        if self._session is None:
            # No cookies: a forge is asked the same way every time. Time-outs are `Http.bounded`.
            self._session = aiohttp.ClientSession(
                headers={"User-Agent": "kugetsu"},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def close(self) -> None:
        """Cut every connection."""
        session, self._session = self._session, None
        if session:
            await session.close()


class Http:
    """One forge. Every method raises ForgeError."""

    def __init__(
        self, server: Server, connections: Connections, now: Callable[[], datetime], timeout: float = TIMEOUT
    ) -> None:
        self.server = server
        self._connections = connections
        self._now = now
        self._timeout = timeout
        self._base = URL(server.api_base)

    def now(self) -> datetime:
        """Aware, UTC."""
        return self._now()

    def telling(self, *, instead: str, needs: str) -> Http:
        """The same forge, whose errors name another way out and the rights a token must have."""
        server = replace(self.server, instead=instead, needs=needs)
        return Http(server, self._connections, self._now, self._timeout)

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """All calls inside have the time-out together. Raises Unsure when it is over."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            raise Unsure(
                f"{self.server.instance} did not answer within {self._timeout:g} s",
                f"Try again later, or {self.server.instead}",
            ) from error

    async def get(self, where: str | URL, answer: type[T], about: str, **query: str | int) -> Answer[T]:
        """GET and decode as `answer`.

        `where` is below the interface's address, its parts percent-encoded, or the URL of an earlier answer. `about`
        says in errors what was asked for.
        """
        url = where if isinstance(where, URL) else self._base.joinpath(where, encoded=True)
        return await self._ask(url.with_query(query) if query else url, answer, about)

    async def get_or(self, empty: T, where: str, answer: type[T], about: str, **query: str | int) -> Answer[T]:
        """The same, where an answer without any content means `empty`."""
        url = self._base.joinpath(where, encoded=True).with_query(query)
        return await self._ask(url, answer, about, empty=empty)

    async def post(self, where: str, answer: type[T], about: str, body: Mapping[str, object]) -> Answer[T]:
        """POST `body` as JSON, and decode what was made. `about` is what is to be made.

        Sent once, or again only to where the same server passes it on. Raises Rejected when it was not made, Unsure
        when that cannot be told.
        """
        if not self.server.token:
            raise ForgeError(
                f"{self.server.instance} opens nothing without a token",
                f"Set {self.server.token_key} to one with {self.server.needs}, or {self.server.instead}",
            )
        url = self._base.joinpath(where, encoded=True)
        return await self._ask(url, answer, about, content=msgspec.json.encode(body))

    async def _ask(
        self, url: URL, answer: type[T], about: str, *, content: bytes | None = None, empty: T | None = None
    ) -> Answer[T]:
        redirects = _REDIRECTS if content is None else _PASSED_ON
        for _ in range(MAX_REDIRECTS + 1):
            async with self._request(url, content) as response:
                if response.status in redirects and "Location" in response.headers:
                    url = self._redirected(url, response.headers["Location"])
                    continue
                if response.status >= 300:
                    raise await self._refused(response, about, writes=content is not None)
                got = await _read(response, MAX_BODY)
                if got is None:
                    raise (TooLarge if content is None else Unsure)(
                        f"{self.server.instance} answered with more than {MAX_BODY // 1_000_000} MB for {about}",
                        f"That is above what is read from a forge; {self.server.instead}",
                    )
                if not got and empty is not None:
                    data = empty
                else:
                    kind = ForgeError if content is None else Unsure
                    data = self._decoded(got, response.headers.get("Content-Type", ""), answer, about, kind)
                return Answer(data, url.with_query(None), *_links(response), _left(response.headers))
        raise ForgeError(
            f"{self.server.instance} redirects again and again when asked for {about}", self._hint_address()
        )

    @asynccontextmanager
    async def _request(self, url: URL, content: bytes | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """aiohttp's exceptions, also those while the body is read, become ours."""
        headers = {"Accept": "application/json", **self.server.headers}
        if any(not value.isascii() or not value.isprintable() for value in headers.values()):
            raise ForgeError(
                f"The token for {self.server.instance} has characters that no token has",
                f"Put it into {self.server.token_key} again",
            )
        method = "GET"
        if content is not None:
            method = "POST"  # which aiohttp, other than GET, does not send again when a kept connection turns out dead
            headers["Content-Type"] = "application/json"
        try:
            async with self._connections.session().request(
                method, url, data=content, headers=headers, allow_redirects=False
            ) as response:
                yield response
        except (aiohttp.ClientError, UnicodeError) as error:  # the latter for names longer than DNS allows
            never_sent = isinstance(error, aiohttp.ClientConnectorError | UnicodeError)
            raise (ForgeError if content is None or never_sent else Unsure)(
                f"{self.server.instance} cannot be reached at {self.server.api_base}: {_reason(error)}",
                self._hint_reach(error),
            ) from error

    def _redirected(self, url: URL, location: str) -> URL:
        """Only ever on the same server: the token would go along."""
        target = _address(url, location)
        if target and _server(target) == _server(self._base):
            return target.with_user(None)
        elsewhere = str(target.origin()) if target else f"`{location}`, which is no address"
        raise ForgeError(
            f"{self.server.instance} redirects to {text.line(self.server.redacted(elsewhere), 100)}; "
            "kugetsu asks only the forges it is configured for",
            f"If its interface has moved there, change {self.server.base_key} (now {self.server.api_base}); "
            f"or {self.server.instead}",
        )

    async def _refused(self, response: aiohttp.ClientResponse, about: str, *, writes: bool) -> ForgeError:
        headers = {name.lower(): value for name, value in response.headers.items()}
        refusal = Refusal(response.status, headers, await _read(response, MAX_REFUSAL) or b"", writes)
        return refused(self.server, refusal, about, self.now())

    def _decoded(self, content: bytes, content_type: str, answer: type[T], about: str, kind: type[ForgeError]) -> T:
        try:
            return msgspec.json.decode(content, type=answer)
        except msgspec.ValidationError as error:
            problem = f"{self.server.instance} answered something else than {about}: {error}"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            media = text.line(content_type.partition(";")[0], 60) or "something unnamed"
            words = text.line(self.server.redacted(content[:4_000].decode(errors="replace")), 80)
            problem = f"{self.server.instance} answered with {media} instead of JSON" + (
                f": “{words}”" if words else ""
            )
        raise kind(problem, self._hint_address())

    def _hint_address(self) -> str:
        return f"Check the kind and {self.server.base_key} ({self.server.api_base}), or {self.server.instead}"

    def _hint_reach(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ClientSSLError):
            return (
                f"Check whether {self.server.base_key} is https or http; "
                f"a private certificate authority goes into the environment as SSL_CERT_FILE; or {self.server.instead}"
            )
        return f"Try again later, check {self.server.base_key}, or {self.server.instead}"


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """None when there is more than `limit`, of which no more than that was read."""
    if (response.content_length or 0) > limit:
        return None
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > limit:
            return None
    return bytes(content)


def _address(url: URL, location: str) -> URL | None:
    """Where a Location leads; None for what cannot be asked."""
    if not location.isprintable():
        return None
    try:
        target = url.join(URL(location))
        return target if target.origin() else None  # no origin is a ValueError too
    except ValueError:
        return None


def _server(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def _links(response: aiohttp.ClientResponse) -> tuple[int, bool]:
    """The Link header's last page, 0 where it names none, and whether it names a next one."""
    try:
        links = response.links
        page = URL(links["last"]["url"]).query.get("page", "") if "last" in links else ""
    except ValueError:
        return 0, False  # no addresses: as good as no header
    return int(page) if page.isascii() and page.isdigit() and len(page) < 10 else 0, "next" in links


def _left(headers: Mapping[str, str]) -> int | None:
    said = headers.get("x-ratelimit-remaining") or headers.get("ratelimit-remaining") or ""
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else None


def _reason(error: Exception) -> str:
    """In a few words: aiohttp's own name sockets and options."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return text.line(str(error.certificate_error), 200)
    if isinstance(error, aiohttp.ClientConnectorDNSError | UnicodeError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return text.line(str(error), 200) or type(error).__name__
