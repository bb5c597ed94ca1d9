"""`config.yaml` as text → a plain tree, with the line of every key and all that is wrong with the text itself.

PyYAML's constructors forget lines, keep the last of two equal keys and expand aliases without limit, so the nodes it
composes are walked here. No problem text quotes a value: it may be a secret that was typed in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

MAX_BYTES = 512 * 1024  # about 1000 projects; PyYAML reads some 100 KB/s
MAX_DEPTH = 24  # the deepest known key is at 5; below Python's recursion limit by far
MAX_VALUES = 50_000  # aliases expanded: what a "billion laughs" file runs into

_REFERENCE = re.compile(r"\$(?:\$\{|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\{)")
_TEXT_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_QUOTED = re.compile(r"'(?P<words>[^']*)'")
_TAB = "found character '\\t' that cannot start any token"


class Substituted(str):
    """Text that came, at least in part, from the environment: never shown, and retyped where a number is wanted."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must be changed. `line` counts from 1; 0: the file as a whole."""

    line: int
    path: KeyPath
    text: str

    def sentence(self, file: str) -> str:
        """`config.yaml:12: opencode.transport: must be …`."""
        where = f"{file}:{self.line}" if self.line else file
        return f"{where}: {shown_path(self.path)}: {self.text}" if self.path else f"{where}: {self.text}"


@dataclass(slots=True)
class Source:
    """What a file says. `references` are the environment variables it names, by the key they were named in."""

    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    references: list[tuple[KeyPath, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """Of the key, or of the nearest key above that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def value(self, path: KeyPath) -> Any:
        """What the file has at `path`; None where it has nothing."""
        value: Any = self.tree
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def shown_path(path: KeyPath) -> str:
    """`projects.github.com/o/r.copy[0]`, safe to print."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path)
    return text.removeprefix(".")


def printable(text: str, limit: int = 80) -> str:
    """`text` on one line, without what a terminal would obey."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= limit else f"{safe[:limit]}…"


def read(data: bytes, env: Mapping[str, str]) -> Source:
    """Never raises for what is in `data`: look at `problems`. A file that is no YAML at all has exactly one."""
    source = Source()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        source.problems.append(Problem(line, (), "is not UTF-8 text; save the file as UTF-8"))
        return source
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except _TooDeep as error:
        source.problems.append(Problem(error.line, (), f"nested more than {MAX_DEPTH} levels deep"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        source.problems.append(Problem(line, (), f"is not valid YAML: {_syntax(error.problem)}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        source.problems.append(Problem(line, (), "is not valid YAML: it contains a control character"))
    except (
        yaml.YAMLError,
        ValueError,
        OverflowError,
    ):  # the last two: chr() of "\UFFFFFFFF", which PyYAML lets through
        source.problems.append(Problem(0, (), "is not valid YAML"))
    else:
        _Walk(source, env, loader).top(node)
    return source


class _TooDeep(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _TooMuch(Exception):
    pass


class _Loader(yaml.SafeLoader):
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeep(self.line + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Walk:
    """One pass over the composed nodes."""

    def __init__(self, source: Source, env: Mapping[str, str], loader: yaml.SafeLoader) -> None:
        self._source = source
        self._env = env
        self._loader = loader
        self._values = 0

    def top(self, node: yaml.Node | None) -> None:
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(node, yaml.MappingNode):
            kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
            self._refuse(node, (), f"must be keys with values, like `debug: false`, not {kind}")
            return
        try:
            self._source.tree = self._mapping(node, ())
        except _TooMuch:
            self._refuse(
                node, (), f"has more than {MAX_VALUES} values or runs in circles; look at its aliases (`*name`)"
            )

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _TooMuch
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            return self._unknown_tag(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        items = []
        for index, item in enumerate(node.value):
            self._source.lines[(*path, index)] = item.start_mark.line + 1
            items.append(self._value(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a key must be plain text, not a list or a group")
                continue
            if key_node.tag == "tag:yaml.org,2002:merge":
                self._refuse(key_node, path, "`<<` is not understood here; write the keys out")
                continue
            key = key_node.value
            here = (*path, key)
            if key in result:
                first = self._source.lines[here]
                self._refuse(key_node, here, f"given twice, first in line {first}")
                continue
            if not self._clean(key, key_node, path, "a key"):
                continue
            self._source.lines[here] = key_node.start_mark.line + 1
            result[key] = self._value(value_node, here)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if node.tag in _TEXT_TAGS:
            return self._substitute(node, path) if self._clean(node.value, node, path, "the value") else None
        value = typed(self._loader, node)
        return self._unknown_tag(node, path) if value is NotImplemented else value

    def _substitute(self, node: yaml.ScalarNode, path: KeyPath) -> str | None:
        refused = False

        def replacement(match: re.Match[str]) -> str:
            nonlocal refused
            name, default = match["name"], match["default"]
            if match[0] == "$${":
                return "${"
            if name is None:
                text = "`${` begins no ${NAME} or ${NAME:-default}; write `$${` for the characters themselves"
                self._refuse(node, path, text)
                refused = True
                return ""
            self._source.references.append((path, name))
            value = self._env.get(name, "")
            if default is not None:
                value = value or default
            elif name not in self._env:
                self._refuse(node, path, f"environment variable {name} is not set, and no default is given")
                refused = True
            if any("\ud800" <= c <= "\udfff" for c in value):
                self._refuse(node, path, f"environment variable {name} does not hold UTF-8 text")
                refused = True
            return value

        text = _REFERENCE.sub(replacement, node.value)
        if refused:
            return None
        return text if text == node.value else Substituted(text)

    def _clean(self, text: str, node: yaml.Node, path: KeyPath, what: str) -> bool:
        bad = any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)
        if bad:
            self._refuse(node, path, f"{what} contains a character that is no text")
        return not bad

    def _unknown_tag(self, node: yaml.Node, path: KeyPath) -> None:
        self._refuse(node, path, "a `!tag` is not understood here; put text that starts with `!` in quotes")

    def _refuse(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self._source.problems.append(Problem(node.start_mark.line + 1, path, text))


def typed(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    """The number, boolean or nothing a scalar stands for; its text where that is out of range; else NotImplemented."""
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            return loader.bool_values.get(node.value.lower(), node.value)
        case "int" | "float" as kind if ":" not in node.value:  # base 60 of YAML 1.1 is never meant
            try:
                number = loader.construct_yaml_int(node) if kind == "int" else loader.construct_yaml_float(node)
            except (ValueError, IndexError):  # `0x_`, more digits than Python reads, `!!int ""`
                return node.value
            return number if abs(number) < 2**63 or number != number else node.value  # noqa: PLR0124 (nan)
        case "int" | "float":
            return node.value
        case _:
            return NotImplemented


def retyped(text: str) -> Any:
    """`text` as YAML reads it unquoted: for numbers and booleans that come from the environment."""
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    value = typed(loader, yaml.ScalarNode(tag, text))
    return text if value is NotImplemented else value


def _syntax(problem: str | None) -> str:
    if problem is None:
        return "it cannot be read"
    if problem == _TAB:
        return "a tab; YAML indents with spaces"
    if "undefined alias" in problem:
        return "text that starts with `*` must be in quotes"
    # PyYAML quotes its own tokens ('<stream end>', ',') and words of the file, of which one could be a secret.
    return _QUOTED.sub(lambda match: match[0] if len(match["words"]) < 2 or match["words"][0] == "<" else "…", problem)
