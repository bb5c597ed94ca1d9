"""The dependency rule of ARCHITECTURE: bot → adapters → core, adapters apart, core on the standard library."""

import contextlib
import io
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[2]


def test_import_contracts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # import-linter reads pyproject.toml there
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = lint_imports(no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, said.getvalue()
