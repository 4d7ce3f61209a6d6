"""The figure build/bench-webcam.png (bench process)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.video.medians import Rows, cpu, having, latency, median
from tests.bench.video.peers import PEERS

COLOURS = {"ours": "#1b6ca8", "ours-vp8": "#6fb1de", "stock": "#c9803c", "jpeg": "#8a8a8a"}
SHOWN = ("ours", "ours-vp8", "stock", "jpeg")
LABELS = {peer.name: peer.label for peer in PEERS}
BOX = ("p5", "p25", "p50", "p75", "p95")


def draw(data: dict[str, Rows], chromium: str, path: Path) -> None:
    """Eight panels; what was not measured stays empty."""
    look: Any = {
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
    }
    with mpl.rc_context(look):
        figure = Figure(figsize=(16, 8), layout="constrained")
        panels = list(figure.subplots(2, 4).flat)
        for panel in panels:
            panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        for panel, of_peers in zip(panels, (_latencies, _loads, _rates, _starts), strict=False):
            of_peers(panel, data.get("peers", []))
        _busy(panels[4], data.get("busy", []))
        _loss(panels[5], data.get("loss", []))
        _growing_latency(panels[6], data.get("growth", []))
        _growing_load(panels[7], data.get("growth", []))
        figure.suptitle(f"Webcam to numpy: from drawing to the array in the kernel, medians of rounds; Chromium {chromium}")
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=110)


def _groups(panel: Axes, rows: Rows) -> list[tuple[float, str, Rows]]:
    """Place, peer and rows of each bar; the sizes are named below."""
    cameras = list(dict.fromkeys(row["camera"] for row in rows))
    panel.set_xticks(range(len(cameras)), cameras)
    places = [(place, camera, number, peer) for place, camera in enumerate(cameras) for number, peer in enumerate(SHOWN)]
    bars = [
        (place + (number - 1.5) * 0.2, peer, having(rows, peer=peer, camera=camera)) for place, camera, number, peer in places
    ]
    return [bar for bar in bars if bar[2]]


def _latencies(panel: Axes, rows: Rows) -> None:
    panel.set_title("Latency [ms]: p5, quartiles, p50, p95")
    seen = set()
    for place, peer, found in _groups(panel, rows):
        low, lower, middle, upper, high = (latency(found, quantile) or 0.0 for quantile in BOX)
        panel.plot([place, place], [low, high], color=COLOURS[peer], linewidth=1)
        label = None if peer in seen else LABELS[peer]
        panel.bar(place, upper - lower, 0.16, lower, color=COLOURS[peer], label=label)
        panel.plot([place - 0.08, place + 0.08], [middle, middle], color="black", linewidth=1.4)
        panel.annotate(f"{middle:.0f}", (place, high), ha="center", va="bottom", fontsize=7)
        seen.add(peer)
    panel.set_yscale("log")
    panel.set_yticks([5, 10, 20, 50, 100, 200, 500], ["5", "10", "20", "50", "100", "200", "500"])
    panel.minorticks_off()
    if seen:
        panel.legend(fontsize=7, loc="upper left")


def _loads(panel: Axes, rows: Rows) -> None:
    panel.set_title("CPU [% of a core]: kernel + engine, server (hatched), browser (pale)")
    for place, peer, found in _groups(panel, rows):
        base = 0.0
        for share, look in (
            ((cpu(found, "kernel") or 0) + (cpu(found, "engine") or 0), {"alpha": 1.0}),
            (cpu(found, "server") or 0, {"alpha": 0.9, "hatch": "////", "edgecolor": "white"}),
            (cpu(found, "browser") or 0, {"alpha": 0.35}),
        ):
            panel.bar(place, share, 0.16, base, color=COLOURS[peer], **look)
            base += share


def _rates(panel: Axes, rows: Rows) -> None:
    panel.set_title("Pictures a second; on the bars: Mbit/s")
    for place, peer, found in _groups(panel, rows):
        rate = (median(row["kbit_s"] for row in found) or 0) / 1000
        height = median(row["fps"] for row in found) or 0
        panel.bar(place, height, 0.16, color=COLOURS[peer])
        panel.annotate(f"{rate:.1f}", (place, height / 2), ha="center", va="center", fontsize=7, rotation=90, color="white")


def _starts(panel: Axes, rows: Rows) -> None:
    panel.set_title("Camera's track to first array [s], to full size (pale)")
    for place, peer, found in _groups(panel, rows):
        first = median(row["first_array_s"] for row in found) or 0
        full = median(row["full_size_s"] for row in found) or 0
        panel.bar(place, first, 0.16, color=COLOURS[peer])
        panel.bar(place, full, 0.16, first, color=COLOURS[peer], alpha=0.35)


def _busy(panel: Axes, rows: Rows) -> None:
    panel.set_title("Busy kernel, 720p30: gaps between arrivals [ms]")
    works = [work for work in ("idle", "loop", "gil") if having(rows, work=work)]
    gaps = [[gap for row in having(rows, work=work) for gap in row["gaps_ms"]] for work in works]
    if gaps:
        panel.boxplot(gaps, whis=(1, 99), flierprops={"markersize": 2})
        names = {"idle": "idle", "loop": "pure-Python loop", "gil": "call that\nholds the GIL"}
        panel.set_xticks(range(1, len(works) + 1), [names[work] for work in works])
        panel.axhline(100, color="#aa3333", linewidth=0.8, linestyle="--")


def _loss(panel: Axes, rows: Rows) -> None:
    panel.set_title("Lost datagrams, 720p30: latency p50, p95 [ms]")
    losses = list(dict.fromkeys(row["loss"] for row in rows))
    for place, share in enumerate(losses):
        found = having(rows, loss=share)
        for offset, quantile, alpha in ((-0.17, "p50", 1.0), (0.17, "p95", 0.5)):
            value = latency(found, quantile) or 0
            panel.bar(place + offset, value, 0.3, color=COLOURS["ours"], alpha=alpha)
            panel.annotate(f"{value:.0f}", (place + offset, value), ha="center", va="bottom", fontsize=7)
    panel.set_xticks(range(len(losses)), [f"{share:.0%}" for share in losses])


def _growing_latency(panel: Axes, rows: Rows) -> None:
    panel.set_title("Cameras read, 640 x 360 at 30 fps: latency [ms]")
    for quantile, style in (("p50", "o-"), ("p95", "o:")):
        steps, found = _steps(rows)
        panel.plot(steps, [latency(some, quantile) or 0 for some in found], style, color=COLOURS["ours"], label=quantile)
    _finish(panel, rows)


def _growing_load(panel: Axes, rows: Rows) -> None:
    panel.set_title("... and CPU for each stream [% of a core]")
    steps, found = _steps(rows)
    for group, colour in (("engine", "#c9803c"), ("kernel", "#555555"), ("browser", "#bbbbbb")):
        shares = [(cpu(some, group) or 0) / step for step, some in zip(steps, found, strict=True)]
        panel.plot(steps, shares, "s--", color=colour, label=group)
    _finish(panel, rows)


def _steps(rows: Rows) -> tuple[list[int], list[Rows]]:
    steps = sorted({row["read"] for row in rows if row["camera"] == "360p30" and row["read"]})
    return steps, [having(rows, camera="360p30", read=step) for step in steps]


def _finish(panel: Axes, rows: Rows) -> None:
    steps, _ = _steps(rows)
    panel.set_xscale("log", base=2)
    panel.set_xticks(steps, [str(step) for step in steps])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    if steps:
        panel.legend(fontsize=7)
