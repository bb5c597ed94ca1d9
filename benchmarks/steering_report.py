"""Targets of the steering rows."""

from __future__ import annotations

from benchmarks.report import Target, ms


def at_most(what: str, found_ms: float, most_ms: float) -> Target:
    """A target of the steering rows."""
    return Target(what, f"≤ {most_ms:,g} ms", f"{ms(found_ms)} ms", found_ms <= most_ms)
