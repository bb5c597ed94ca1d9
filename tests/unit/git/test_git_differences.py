"""Reading what git prints with `--numstat -z`."""

import os

from hypothesis import given
from hypothesis import strategies as st

from adapters.git.differences import file_changes
from core.ports import FileChange

paths = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
counts = st.integers(0, 10**9)
changes = st.one_of(
    st.builds(FileChange, paths, counts, counts, st.just("") | paths),
    st.builds(FileChange, paths, before=st.just("") | paths, binary=st.just(True)),
)


def printed(change):
    counted = "-\t-" if change.binary else f"{change.added}\t{change.removed}"
    if change.before:
        return [f"{counted}\t", change.before, change.path]
    return [f"{counted}\t{change.path}"]


@given(st.lists(changes, unique_by=lambda change: change.path))
def test_what_was_printed_is_read(given_changes):
    fields = [field for change in given_changes for field in printed(change)]
    assert file_changes(fields) == sorted(given_changes, key=lambda change: change.path)


@given(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw))
def test_every_path_can_be_sent(raw):
    (change,) = file_changes([f"1\t0\t{os.fsdecode(raw)}"])
    assert change.path.encode()
