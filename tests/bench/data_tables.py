"""The figures of data as lines for the terminal, and the targets that are promised (bench process)."""

from __future__ import annotations

from tests.bench.data_paths import PATHS
from tests.bench.report import Target
from tests.bench.video.medians import Rows, having, median, ratio

COLUMNS = {
    "mb_s": "MB/s",
    "latency_ms": "one array ms",
    "round_trip_1k_ms": "1 KiB ms",
    "round_trip_100k_ms": "100 KiB ms",
}


def table(rows: Rows) -> list[str]:
    """Medians over the rounds; with the ratio of the rate to the bare channel's."""
    lines = [f"  {'(1024, 1024) float64 (medians of rounds)':<44}" + "".join(f"{label:>14}" for label in COLUMNS.values())]
    lines[0] += f"{'of the bare':>14}"
    for name, path in PATHS.items():
        if not having(rows, path=name):
            continue
        cells = [_median(rows, name, column) for column in COLUMNS]
        cells.append(ratio(cells[0], _median(rows, "raw", "mb_s")))
        lines.append(f"  {path.label:<44}" + "".join(f"{_cell(cell):>14}" for cell in cells))
    return lines


def targets(rows: Rows) -> list[Target]:
    """Missing where one of the two was not measured."""
    value = ratio(_median(rows, "kernels", "mb_s"), _median(rows, "raw", "mb_s"))
    name = "arrays kernel to kernel: rate, ratio to the bare channel"
    return [Target("data", name, None if value is None else round(value, 3), 0.6, "higher")]


def _median(rows: Rows, path: str, column: str) -> float | None:
    return median(row.get(column) for row in having(rows, path=path))


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
