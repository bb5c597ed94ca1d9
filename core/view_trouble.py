"""What went wrong with a model, in plain words and with the next step. Pure; see core.view.

The adapter tells troubles apart; here stands what each means for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from core.events import Trouble
from core.markdown import plain

MODEL, COMPACT, GO_ON, AGENT, RETRY = "model", "compact", "go on", "agent", "retry"
REASON = 120  # characters of the provider's words in a live message
GO_ON_PROMPT = "Your answer was cut off at its longest. Go on exactly where it ended."


@dataclass(frozen=True, slots=True)
class Remedy:
    """`words` say what happened, `hint` what to do; `offers` are the buttons below, in their order."""

    words: str
    hint: str
    offers: tuple[str, ...] = (RETRY,)


REMEDIES: Mapping[Trouble, Remedy] = MappingProxyType(
    {
        Trouble.NO_CREDENTIALS: Remedy(
            "The provider does not take the credentials of this model.",
            "Where the bot runs: `opencode auth login`. Or choose another model.",
            (MODEL, RETRY),
        ),
        Trouble.NO_CREDIT: Remedy(
            "The provider's account has no credit left, or has reached its limit.",
            "Top it up, or choose a model of another provider.",
            (MODEL, RETRY),
        ),
        Trouble.RATE_LIMITED: Remedy(
            "The provider wants fewer requests.", "Try again in a minute, or choose another model.", (RETRY, MODEL)
        ),
        Trouble.OVERLOADED: Remedy(
            "The provider is in trouble itself, or overloaded.",
            "Try again in a while, or choose another model.",
            (RETRY, MODEL),
        ),
        Trouble.NETWORK: Remedy(
            "The provider cannot be reached from where opencode runs.",
            "Check the network, a proxy, or the provider's address in opencode's configuration.",
            (RETRY, MODEL),
        ),
        Trouble.CONTEXT_FULL: Remedy(
            "The conversation does not fit the model any more.",
            "A summary in its place frees room; a model that holds more helps as well.",
            (COMPACT, MODEL),
        ),
        Trouble.OUTPUT_FULL: Remedy(
            "The answer is longer than the model may write at once.", "Have it go on, or ask for less.", (GO_ON,)
        ),
        Trouble.UNKNOWN_MODEL: Remedy("There is no such model.", "Choose one that opencode knows.", (MODEL,)),
        Trouble.UNKNOWN_AGENT: Remedy("There is no such agent.", "Choose one that opencode knows.", (AGENT,)),
        Trouble.DECLINED: Remedy(
            "The provider's filter does not let the model answer this.",
            "Say it in other words, or choose a model of another provider.",
            (MODEL,),
        ),
        Trouble.BAD_REQUEST: Remedy(
            "The provider does not take what opencode sent.",
            "Another model may; `/undo` takes back what it may not like, such as a file.",
            (RETRY, MODEL),
        ),
    }
)


def remedy(code: str) -> Remedy | None:
    """None for what is no trouble with a model."""
    return REMEDIES[Trouble(code)] if code in set(Trouble) else None


def explained(code: str, said: str) -> str:
    """The provider's words, with what they mean and what to do."""
    found = remedy(code)
    if found is None:
        return said
    words = f"{found.words} It says: {said}" if said else found.words
    return f"{words}\n{found.hint}"


def trying_again(code: str, reason: str, seconds: float) -> str:
    """In a live message, while opencode tries again by itself."""
    found = remedy(code)
    wait = f", again in {seconds:.0f} s" if seconds >= 1 else ""
    return f"{found.words.rstrip('.').lower() if found else f'the provider failed ({plain(reason[:REASON])})'}{wait}"
