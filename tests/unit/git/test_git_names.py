"""Names of snapshots as refs that git takes, whatever the session is called."""

import os
import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.git.snapshots import snapshot_ref
from core.errors import WorkspaceError


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
@example("a~b/1/before")
@example("@{-1}")
@example("-x/@")
@example("a.lock/b")
def test_every_name_is_refused_or_becomes_a_valid_ref(name):
    try:
        ref = snapshot_ref(name)
    except WorkspaceError:
        return
    assert ref.startswith("refs/kugetsu/")
    done = subprocess.run(["git", "check-ref-format", ref], env={"PATH": os.environ["PATH"]}, check=False)
    assert done.returncode == 0, ref


@given(st.text("ab~%/é", max_size=6), st.text("ab~%/é", max_size=6))
def test_two_names_never_share_a_ref(one, two):
    try:
        assert (snapshot_ref(one) == snapshot_ref(two)) == (one == two)
    except WorkspaceError:
        return
