"""Figures out of raw rows: medians over rounds, ratios of them; missing ones stay missing (bench process)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]
"""As they stand in build/bench.json."""


def median(values: Iterable[float | None]) -> float | None:
    """Of what is there."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def ratio(one: float | None, other: float | None) -> float | None:
    """None where either is missing."""
    return one / other if one is not None and other else None


def having(rows: Rows, **wanted: Any) -> Rows:
    """The rows with these values, without those of rounds that failed."""
    return [row for row in rows if "error" not in row and all(row[name] == value for name, value in wanted.items())]


def latency(rows: Rows, quantile: str = "p50") -> float | None:
    """Median over the rounds, in ms."""
    return median(row["latency_ms"].get(quantile) for row in rows)


def cpu(rows: Rows, group: str) -> float | None:
    """Median over the rounds, in percent of a core."""
    return median(row["cpu"][group] for row in rows)


def longest_gap(rows: Rows) -> float | None:
    """The p99.9 gap between arrivals in all rounds together, in ms."""
    gaps = [gap for row in rows for gap in row["gaps_ms"]]
    return float(np.percentile(gaps, 99.9)) if gaps else None
