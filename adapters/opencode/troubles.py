"""What opencode and the providers behind it call an error → the kind of trouble it is, and words for a person. Pure.

opencode passes on what a provider says. A status tells less than the words: an account without money is 429 with one
provider, 400 with another and 402 with a third. So words that leave no doubt come first, then the status, then words
that are only a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters.opencode.wire import WireError
from core.events import Trouble

MAX_WORDS = 500  # characters
_MAX_BODY = 4000  # characters looked at; an error says what it is at its beginning
_NAMES: Mapping[str, Trouble] = MappingProxyType(
    {
        "ProviderAuthError": Trouble.NO_CREDENTIALS,
        "ContextOverflowError": Trouble.CONTEXT_FULL,
        "MessageOutputLengthError": Trouble.OUTPUT_FULL,
        "ContentFilterError": Trouble.DECLINED,
        "ProviderModelNotFoundError": Trouble.UNKNOWN_MODEL,
        "ModelNotFoundError": Trouble.UNKNOWN_MODEL,
    }
)
_STATUS: Mapping[int, Trouble] = MappingProxyType(
    {
        401: Trouble.NO_CREDENTIALS,
        402: Trouble.NO_CREDIT,
        403: Trouble.NO_CREDENTIALS,
        408: Trouble.OVERLOADED,
        413: Trouble.CONTEXT_FULL,
        429: Trouble.RATE_LIMITED,
    }
)


def _table(*rows: tuple[Trouble, str]) -> Sequence[tuple[Trouble, re.Pattern[str]]]:
    return tuple((trouble, re.compile(words, re.IGNORECASE)) for trouble, words in rows)


_CERTAIN = _table(
    (
        Trouble.NO_CREDIT,
        r"insufficient[ _](quota|credits?|balance|funds)|credit balance is too low|out of credits|more credits"
        r"|add credits|no payment method|payment required|API usage limits|(billing|spend(ing)?) (hard )?limit",
    ),
    # Google tells a rate in the words in which OpenAI tells that there is no money.
    (
        Trouble.RATE_LIMITED,
        r"rate[ _-]?limit|too many requests|slow down|per[ _]?(minute|min|day|second)\b|retry in \d|retryDelay",
    ),
    (Trouble.NO_CREDIT, r"exceeded your current quota|check your plan and billing"),
    (
        Trouble.CONTEXT_FULL,
        r"context_length_exceeded|context length|context window|context size|context limit"
        r"|(prompt|input|request) is too (long|large)|input token count.{0,60}exceeds|maximum prompt length"
        r"|reduce the length of the (messages|prompt)|token limit.{0,40}exceed|exceed.{0,40} token limit"
        r"|too large to compact",
    ),
    (Trouble.DECLINED, r"content[ _-]?filter|content (management )?policy|safety system|prohibited_content|flagged by"),
    (
        Trouble.UNKNOWN_MODEL,
        r"model[ _]not[ _](found|exist)|unknown model|no such model|not a valid model|no endpoints found"
        r"|models?\b[^\n]{0,100}?\b(does not exist|is not found|was not found|not found|is not supported)"
        r"|not_found_error.{0,40}model|access to model",
    ),
    (Trouble.UNKNOWN_AGENT, r"agent not found|agent [^\n]{0,80}?not found"),
    (
        Trouble.NO_CREDENTIALS,
        r"(invalid|incorrect|missing|no|expired)[ _](x-)?api[ _-]?key"
        r"|api[ _-]?key (is |was )?(not valid|missing|invalid|expired|required)"
        r"|authentication[ _](error|failed)|unauthori[sz]ed|no auth credentials|invalid x-api-key",
    ),
)
_LIKELY = _table(
    (
        Trouble.OVERLOADED,
        r"overloaded|(service|temporarily|currently) unavailable|internal (server )?error|server[ _]error|bad gateway"
        r"|gateway time-?out|server had an error|at capacity|high demand",
    ),
    (
        Trouble.NETWORK,
        r"(unable to|cannot|could not|failed to) connect|ECONN\w+|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|getaddrinfo|socket"
        r"|fetch failed|network|connection (was )?(refused|reset|closed|error)|typo in the url|certificate",
    ),
)
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|github_pat|key|AIza|AKIA)[-_][\w*-]{8,}"
    r"|\b(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{24,}\b"  # letters and digits, and too long for a name
    r"|(?<=bearer )\S+|(?<=[?&]key=)[^&\s]+",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<(!doctype|html|head|body|[a-z]+[ />])", re.IGNORECASE)


def trouble_of(error: WireError) -> Trouble | None:
    """None where it cannot be told."""
    if error.name in _NAMES:
        return _NAMES[error.name]
    said = error.data.message
    body = "" if _MARKUP.search(error.data.body) else error.data.body[:_MAX_BODY]
    status = error.data.status
    if status is None:
        return trouble_in(f"{said}\n{body}")
    if found := _first(_CERTAIN, f"{said}\n{body}"):
        return found
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return Trouble.OVERLOADED
    return Trouble.BAD_REQUEST if status >= 400 else _first(_LIKELY, said)


def trouble_in(text: str) -> Trouble | None:
    """Where there is nothing but words: the reason of another attempt, an error that opencode cannot place."""
    return _first(_CERTAIN, text) or _first(_LIKELY, text)


def words(error: WireError) -> str:
    """One line for a person."""
    status = error.data.status
    return readable(error.data.message) or (f"The provider answered with status {status}" if status else error.name)


def readable(text: str) -> str:
    """The first line of an error, without what no person reads: JSON around it, markup, a stack trace, a key."""
    text = _unwrapped(text.strip())
    if markup := _MARKUP.search(text):
        text = text[: markup.start()]
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"^(\w*Error: )+", "", line)
    line = re.sub(r":?\s*\{.*$", "", line) or line
    return _KEYS.sub("[key]", line)[:MAX_WORDS].strip()


def _unwrapped(text: str) -> str:
    """The message inside of JSON; other text as it is."""
    if not text.startswith(("{", "[", '"')):
        return text
    try:
        return _message(msgspec.json.decode(text)) or text
    except msgspec.DecodeError:
        return text


def _message(value: Any) -> str:
    match value:
        case str():
            return value.strip()
        case {"error": inner} if found := _message(inner):
            return found
        case {"message": str() as inner}:
            return inner.strip()
        case [first, *_]:
            return _message(first)
    return ""


def _first(table: Sequence[tuple[Trouble, re.Pattern[str]]], text: str) -> Trouble | None:
    return next((trouble for trouble, pattern in table if pattern.search(text)), None)
