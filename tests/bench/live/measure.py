"""How old pictures are when a page shows them, and what that costs kernel and engine (bench process)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.live.ways import Way, chains, films
from tests.bench.report import Options
from tests.bench.video.camera import HD
from tests.bench.video.cpu import CpuMeter, of_notebook
from tests.bench.video.medians import Rows
from tests.bench.video.rig import Rig
from tests.browser.lab import NotebookPage
from tests.support import wait_for

READER = Path(__file__).with_name("reader.js")
WARM_UP = 4.0
"""Seconds in which bitrates find their height."""


def measure_films(rig: Rig, options: Options) -> Rows:
    sizes = ["720p"] if options.quick else ["480p", "720p", "1080p"]
    return [
        _row(rig, options, way, {"size": size, "way": way.name}, camera=False)
        for _ in range(options.rounds)
        for size in sizes
        for way in films(size)
    ]


def measure_chains(rig: Rig, options: Options) -> Rows:
    return [_row(rig, options, way, {"way": way.name}, camera=way.is_ours) for _ in range(options.rounds) for way in chains()]


def _row(rig: Rig, options: Options, way: Way, about: dict[str, Any], camera: bool) -> dict[str, Any]:
    try:
        row = {**about, **_measured(rig, options, way, camera)}
    except Exception as error:  # whatever a browser, a server and a kernel may do wrong: this row only
        row = {**about, "error": f"{type(error).__name__}: {error}"[:500]}
    print(f"  {as_line(row)}", flush=True)
    return row


def _measured(rig: Rig, options: Options, way: Way, camera: bool) -> dict[str, Any]:
    with rig.context(HD) as context, rig.notebook(context, list(way.cells)) as notebook:
        notebook.run_all()
        if way.is_ours:
            notebook.room_joined()
        if camera:
            notebook.switch_camera_on()
        if way.after:
            notebook.execute(way.after)
        notebook.page.evaluate(f"({READER.read_text()})({way.find})")
        wait_for(lambda: notebook.page.evaluate("benchAges().length"), 30, "pictures with a stamp")
        notebook.page.wait_for_timeout(1000 * WARM_UP)
        return _window(rig, options, way, notebook)


def _window(rig: Rig, options: Options, way: Way, notebook: NotebookPage) -> dict[str, Any]:
    notebook.page.evaluate("benchAges()")
    made, sent, begun = notebook.evaluate(way.made), notebook.evaluate(way.sent), time.monotonic()
    meter = CpuMeter(of_notebook(notebook.evaluate("os.getpid()"), rig.server.pid))
    notebook.page.wait_for_timeout(1000 * options.seconds)
    ages, cpu = notebook.page.evaluate("benchAges()"), meter.percent()
    seconds = time.monotonic() - begun
    cpu["film"] = round(100 * (notebook.evaluate(way.made) - made) / seconds, 1)
    cpu["kernel"] = round(cpu["kernel"] - cpu["film"], 1)
    kbps = (notebook.evaluate(way.sent) - sent) * 8 / seconds / 1000
    if not ages:
        raise AssertionError("no pictures any more")
    return {
        "latency_ms": {name: round(float(np.percentile(ages, at)), 1) for name, at in (("p50", 50), ("p95", 95))},
        "fps": round(len(ages) / options.seconds, 1),
        "kbps": round(kbps),
        "cpu": cpu,
    }


def as_line(row: dict[str, Any]) -> str:
    name = f"{row.get('size', ''):6}{row['way']:30}"
    if "error" in row:
        return f"{name}{row['error']}"
    latency, cpu = row["latency_ms"], row["cpu"]
    return (
        f"{name}p50 {latency['p50']:6.1f} ms, p95 {latency['p95']:6.1f} ms, {row['fps']:5.1f} fps, {row['kbps']:6.0f} kbit/s, "
        f"kernel {cpu['kernel']:5.1f} %, engine {cpu['engine']:5.1f} % of a core (film {cpu['film']:.1f})"
    )
