"""What people type, understood by the table of commands: a command, or what is wrong with it and an example. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from core import refs
from core.command_table import REF, TABLE, Group, Need, Option, Spec
from core.errors import UsageError
from core.model import SessionKey
from core.refs import RefContext

__all__ = [
    "REF",
    "TABLE",
    "Command",
    "Group",
    "Need",
    "Option",
    "Spec",
    "find",
    "is_command",
    "named",
    "near_miss",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asked for, understood."""

    spec: Spec
    ref: SessionKey | None = None
    message: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str:
        """The value given, "yes" for a flag, "" when absent."""
        return dict(self.options).get(name, "")


_WORD = re.compile(r"\S+")


def is_command(text: str) -> bool:
    """`/start …` or `!start …`; a lone slash, a path or `!!` is plain text."""
    return bool(re.match(r"[/!][A-Za-z]", text)) and not re.match(r"/\S*/", text)


def named(text: str) -> Spec | None:
    """The command that a line begins with; None when it `is_command` of none."""
    return find(_take_word(text[1:])[0]) if is_command(text) else None


def find(name: str) -> Spec | None:
    """By name, whatever its case."""
    return next((spec for spec in TABLE if spec.name == name.lower()), None)


def parse(text: str, context: RefContext) -> Command:
    """A line that `is_command`. Raises UsageError or RefError, both with an example that works."""
    name, rest = _take_word(text[1:])
    spec = find(name)
    if spec is None:
        raise UsageError(f"There is no command `{name[:40]}`.", near_miss(name))
    options, rest, ended = _options(spec, rest)
    ref: SessionKey | None = None
    if spec.ref is not Need.NO:
        word, after = _take_word(rest)
        if spec.ref is Need.MUST and not word:
            raise UsageError(f"`{spec.name}` needs to know the issue.", _example(spec))
        if word and (spec.ref is Need.MUST or spec.leads or (not ended and refs.looks_like_ref(word))):
            ref, rest = refs.parse_session(word, context), after
            if not ended:
                more, rest, _ = _options(spec, rest)
                options = (*options, *more)
    if spec.message is Need.MUST and not rest.strip():
        raise UsageError(f"`{spec.name}` needs a {spec.message_name}.", _example(spec))
    if spec.message is Need.NO and rest.strip():
        raise UsageError(f"`{spec.name}` does not take `{rest.strip()[:40]}`.", f"Usage: `/{spec.usage}`.")
    return Command(spec, ref, rest.strip(), options)


def near_miss(name: str) -> str:
    """The nearest right command and an example of it."""
    close = difflib.get_close_matches(name[:40].lower(), [spec.name for spec in TABLE], n=1, cutoff=0.5)
    spec = find(close[0]) if close else None
    return f"Did you mean `/{spec.name}`? {_example(spec)}" if spec else "`/help` lists what there is."


def _example(spec: Spec) -> str:
    return f"For example: `/{spec.examples[0]}`."


def _take_word(text: str) -> tuple[str, str]:
    match = _WORD.search(text)
    return (match[0], text[match.end() :]) if match else ("", "")


def _options(spec: Spec, text: str) -> tuple[tuple[tuple[str, str], ...], str, bool]:
    """Leading `--name value` of `text`, what follows, and whether a lone `--` ended them.

    A command without options leaves other dashes to the message.
    """
    found: list[tuple[str, str]] = []
    while True:
        word, after = _take_word(text)
        if word == "--":
            return tuple(found), after, True
        if not (spec.options and (word.startswith("--") or any(word in option.spellings for option in spec.options))):
            return tuple(found), text, False
        option = next((option for option in spec.options if word in option.spellings), None)
        if option is None:
            raise UsageError(f"`{spec.name}` has no option `{word[:40]}`.", f"Usage: `/{spec.usage}`.")
        text = after
        value = "yes"
        if option.value:
            value, text = _take_word(text)
            if not value:
                raise UsageError(f"`{word}` needs a value.", f"Usage: `/{spec.usage}`.")
        found.append((option.name, value))
