"""A forge's no as a sentence: which status, rate limit or missing token it was, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from adapters.forge import text
from core.errors import ForgeError, ForgeNotFound

WITHOUT = "give `start` a message, which works without the forge"
MAX_SAID = 200  # characters of a forge's own words that are passed on
MAX_SENTENCES = 5
_SAYING = ("message", "error_description", "error")
# Below this a reset time is no point in time but seconds from now: forges send either. 1e9 was in 2001.
FIRST_EPOCH = 1_000_000_000


class Forbidden(ForgeError):
    """403 that is no rate limit: the token's rights do not cover this call."""


class TooLarge(ForgeError):
    """The answer is above the limit and was not read to its end."""


class Rejected(ForgeError):
    """The forge understood, and does not do it. `said` are its own words."""

    def __init__(self, what: str, hint: str, status: int, said: str) -> None:
        super().__init__(what, hint)
        self.status = status
        self.said = said


class Unsure(ForgeError):
    """No answer, or none that can be read: of what was to be made, it cannot be told whether it was."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a forge's interface is, and how it is asked."""

    instance: str
    api_base: str
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    instead: str = WITHOUT  # what else can be done, to follow an "or"
    needs: str = ""  # the rights a token must have, where that can be named

    @property
    def token_key(self) -> str:
        """The configuration that gives a token, to be shown."""
        return f"`forges: {{{self.instance}: {{token: …}}}}`"

    def redacted(self, words: str) -> str:
        """Without the token: what answers may well repeat what it was asked with."""
        return words.replace(self.token, "…") if self.token else words

    @property
    def base_key(self) -> str:
        """The configuration key of the address."""
        return f"`forges.{self.instance}.api_base`"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 300 or more; `headers` with lower-case names."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    writes: bool = False  # something was to be made, not shown

    @property
    def html(self) -> bool:
        """A web page where JSON was asked for."""
        return "html" in self.headers.get("content-type", "").lower()


def refused(server: Server, refusal: Refusal, about: str, now: datetime) -> ForgeError:
    """The error to raise; `about` is what was asked for, in words for people."""
    said = _said(server, refusal)
    status = refusal.status
    if status == 401:
        return _unauthorised(server, about, said)
    if _rate_limited(refusal, said):
        return _limited(server, refusal, now)
    if status == 403:
        doing = "open" if refusal.writes else "show"
        return Forbidden(
            f"{server.instance} refuses to {doing} {about}{said}", f"{_rights(server)}, or {server.instead}"
        )
    if status in {404, 410}:
        return _missing(server, refusal, about, said)
    if status >= 500:
        kind = Unsure if refusal.writes else ForgeError
        return kind(
            f"{server.instance} is down or overloaded: it answered with status {status}{said}",
            f"Try again later, or {server.instead}",
        )
    if refusal.writes:
        why = said or f": it answered with status {status}"
        hint = f"Put right what it says, or {server.instead}"
        return Rejected(f"{server.instance} does not open {about}{why}", hint, status, said)
    return Rejected(
        f"{server.instance} answered with status {status} when asked for {about}{said}",
        f"Check {server.base_key} ({server.api_base}), or {server.instead}",
        status,
        said,
    )


def _rights(server: Server) -> str:
    if not server.token:
        return f"Set {server.token_key}" + (f" to one with {server.needs}" if server.needs else "")
    if server.needs:
        return f"Give {server.token_key} a token with {server.needs}"
    return f"Check what the token in {server.token_key} may read"


def _unauthorised(server: Server, about: str, said: str) -> ForgeError:
    if server.token:
        return ForgeError(
            f"{server.instance} refuses the token{said}",
            f"Put a valid one into {server.token_key}: this one may have expired, been withdrawn or be misspelt",
        )
    return ForgeNotFound(
        f"{server.instance} does not show {about} without a token", f"Set {server.token_key}, or {server.instead}"
    )


def _missing(server: Server, refusal: Refusal, about: str, said: str) -> ForgeError:
    address = f"; check {server.base_key} too, for a web page came back" if refusal.html else ""
    if refusal.writes:  # GitHub says so too where a token may read and not write
        return ForgeNotFound(
            f"{server.instance} cannot open {about}: it does not know the project or one of the branches, "
            f"or the token may not see them{said}",
            f"{_rights(server)}, check whether both branches are there{address}, or {server.instead}",
        )
    if server.token:
        return ForgeNotFound(
            f"{server.instance} does not know {about}, or the token may not see it",
            f"Check the name and the number, and what the token in {server.token_key} may read{address}; "
            f"or {server.instead}",
        )
    return ForgeNotFound(
        f"{server.instance} does not know {about}, or does not show it without a token",
        f"Check the name and the number; if it is private, set {server.token_key}{address}; or {server.instead}",
    )


def _rate_limited(refusal: Refusal, said: str) -> bool:
    if refusal.status == 429:
        return True
    # GitHub says 403 for its limits. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    used_up = refusal.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in refusal.headers
    return refusal.status == 403 and (used_up or "rate limit" in said.lower())


def _limited(server: Server, refusal: Refusal, now: datetime) -> ForgeError:
    until = limited_until(refusal.headers, now)
    when, again = (f"until {_clock_time(until, now)}", "then") if until else ("for now", "in some minutes")
    token = "" if server.token else f". A token in {server.token_key} raises the limit"
    return ForgeError(
        f"{server.instance} answers no more requests {when}: its rate limit is used up",
        f"Try again {again}, or {server.instead}{token}",
    )


def limited_until(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When a rate limit ends, None where the forge does not say so in any of the known ways."""
    retry = headers.get("retry-after", "")
    try:
        if retry.isascii() and retry.isdigit():
            return now + timedelta(seconds=int(retry))
        if retry:
            return parsedate_to_datetime(retry).astimezone(UTC)
        reset = float(headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or "nan")
        return now + timedelta(seconds=reset) if reset < FIRST_EPOCH else datetime.fromtimestamp(reset, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _clock_time(until: datetime, now: datetime) -> str:
    minutes = max(1, round((until - now).total_seconds() / 60))
    shown = "%H:%M UTC" if until - now < timedelta(hours=20) else "%Y-%m-%d %H:%M UTC"
    return f"{until.strftime(shown)} ({minutes} min)"


def _said(server: Server, refusal: Refusal) -> str:
    """`: <the forge's own words>`, or nothing where they are no words for people."""
    try:
        body: Any = msgspec.json.decode(refusal.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""  # a web page of whatever stands before the forge
    if not isinstance(body, dict):
        return ""
    whole = next((words for key in _SAYING if (words := "; ".join(_words(body.get(key))))), "")
    single = "; ".join(_words(body.get("errors")))
    words = text.line(server.redacted(": ".join(part for part in (whole, single) if part)), MAX_SAID)
    return f": {words}" if words else ""


def _words(said: Any, depth: int = 3) -> Iterator[str]:
    """GitHub and Gitea say one sentence, GitLab also several, or several for each field."""
    if isinstance(said, str) and said:
        yield said
    elif isinstance(said, list) and depth:
        for part in said[:MAX_SENTENCES]:
            yield from _words(part, depth - 1)
    elif isinstance(said, dict) and depth:
        if isinstance(said.get("message"), str):
            yield said["message"]
        elif isinstance(said.get("code"), str):  # GitHub: {"field": "head", "code": "invalid"}
            yield f"{said.get('field', '')} {said['code']}".strip()
        else:
            for name, parts in list(said.items())[:MAX_SENTENCES]:
                yield from (part if name == "base" else f"{name} {part}" for part in _words(parts, depth - 1))
