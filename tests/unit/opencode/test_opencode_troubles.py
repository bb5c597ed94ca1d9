"""What providers say, as the trouble it is and as one line for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.opencode.troubles import MAX_WORDS, readable, trouble_in, trouble_of, words
from adapters.opencode.wire import ErrorData, WireError
from core.events import Trouble


def api(status: int, message: str, body: str = "") -> WireError:
    return WireError("APIError", ErrorData(message, status, body))


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (WireError("ProviderAuthError", ErrorData("no key")), Trouble.NO_CREDENTIALS),
        (api(401, "Incorrect API key provided: sk-abc***xyz"), Trouble.NO_CREDENTIALS),
        (api(403, "Forbidden"), Trouble.NO_CREDENTIALS),
        (api(400, "API key not valid. Please pass a valid API key."), Trouble.NO_CREDENTIALS),
        (api(402, "Payment Required"), Trouble.NO_CREDIT),
        (api(429, "You exceeded your current quota, please check your plan and billing details."), Trouble.NO_CREDIT),
        (api(400, "Your credit balance is too low to access the Anthropic API."), Trouble.NO_CREDIT),
        (api(429, "Rate limit reached for gpt-5 in organization org-x on tokens per min"), Trouble.RATE_LIMITED),
        (api(429, "Resource has been exhausted", '{"details": [{"retryDelay": "30s"}]}'), Trouble.RATE_LIMITED),
        (api(429, "slow down"), Trouble.RATE_LIMITED),
        (api(529, "Overloaded"), Trouble.OVERLOADED),
        (api(500, "Internal server error"), Trouble.OVERLOADED),
        (api(503, "<html><body>rate limit</body></html>"), Trouble.RATE_LIMITED),
        (WireError("ContextOverflowError", ErrorData("x")), Trouble.CONTEXT_FULL),
        (api(400, "This model's maximum context length is 8192 tokens."), Trouble.CONTEXT_FULL),
        (api(400, "prompt is too long: 210000 tokens > 200000 maximum"), Trouble.CONTEXT_FULL),
        (api(400, "The input token count (1) exceeds the maximum number of tokens allowed"), Trouble.CONTEXT_FULL),
        (api(413, "Request Entity Too Large"), Trouble.CONTEXT_FULL),
        (WireError("MessageOutputLengthError", ErrorData("")), Trouble.OUTPUT_FULL),
        (api(404, "The model `gpt-9` does not exist or you do not have access to it."), Trouble.UNKNOWN_MODEL),
        (WireError("UnknownError", ErrorData("Model not found: mock/nope.")), Trouble.UNKNOWN_MODEL),
        (WireError("UnknownError", ErrorData('Agent not found: "nope".')), Trouble.UNKNOWN_AGENT),
        (api(400, "The response was filtered by Azure OpenAI's content management policy."), Trouble.DECLINED),
        (
            WireError("UnknownError", ErrorData("Unable to connect. Is it online?")),
            Trouble.NETWORK,
        ),
        (WireError("UnknownError", ErrorData("getaddrinfo ENOTFOUND api.example.org")), Trouble.NETWORK),
        (api(400, "Unrecognized request argument supplied: foo"), Trouble.BAD_REQUEST),
        (WireError("UnknownError", ErrorData("Something odd")), None),
    ],
    ids=lambda value: value.data.message[:40] if isinstance(value, WireError) else str(value),
)
def test_what_providers_say_is_told_apart(error: WireError, trouble: Trouble | None) -> None:
    assert trouble_of(error) is trouble


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Boom\n    at x (file.ts:1)", "Boom"),
        ('{"error": {"message": "Bad key", "type": "x"}}', "Bad key"),
        ('Error: AI_APICallError: Bad things: {"a": 1}', "Bad things"),
        ("<!doctype html><html><body>502</body></html>", ""),
        ("Incorrect API key provided: sk-proj-abcdefgh12345678", "Incorrect API key provided: [key]"),
    ],
)
def test_a_person_gets_one_line(said: str, line: str) -> None:
    assert readable(said) == line


def test_an_error_always_has_words() -> None:
    assert words(api(502, "<html></html>")) == "The provider answered with status 502"
    assert words(WireError("OddError", ErrorData(""))) == "OddError"


@given(st.text())
def test_nothing_a_provider_says_is_too_much(said: str) -> None:
    line = readable(said)
    assert "\n" not in line
    assert len(line) <= MAX_WORDS
    trouble_in(said)
