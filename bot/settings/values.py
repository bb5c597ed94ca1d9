"""The kinds of value a configuration has beyond what pydantic knows. A refusal completes "`key`: …"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

from bot.settings.source import KeyPath, Substituted, retyped
from core import refs
from core.errors import RefError
from core.model import LOCAL_INSTANCE

MAX_DURATION = timedelta(days=3650)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,6})?\s*[smhdw]\s*)+", re.ASCII)
_PERSON = re.compile(r"(?:telegram|discord):[1-9][0-9]{0,19}|matrix:@[^\s:]+:\S+|console:local", re.ASCII)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MODEL = re.compile(r"[^\s/]+/\S+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a value may depend on: the folder of its file, the home folder, and where variables were named."""

    folder: Path
    home: Path
    references: tuple[tuple[KeyPath, str], ...] = ()


def unshown(text: str) -> PydanticCustomError:
    """A refusal that never quotes the value."""
    return PydanticCustomError("unshown", "{text}", {"text": text})


def _from_environment(value: Any) -> Any:
    return retyped(value) if isinstance(value, Substituted) else value


def _expanded(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    surroundings = info.context if isinstance(info.context, Surroundings) else Surroundings(Path(), Path.home())
    if not value:
        raise unshown("must not be empty")
    if value == "~" or value.startswith("~/"):
        return surroundings.home / value[2:]
    if value.startswith("~"):
        raise ValueError("must not name another user's home; write the whole path")
    return surroundings.folder.absolute() / value


def off_is_a_word(value: Any) -> Any:
    """YAML reads a bare `off` as false; where `off` is one of the choices, that is what was meant."""
    return "off" if value is False else value


def _command(value: str, info: ValidationInfo) -> str:
    return str(_expanded(value, info)) if value.startswith("~") else value


def _duration(value: Any) -> Any:
    value = _from_environment(value)
    if isinstance(value, timedelta):
        return value
    seconds = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and len(value) < 40 and _DURATION.fullmatch(value.strip()):
        seconds = sum(
            float(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[0-9.]+[smhdw]", value.replace(" ", ""))
        )
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        raise ValueError("must be a duration such as 90s, 10m, 24h or 30d")
    return timedelta(seconds=seconds)


def _url(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\\]", value):
        raise unshown("must be a URL that starts with http:// or https://")
    if "@" in parts.netloc:
        raise unshown("must not contain a user or password; there are keys of their own for that")
    return value.rstrip("/")


def _listen(value: str) -> str:
    if not value:
        return value
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", value)
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError("must be host:port, such as 127.0.0.1:8421")
    return value


def _instance(value: str) -> str:
    if value.lower() == LOCAL_INSTANCE:
        raise ValueError(f"must not be `{LOCAL_INSTANCE}`, which stands for work without a forge")
    try:
        return refs.parse_project("owner/repo", value).instance
    except RefError:
        raise ValueError("must be a host name, such as github.com") from None


def _person(value: str) -> str:
    if not _PERSON.fullmatch(value):
        raise ValueError("must be a person id, such as telegram:12345, discord:2000 or matrix:@user:example.org")
    return value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts or value.startswith("~"):
        raise ValueError("must be a path inside the checkout, such as .env")
    return value


def _model(value: str) -> str:
    if value and not _MODEL.fullmatch(value):
        raise ValueError("must be provider/model, such as anthropic/claude-sonnet-4-5")
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        raise unshown("must be the name of an environment variable: letters, digits and _")
    return value


def _zone(value: str) -> str:
    if value == "UTC":  # always known, also where no time zone data is installed
        return value
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError):  # unknown; a path out of the folder; a folder of zones
        raise ValueError("must be a time zone such as Europe/Berlin or UTC") from None


def _filled(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise unshown("must not be empty")
    return value


Text = Annotated[str, Field(min_length=1)]
YesNo = Annotated[bool, Strict(), BeforeValidator(_from_environment)]
Whole = Annotated[int, Strict(), BeforeValidator(_from_environment)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
CountOrNone = Annotated[Whole, Field(ge=0, le=1_000_000)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
FilePath = Annotated[Path, BeforeValidator(_expanded)]
Command = Annotated[str, Field(min_length=1), AfterValidator(_command)]
Url = Annotated[str, AfterValidator(_url)]
NeededUrl = Annotated[str, Field(min_length=1), AfterValidator(_url)]
Listen = Annotated[str, AfterValidator(_listen)]
Instance = Annotated[str, AfterValidator(_instance)]
PersonText = Annotated[str, AfterValidator(_person)]
InsidePath = Annotated[str, AfterValidator(_inside)]
ModelName = Annotated[str, AfterValidator(_model)]
EnvName = Annotated[str, AfterValidator(_env_name)]
Zone = Annotated[str, AfterValidator(_zone)]
NeededSecret = Annotated[SecretStr, AfterValidator(_filled)]
NO_SECRET = SecretStr("")
