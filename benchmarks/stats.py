"""From samples to the figures that are reported."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """Milliseconds, unless whoever made it says otherwise."""

    count: int
    p50: float
    p95: float
    max: float


def summary(samples: Iterable[float]) -> Summary:
    """Percentiles by linear interpolation. Raises ValueError when there are fewer than two samples."""
    found = sorted(samples)
    if len(found) < 2:
        raise ValueError(f"{len(found)} samples are no measurement")
    p95 = statistics.quantiles(found, n=20, method="inclusive")[-1]
    return Summary(len(found), statistics.median(found), p95, found[-1])
