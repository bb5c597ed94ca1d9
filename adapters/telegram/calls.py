"""Calls to Telegram: the library's bot, bounded in time, its errors turned into ours, the token told to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import httpx
from telegram import Bot
from telegram.error import NetworkError, TelegramError

from adapters.telegram.refusals import plain, refused
from adapters.telegram.request import NoAnswer, Refusal, Request, hide_token_in_logs, tls_context
from adapters.telegram.settings import DEFAULT_API_BASE, TelegramSettings
from core.errors import ChatDenied, ChatDoubt, ChatError, ChatLimited, ChatUnreachable, PlaceGone
from core.model import Place

MIN_SECRET = 8  # characters; a shorter one would be found in other words
NAMELESS_LIMIT = 5.0  # seconds to wait after a 429 that does not say how long
# Raised before a request is on its way. All others may come after Telegram has done what was asked.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
_NEW_TOKEN = "Get the token from @BotFather (/mybots → API Token) and put it into adapters.telegram.token"  # noqa: S105


class Conflict(ChatError):
    """Somebody else takes the updates of this bot."""


class Calls:
    """The bot and one pool of connections, for everything but getUpdates, which may hang without holding up others."""

    def __init__(self, settings: TelegramSettings) -> None:
        self.settings = settings
        self.times = settings.times
        hide_token_in_logs()
        base = settings.api_base.rstrip("/")
        self._base = urlsplit(base)
        self.method_base = f"{base}/bot"
        self.tls = tls_context()
        self._request = self.pool()
        self._secrets = _spellings(settings.token)
        # The same pool twice: the library's own getUpdates is not used.
        self.bot = Bot(
            settings.token,
            base_url=self.method_base,
            base_file_url=f"{base}/file/bot",
            request=self._request,
            get_updates_request=self._request,
        )

    def pool(self, connections: int = 64) -> Request:
        """A pool of connections of its own."""
        return Request(self.times, self.tls, connections)

    async def open(self) -> None:
        """After `close`, make calls possible again."""
        await self._request.initialize()

    async def close(self) -> None:
        """Cut every connection."""
        await self._request.shutdown()

    @asynccontextmanager
    async def translate(
        self, place: Place | None = None, *, shows: bool = False, first: bool = False, seconds: float = 0.0
    ) -> AsyncIterator[None]:
        """Around one call about `place`, which gets at most `seconds` (0: what a call without a file gets).

        `shows`: made twice, it shows twice. After a time-out, a lost connection or a 5xx that is then in doubt:
        people have had messages twice after retrying a 502, Telegram's front end gives it while the work behind goes
        on. Without `shows`, it may simply be made again. `first`: a 404 means the token, not the method.
        """
        times = self.times
        try:
            async with asyncio.timeout(seconds or times.pool + times.connect + times.write + times.read):
                yield
        except TelegramError as error:
            raise self._translated(error, place, shows, first) from self._cause(error)
        except TimeoutError as error:
            raise self._no_end("did not answer in time", shows) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # The library does not check what it decodes.
            raise self._no_end(f"answered what cannot be read ({type(error).__name__})", shows) from self._cause(error)

    def _translated(self, error: TelegramError, place: Place | None, shows: bool, first: bool) -> ChatError:  # noqa: FBT001
        match error:
            case Refusal():
                return self._refused(error, place, shows, first)
            case NoAnswer(code=413):
                return too_large()
            case NoAnswer(code=code) if 300 <= code < 500:
                return ChatUnreachable(
                    f"{self.server} answers HTTP {code}, which is not from Telegram",
                    "Check adapters.telegram.api_base and any proxy in between",
                )
            case NoAnswer(code=code):
                return self._no_end(f"answers HTTP {code} and nothing that can be read", shows)
            case NetworkError() if isinstance(error.__cause__, _NOT_SENT):
                return ChatUnreachable(f"{self.server} cannot be reached: {self.reason(error)}", self._hint())
            case _:
                return self._no_end(f"broke off: {self.reason(error)}", shows)

    def _refused(self, error: Refusal, place: Place | None, shows: bool, first: bool) -> ChatError:  # noqa: FBT001
        text = self.redacted(error.text)
        if error.moved_to and place:
            new = Place(place.platform, str(error.moved_to), place.thread)
            return PlaceGone("The group has become a supergroup", instead=new)
        match error.code:
            case 429:
                return ChatLimited("Telegram wants fewer messages", error.retry_after or NAMELESS_LIMIT)
            case 401:
                return ChatDenied("Telegram does not know this token (any more)", _NEW_TOKEN)
            case 404 if first:
                return ChatDenied("Telegram does not know this token", self._hint_token())
            case 403:
                return PlaceGone(f"Telegram forbids it: {plain(text)}", "Unblock the bot, or add it again")
            case 409:
                return Conflict(f"Telegram refuses: {plain(text.removeprefix('Conflict: '))}")
            case 413:
                return too_large()
            case 400:
                return refused(text, place)
            case code if code >= 500:
                return self._no_end(f"is in trouble: {plain(text)} ({code})", shows)
            case code:
                return ChatError(f"Telegram refuses: {plain(text)} ({code})")

    def _no_end(self, what: str, shows: bool) -> ChatError:  # noqa: FBT001
        kind = ChatDoubt if shows else ChatUnreachable
        return kind(f"{self.server} {what}", self._hint())

    @property
    def server(self) -> str:
        """Telegram, or who stands in for it."""
        return "Telegram" if self.settings.api_base == DEFAULT_API_BASE else self._base.netloc.rpartition("@")[2]

    def reason(self, error: Exception) -> str:
        """In few words, without the token."""
        cause = error.__cause__ or error
        return self.redacted(" ".join(f"{cause}".split())[:200]) or type(cause).__name__

    def redacted(self, text: str) -> str:
        """Every spelling of the token hidden."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return text

    def _cause(self, error: BaseException) -> BaseException | None:
        """What a traceback may show."""
        chain: BaseException | None = error
        while chain:
            if any(secret in f"{chain!s}{chain!r}" for secret in self._secrets):
                return None
            chain = chain.__cause__ or chain.__context__
        return error

    def _hint(self) -> str:
        if self.settings.api_base == DEFAULT_API_BASE:
            return "It is tried again; if it stays so, check the network and https://downdetector.com/status/telegram"
        return f"It is tried again; if it stays so, check adapters.telegram.api_base ({self.server})"

    def _hint_token(self) -> str:
        if self.settings.api_base == DEFAULT_API_BASE:
            return _NEW_TOKEN
        return f"{_NEW_TOKEN}, and check adapters.telegram.api_base ({self.server})"


def _spellings(token: str) -> list[str]:
    """Longest first: as it is, as URLs have it, and what follows the bot's public number."""
    secret = token.partition(":")[2]
    parts = [token, secret] if len(secret) >= MIN_SECRET else [token]
    found = {spelling for part in parts if part for spelling in (part, quote(part), quote(part, safe=""))}
    return sorted(found, key=len, reverse=True)


def too_large() -> ChatError:
    """Of a file on its way out."""
    return ChatError("Telegram takes files up to 50 MB from bots", "Send a smaller file, or a link to it")
