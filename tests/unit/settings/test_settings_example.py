"""`config.example.yaml` is complete, correct and loads as it stands."""

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from bot.settings import Settings, load
from bot.settings.source import read
from core.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
DYNAMIC = "*"  # a project's name, a forge's host, an environment variable, an index


def keys(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the model."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        yield from keys(next(part for part in arguments if part is not types.NoneType), path)
    elif origin in {dict, tuple}:
        yield from keys(arguments[1] if origin is dict else arguments[0], (*path, DYNAMIC))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            here = (*path, field.alias or name)
            yield here
            yield from keys(field.annotation, here)


def uncommented() -> bytes:
    """The example with its commented-out settings switched on: `#key`, `#  key` and `#    # explanation`."""
    return re.sub(r"^#(?! \S)", "", EXAMPLE.read_text(), flags=re.MULTILINE).encode()


def test_it_loads_with_an_empty_environment() -> None:
    settings = load(EXAMPLE, {"HOME": "/home/me"})
    defaults = load(None, {"HOME": "/home/me"})
    different = {name for name in Settings.model_fields if getattr(settings, name) != getattr(defaults, name)}
    assert different == {"forges"}
    assert settings.adapters.telegram is None


def test_every_key_is_in_it() -> None:
    source = read(uncommented(), {"TELEGRAM_TOKEN": "1:x", "DISCORD_TOKEN": "x", "MATRIX_PASSWORD": "x"})
    assert source.problems == []
    wild = {("forges", "github.com"), ("projects", "github.com/shoko/kugetsu")}
    shown = {
        tuple(DYNAMIC if isinstance(s, int) or path[: i + 1] in wild else s for i, s in enumerate(path))
        for path in source.lines
    }
    assert set(keys(Settings)) - shown == set()


def test_everything_in_it_is_right_but_not_built_yet(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(uncommented())
    with pytest.raises(ConfigurationError) as caught:
        load(path, {"TELEGRAM_TOKEN": "1:x", "DISCORD_TOKEN": "x", "MATRIX_PASSWORD": "x"})
    assert [line.partition(": ")[2] for line in caught.value.problems] == [
        f"adapters.{name}: not built yet in this version; remove it or comment it out" for name in ("discord", "matrix")
    ]


def test_its_secrets_come_from_the_environment() -> None:
    env = {"GITHUB_TOKEN": "forge-token", "OPENCODE_SERVER_PASSWORD": "server-password", "HOME": "/home/me"}
    settings = load(EXAMPLE, env)
    assert settings.secrets() == ("forge-token", "server-password")
    assert settings.secret_env_names() == ("GITHUB_TOKEN", "OPENCODE_SERVER_PASSWORD")
