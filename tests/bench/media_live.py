"""Numpy to shown pixels, and a webcam through numpy and back, beside other ways: ``python -m tests.bench media_live``
(bench process)."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.live.measure import as_line, measure_chains, measure_films
from tests.bench.report import Options, Result, Target
from tests.bench.video.medians import Rows, cpu, having, latency, median, ratio
from tests.bench.video.rig import Rig, open_rig

PARTS: dict[str, Callable[[Rig, Options], Rows]] = {"films": measure_films, "chains": measure_chains}


def run(options: Options) -> Result:
    """Both parts, or those that are asked for; rows that failed say why, and the others go on."""
    data: dict[str, Rows] = {}
    with open_rig() as rig:
        for name, measure in PARTS.items():
            if not options.parts or name in options.parts:
                print(f"media_live, {name}: measuring", flush=True)
                data[name] = measure(rig, options)
    failures = {f"{name}, row {n}": row["error"] for name, rows in data.items() for n, row in enumerate(rows) if "error" in row}
    return Result(data, targets(data), failures)


def medians(rows: Rows) -> list[str]:
    """One line a way and size."""
    keys = dict.fromkeys((row.get("size", ""), row["way"]) for row in rows)
    lines = []
    for size, way in keys:
        found = [row for row in having(rows, way=way) if row.get("size", "") == size]
        if found:
            middle = {"p50": latency(found) or 0.0, "p95": latency(found, "p95") or 0.0}
            used = {group: cpu(found, group) or 0.0 for group in ("kernel", "engine", "film")}
            row = {"size": size, "way": way, "latency_ms": middle, "cpu": used}
            lines.append(as_line({**row, **{name: median(each[name] for each in found) or 0.0 for name in ("fps", "kbps")}}))
    return lines


def targets(data: dict[str, Rows]) -> list[Target]:
    found = []
    if films := data.get("films"):
        print("medians:", *medians(films), sep="\n  ")
        mine, stock = (having(films, size="720p", way=way) for way in ("ours", "stock"))
        found.append(_target("720p, array to shown pixel: p50, ratio to aiortc", ratio(latency(mine), latency(stock)), 0.8))
        found.append(_target("720p: CPU of the kernel, percent of a core", cpu(mine, "kernel") if mine else None, 5))
    if chains := data.get("chains"):
        print("medians:", *medians(chains), sep="\n  ")
        idle, busy, stock = (having(chains, way=way) for way in ("ours", "ours, kernel computes", "stock"))
        found.append(_target("720p, camera, numpy and back: p50, ratio to aiortc", ratio(latency(idle), latency(stock)), 0.9))
        found.append(
            _target("the same while the kernel computes: p50, ratio to idle", ratio(latency(busy), latency(idle)), 1.2)
        )
    return found


def _target(name: str, value: float | None, target: float) -> Target:
    return Target("media_live", name, value, target, "lower")
