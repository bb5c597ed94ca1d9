"""What pydantic found wrong → what a person must change. Neither secrets nor the environment's values are quoted."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.settings.source import KeyPath, Problem, Source, Substituted, printable


def problems(error: ValidationError, model: type[BaseModel], source: Source) -> Iterable[Problem]:
    """One for each of pydantic's errors, with the line of its key."""
    for detail in error.errors(include_url=False, include_input=False):
        path: KeyPath = tuple(step for step in detail["loc"] if step != "[key]")
        value = None if detail["loc"][-1:] == ("[key]",) else source.value(path)
        yield Problem(source.line(path), path, _text(detail, value, path, model))


def fields_at(model: type[BaseModel], path: KeyPath) -> dict[str, FieldInfo]:
    """The keys known at `path`, by the name the file uses; none where there are no fixed keys."""
    found: Any = model
    for step in path:
        found = _inner(found)
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = _by_key(found).get(str(step))
            if field is None:
                return {}
            found = field.annotation
        elif get_origin(found) is dict:
            found = get_args(found)[1]
        elif get_origin(found) is tuple:
            found = get_args(found)[0]
    found = _inner(found)
    return _by_key(found) if isinstance(found, type) and issubclass(found, BaseModel) else {}


def _inner(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, types.UnionType}:
        return next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def _by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _text(detail: ErrorDetails, value: Any, path: KeyPath, model: type[BaseModel]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "unshown":
            return detail["msg"]
        case "value_error":
            return f"{context['error']}{_not(value)}"
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return _unknown(str(path[-1]), fields_at(model, path[:-1]))
        case "literal_error":
            return f"must be {context['expected'].replace(chr(39), '')}{_not(value)}"
        case "int_type" | "int_from_float":
            return f"must be a whole number{_not(value)}"
        case "bool_type":
            return f"must be true or false{_not(value)}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{_not(value)}"
        case "less_than_equal":
            return f"must be at most {context['le']}{_not(value)}"
        case "string_type" | "path_type":
            scalar = isinstance(value, bool | int | float)
            return "must be text: put it in quotes" if scalar else f"must be text, not {_kind(value)}"
        case "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return f"must look like @user:example.org{_not(value)}"
        case "model_type" | "dict_type":
            return f"must be a group of keys, not {_kind(value)}"
        case "tuple_type":
            return f"must be a list, not {_kind(value)}"
        case _:
            return detail["msg"]


def _unknown(key: str, known: dict[str, FieldInfo]) -> str:
    if not known:
        return "unknown key; there is nothing to set here"
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here: {', '.join(sorted(known))}"


def _not(value: Any) -> str:
    if isinstance(value, Substituted):
        return "; look at the environment variable it comes from"
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, str):
        return f', not "{printable(value, 60)}"'
    return f", not {value}" if isinstance(value, int | float) else f", not {_kind(value)}"


def _kind(value: Any) -> str:
    names: list[tuple[type, str]] = [
        (dict, "a group of keys"),
        (list, "a list"),
        (str, "text"),
        (bool, "true or false"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "nothing" if value is None else "a number")
