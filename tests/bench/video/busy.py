"""Whether pictures go on arriving while the kernel computes (bench process)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.bench.report import Options
from tests.bench.video.camera import HD
from tests.bench.video.peers import OURS, READ, start
from tests.bench.video.rig import Rig
from tests.bench.video.watcher import Watcher
from tests.browser.lab import NotebookPage

CALL = 3.0
"""Seconds of the C call that holds the GIL."""
WARM_UP = 3000

PREPARE = """
from tests.bench.video.stamps import drawn
def seconds_of(numbers):
    begin = time.perf_counter()
    sum(range(numbers))
    return time.perf_counter() - begin
# The best of several: what disturbs one would make the call too short.
numbers = int(10**7 * {call} / min(seconds_of(10**7) for _ in range(5)))
cam.latest()
def idle():
    time.sleep({seconds})
def loop():
    number, end = 0, time.time() + {seconds}
    while time.time() < end:
        number += 1
def gil():
    sum(range(numbers))
def timed(work):
    begin = time.time(); work(); end = time.time()
    frame = cam.latest()
    now = time.time()
    return {{"begin": begin, "end": end, "now": now, "drawn": drawn(frame.array)}}
"""
WORK = ("idle", "loop", "gil")
NO_LOOP = "cam.stop(); reading.join(); _ = cam.latest()"
"""From now on only cells read, with ``latest()``."""


def measure_busy(rig: Rig, options: Options) -> list[dict[str, Any]]:
    """Rows of ``work`` (idle, loop, gil): arrival latency, gaps, and the age of the first ``latest()`` afterwards."""
    with rig.context(HD) as context, rig.notebook(context, OURS.cells(READ)) as notebook:
        start(OURS, notebook)
        notebook.page.wait_for_timeout(WARM_UP)
        notebook.execute(PREPARE.format(call=CALL, seconds=options.seconds))
        with Watcher(notebook.evaluate("os.getpid()")) as watcher:
            rows = [_row(work, notebook, watcher) for _ in range(options.rounds) for work in WORK]
        notebook.execute(NO_LOOP)
        return rows + [{"work": "gil, no loop", **_first(_timed("gil", notebook))} for _ in range(options.rounds)]


def _timed(work: str, notebook: NotebookPage) -> dict[str, Any]:
    done: dict[str, Any] = json.loads(notebook.execute(f"import json; print(json.dumps(timed({work})))"))
    return done


def _row(work: str, notebook: NotebookPage, watcher: Watcher) -> dict[str, Any]:
    done = _timed(work, notebook)
    inside = [row for row in watcher.arrivals if done["begin"] <= row[0] < done["end"]]
    arrivals = [row[0] for row in inside]
    latencies = [row[0] - row[1] for row in inside if row[1] is not None]
    # From the begin to the end: a picture that never came is a gap too.
    gaps = np.diff([done["begin"], *arrivals, done["end"]]) * 1000
    return {
        "work": work,
        "arrival_p50_ms": round(float(np.median(latencies)) * 1000, 1),
        "gaps_ms": [round(float(gap), 1) for gap in gaps],
        "missed": watcher.missed,
        **_first(done),
    }


def _first(done: dict[str, Any]) -> dict[str, Any]:
    """How old what ``latest()`` returned after the work was, and how long it took."""
    age = None if done["drawn"] is None else round((done["now"] - done["drawn"]) * 1000, 1)
    return {
        "seconds": round(done["end"] - done["begin"], 2),
        "age_ms": age,
        "waited_ms": round((done["now"] - done["end"]) * 1000, 1),
    }
