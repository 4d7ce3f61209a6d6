"""The parts' figures as lines for the terminal (bench process)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from tests.bench.video.medians import Rows, cpu, having, latency, longest_gap, median
from tests.bench.video.peers import PEERS

GROUPS = ("kernel", "engine", "browser", "server")


def peers(rows: Rows) -> list[str]:
    """Sizes and peers."""
    names = ("p50 ms", "p95 ms", "fps", "kbit/s", *(f"{group} %" for group in GROUPS), "1st array s", "full size s")
    lines = [_line("webcam to numpy (medians of rounds)", names)]
    shown = [(camera, peer) for camera in dict.fromkeys(row["camera"] for row in rows) for peer in PEERS]
    found = [(camera, peer, having(rows, camera=camera, peer=peer.name)) for camera, peer in shown]
    return lines + [_line(f"{camera:<9}{peer.label}", _medians(some)) for camera, peer, some in found if some]


def _medians(rows: Rows) -> list[float | None]:
    plain = [median(row[name] for row in rows) for name in ("fps", "kbit_s")]
    starts = [median(row[name] for row in rows) for name in ("first_array_s", "full_size_s")]
    return [latency(rows), latency(rows, "p95"), *plain, *(cpu(rows, group) for group in GROUPS), *starts]


def startup(rows: Rows) -> list[str]:
    lines = [_line("start-up of ours at 720p30", ("median s", "worst s"))]
    for name, label in (("first_array_s", "camera's track to first array"), ("full_size_s", "first array to full size")):
        times = [row[name] for row in rows if row[name] is not None]
        lines.append(_line(label, (median(times), max(times, default=None))))
    return lines


def busy(rows: Rows) -> list[str]:
    names = ("arrival p50", "p99.9 gap", "age after", "waited")
    lines = [_line("ours at 720p30, busy kernel [ms]", names)]
    for work in dict.fromkeys(row["work"] for row in rows):
        found = having(rows, work=work)
        arrivals = [row for row in found if "gaps_ms" in row]
        figures = [median(row["arrival_p50_ms"] for row in arrivals), longest_gap(arrivals)]
        lines.append(_line(work, [*figures, median(r["age_ms"] for r in found), median(r["waited_ms"] for r in found)]))
    return lines


def loss(rows: Rows) -> list[str]:
    lines = [_line("ours at 720p30, lost datagrams", ("p50 ms", "p95 ms", "fps", "kbit/s"))]
    shares = dict.fromkeys(row["loss"] for row in rows)
    return lines + [_line(f"{share:.0%}", _medians(having(rows, loss=share))[:4]) for share in shares]


def growth(rows: Rows) -> list[str]:
    names = ("p50 ms", "p95 ms", "fps each", "engine %", "per stream", "kernel %", "browser %")
    lines = [_line("ours, cameras that are read", names)]

    def case(row: dict[str, Any]) -> tuple[str, int, int]:
        return row["camera"], row["cameras"], row["read"]

    for (camera, on, read), grouped in groupby(sorted(rows, key=case), key=case):
        found = list(grouped)
        engine = cpu(found, "engine")
        each = median(fps for row in found for fps in row["fps"])
        share = None if engine is None or not read else engine / read
        figures = [latency(found), latency(found, "p95"), each, engine, share, cpu(found, "kernel"), cpu(found, "browser")]
        lines.append(_line(f"{camera}: {on} on, {read} read", figures))
    return lines


def _line(label: str, cells: Sequence[float | str | None]) -> str:
    return f"  {label:<38}" + "".join(f"{_cell(cell):>12}" for cell in cells)


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
