"""The environment of `opencode run`: configuration of ours, merged over the user's by opencode itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from adapters.opencode.http import PASSWORD_VARIABLE
from core.errors import ConfigurationError

CONTENT_VARIABLE = "OPENCODE_CONFIG_CONTENT"  # the last one opencode merges, but for what an administrator manages


def command_environment(
    env: Mapping[str, str], configuration: Mapping[str, Any], instructions: Path | None
) -> dict[str, str]:
    """`env` with `configuration`, and the file `instructions` for the model. What the variable has already stays.

    Raises ConfigurationError when that cannot be read.
    """
    content: dict[str, Any] = {}
    if given := env.get(CONTENT_VARIABLE, "").strip():
        try:
            content = msgspec.json.decode(given, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"{CONTENT_VARIABLE} is set, and is not plain JSON: {error}",
                "Write it without comments, or put it into an opencode.json",
            ) from error
    content = _merged(content, configuration)
    if instructions:
        content["instructions"] = [*content.get("instructions", []), str(instructions)]
    kept = {name: value for name, value in env.items() if name != PASSWORD_VARIABLE}  # nobody is to be served here
    return {**kept, CONTENT_VARIABLE: msgspec.json.encode(content).decode()}


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As opencode merges."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
