"""Whatever is in the file: settings or a ConfigurationError whose lines can be printed, nothing else."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.settings import load
from bot.settings.source import read
from core.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
KNOWN = st.sampled_from(sorted({step for path in read(EXAMPLE.read_bytes(), {}).lines for step in map(str, path)}))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=6)
    | st.sampled_from(["${A}", "${A:-x}", "${", "~", "~x", "24h", "telegram:1", "http://x"])
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KNOWN | st.text(max_size=8) | st.integers() | st.none(), inner, max_size=6)
    ),
    max_leaves=25,
)
SNIPPETS = st.lists(
    st.sampled_from(
        ["a: ", "- ", "&a ", "*a", "{", "}", "[", "]", "\n", "  ", "'", '"', "|\n", ">", "!x ", "%", "---\n"]
    )
    | st.sampled_from(
        ["? ", ": ", ", ", "# ", "\t", "<<: ", "\\", "\\x", "${", "\0", "\x85", "@", "`", "0x", "0b", "1:2"]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


def loads_or_explains(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(data)
        lines = ()
        try:
            load(path, {"A": "text", "HOME": folder})
        except ConfigurationError as error:
            lines = error.problems or ("nothing said",)
        for line in lines:
            assert line.startswith(str(path))
            assert line.isprintable()
            line.encode()


@given(st.dictionaries(KNOWN, TREES, max_size=6) | TREES)
@settings(max_examples=150, deadline=None)
def test_any_tree(tree: Any) -> None:
    loads_or_explains(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@given(SNIPPETS)
@example("\0: 1")
@example("- ? |\n!x &a")
@settings(max_examples=200, deadline=None)
def test_any_text(text: str) -> None:
    loads_or_explains(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_bytes(data: bytes) -> None:
    read(data, {})
