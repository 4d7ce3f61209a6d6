"""How long until the first picture, and until pictures of full size (bench process)."""

from __future__ import annotations

from typing import Any

from tests.bench.report import Options
from tests.bench.video.camera import HD
from tests.bench.video.peers import OURS, start
from tests.bench.video.rig import Rig, camera_state
from tests.bench.video.rounds import full_size

REPETITIONS = 5
WATCH = 3.0
"""Seconds after the first picture in which the full size is looked for."""

WAIT_FOR_FIRST = """
cam = room.camera
recorder.add(cam.latest(timeout=60).array, time.time())
reading = recorder.follow(cam)
"""


def measure_startup(rig: Rig, options: Options) -> list[dict[str, Any]]:
    """Each time in a fresh page and a fresh kernel, whose cell waits in ``latest()`` when the camera comes."""
    return [_once(rig) for _ in range(1 if options.quick else REPETITIONS)]


def _once(rig: Rig) -> dict[str, Any]:
    with rig.context(HD) as context, rig.notebook(context, OURS.cells(WAIT_FOR_FIRST)) as notebook:
        start(OURS, notebook)
        if not notebook.evaluate("len(recorder.rows)"):  # answered when the cell has its picture, or has given up
            raise AssertionError(f"no picture: {notebook.text(2)}")
        notebook.page.wait_for_timeout(WATCH * 1000)
        rows = [tuple(row) for row in notebook.evaluate("recorder.rows")]
        resolved = camera_state(notebook.page)["resolved"] / 1000
        return {"first_array_s": round(rows[0][0] - resolved, 3), "full_size_s": full_size(rows, HD)}
