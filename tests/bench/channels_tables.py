"""The figures of data channels as lines for the terminal, and the targets that are promised (bench process)."""

from __future__ import annotations

from typing import Any, Literal

from tests.bench.channels_raw import CHROMIUM, DELAYS, LOSSES, OURS, SINGLE, SMALL, STOCK, WRTC
from tests.bench.report import Target
from tests.bench.video.medians import Rows, having, median, ratio

NAMES = {
    OURS: "ours",
    SMALL: "ours, 1200-byte packets",
    SINGLE: "ours, one packet a call",
    STOCK: "aiortc",
    WRTC: "wrtc",
    CHROMIUM: "Chromium",
}


def table(rows: Rows) -> list[str]:
    """Medians over the rounds."""
    lines = [f"  {'data channels (medians of rounds)':<58}{'MB/s':>10}{'1 KiB ms':>12}{'100 KiB ms':>12}"]
    seen: dict[str, Rows] = {}
    for row in rows:
        if "pair" in row and "error" not in row and row["part"] != "shares":
            seen.setdefault(_label(row), []).append(row)
    for label, some in seen.items():
        columns = [median(row.get(name) for row in some) for name in ("mb_s", "round_trip_1k_ms", "round_trip_100k_ms")]
        lines.append(f"  {label:<58}{_cell(columns[0]):>10}{_cell(columns[1]):>12}{_cell(columns[2]):>12}")
    return lines


def _label(row: dict[str, Any]) -> str:
    sender, receiver = (NAMES[kind] for kind in row["pair"])
    path = f", {row['loss']:.1%} lost" if "loss" in row else f", {2000 * row['delay']:g} ms away" if "delay" in row else ""
    return (sender if sender == receiver else f"{sender} to {receiver}") + path


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def targets(rows: Rows) -> list[Target]:
    """Missing where one of the two was not measured."""
    return [*_rates(rows), *_round_trips(rows), *_paths(rows), *_pages(rows), *_others(rows)]


def _figure(rows: Rows, part: str, sender: str, receiver: str, column: str = "mb_s", path: float | None = None) -> float | None:
    """``path`` is the loss or the delay of that part."""
    found = [row for row in having(rows, part=part) if tuple(row["pair"]) == (sender, receiver)]
    return median(row.get(column) for row in found if path is None or row.get(part) == path)


def _target(name: str, value: float | None, promised: float, better: Literal["lower", "higher"] = "higher") -> Target:
    return Target("channels", name, None if value is None else round(value, 3), promised, better)


def _rates(rows: Rows) -> list[Target]:
    def rate(sender: str, receiver: str) -> float | None:
        return _figure(rows, "rates", sender, receiver)

    small, wrtc, stock = rate(SMALL, SMALL), rate(WRTC, WRTC), rate(STOCK, STOCK)
    return [
        _target("1200-byte packets: rate, ratio to wrtc", ratio(small, wrtc), 1.3),
        _target("1200-byte packets: rate, ratio to aiortc", ratio(small, stock), 10),
        _target("1200-byte packets, one a call: rate, ratio to wrtc", ratio(rate(SINGLE, SINGLE), wrtc), 0.95),
        _target("large packets: rate, ratio to wrtc", ratio(rate(OURS, OURS), wrtc), 5),
        _target("ours to aiortc: rate, ratio to aiortc to aiortc", ratio(rate(OURS, STOCK), stock), 1.0),
        _target("aiortc to ours: rate, ratio to aiortc to aiortc", ratio(rate(STOCK, OURS), stock), 1.0),
    ]


def _round_trips(rows: Rows) -> list[Target]:
    def time(kind: str, size: str) -> float | None:
        return _figure(rows, "rates", kind, kind, f"round_trip_{size}_ms")

    return [
        _target("round trip of 1 KiB, ratio to aiortc", ratio(time(OURS, "1k"), time(STOCK, "1k")), 0.85, "lower"),
        _target("round trip of 100 KiB, ratio to wrtc", ratio(time(OURS, "100k"), time(WRTC, "100k")), 0.4, "lower"),
    ]


def _paths(rows: Rows) -> list[Target]:
    found = []
    for name, words, promised in (("loss", "{:.1%} lost", 1.0), ("delay", "{:g} ms away", 0.9)):
        for value in LOSSES if name == "loss" else DELAYS:
            rates = [_figure(rows, name, kind, kind, path=value) for kind in (OURS, WRTC)]
            shown = words.format(value if name == "loss" else 2000 * value)
            found.append(_target(f"{shown}: rate, ratio to wrtc", ratio(*rates), promised))
    return found


def _pages(rows: Rows) -> list[Target]:
    there = [_figure(rows, "chromium", kind, CHROMIUM) for kind in (OURS, WRTC)]
    back = [_figure(rows, "chromium", CHROMIUM, kind) for kind in (OURS, WRTC)]
    return [
        _target("to Chromium: rate, ratio to wrtc to it", ratio(*there), 1.3),
        _target("from Chromium: rate, ratio to wrtc from it", ratio(*back), 1.0),
    ]


def _others(rows: Rows) -> list[Target]:
    def work(kind: str) -> float | None:
        return median(row.get("mb_s") for row in having(having(rows, part="busy"), work=kind))

    def delay(moving: bool) -> float | None:
        return median(row.get("p95_ms") for row in having(having(rows, part="camera"), moving=moving))

    return [
        _target("four channels: the slowest's share of the mean", _figure(rows, "shares", OURS, OURS, "slowest_share"), 0.8),
        _target("sender's kernel computes: rate, ratio to idle", ratio(work("kernel"), work("idle")), 0.9),
        _target("arrays beside a camera: its p95, ratio to alone", ratio(delay(True), delay(False)), 1.5, "lower"),
    ]
