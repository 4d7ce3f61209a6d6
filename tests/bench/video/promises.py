"""The targets that are promised for the webcam's way into numpy, and what was measured for each (bench process)."""

from __future__ import annotations

from typing import Any

from tests.bench.report import Target
from tests.bench.video.medians import Rows, cpu, having, latency, longest_gap, median, ratio

Data = dict[str, Rows]
"""Rows by part: ``peers``, ``startup``, ``busy``, ``loss``; parts that failed are missing or empty."""


def targets(data: Data) -> list[Target]:
    """All of them, measured or not."""
    return [*_peers(data.get("peers", [])), *_startup(data), *_busy(data.get("busy", [])), *_loss(data.get("loss", []))]


def _peers(rows: Rows) -> list[Target]:
    def against(peer: str, camera: str) -> float | None:
        ours, theirs = (having(rows, peer=name, camera=camera) for name in ("ours", peer))
        return ratio(latency(ours), latency(theirs))

    ours, stock = (having(rows, peer=peer, camera="720p30") for peer in ("ours", "stock"))
    return [
        _lower("720p30: latency p50, ratio to aiortc in a thread", against("stock", "720p30"), 0.5),
        _lower("720p30: latency p50, ratio to JPEG over comm", against("jpeg", "720p30"), 1.1),
        _lower("1080p30: latency p50, ratio to JPEG over comm", against("jpeg", "1080p30"), 0.35),
        _lower("720p30: CPU of the engine, ratio to (a)'s kernel", ratio(cpu(ours, "engine"), cpu(stock, "kernel")), 1.1),
    ]


def _startup(data: Data) -> list[Target]:
    rows = data.get("startup", [])
    # One that never had its full size must not improve the median by being missing.
    full = [row["full_size_s"] if row["full_size_s"] is not None else float("inf") for row in rows]
    return [
        _lower("first array after the camera's track is there [s]", median(row["first_array_s"] for row in rows), 0.5),
        _lower("full resolution after the first frame [s]", median(full), 2.0),
    ]


def _busy(rows: Rows) -> list[Target]:
    found = []
    idle = median(row["arrival_p50_ms"] for row in having(rows, work="idle"))
    for work, name in (("loop", "pure-Python loop"), ("gil", "3 s call that holds the GIL")):
        during = having(rows, work=work)
        arrival = median(row["arrival_p50_ms"] for row in during)
        found.append(_lower(f"{name}: arrival p50, ratio to idle", ratio(arrival, idle), 1.2))
        found.append(_lower(f"{name}: p99.9 gap between arrivals [ms]", longest_gap(during), 100))
    age = median(row["age_ms"] for row in having(rows, work="gil"))
    return [*found, _lower("first latest() after the call: age of its frame [ms]", age, 50)]


def _loss(rows: Rows) -> list[Target]:
    def p95(loss: float) -> float | None:
        return latency(having(rows, loss=loss), "p95")

    return [
        _lower("2 % loss: latency p95, ratio to none", ratio(p95(0.02), p95(0.0)), 1.5),
        _lower("5 % loss: latency p95, ratio to none", ratio(p95(0.05), p95(0.0)), 2.5),
    ]


def _lower(name: str, value: Any, target: float) -> Target:
    known = value is not None and value != float("inf")
    return Target("webcam", name, round(float(value), 3) if known else None, target, "lower")
