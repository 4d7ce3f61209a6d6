"""One round of one peer: pictures flow for some seconds, and everything about them is noted (bench process)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.sync_api import Page

from tests.bench.video.camera import Camera
from tests.bench.video.cpu import CpuMeter, of_notebook
from tests.bench.video.peers import Peer, start
from tests.bench.video.recorder import Row
from tests.bench.video.rig import SENT, Rig, camera_state
from tests.browser.lab import NotebookPage
from tests.support import wait_for

QUANTILES = (1, 5, 25, 50, 75, 95, 99, 100)
SAMPLE = 500
"""Milliseconds between two looks at getStats."""
FIRST_FRAME = 60.0


@dataclass
class Round:
    """What came in one window of time."""

    peer: str
    camera: str
    latency_ms: dict[str, float]
    """Drawing to array, by quantile: ``p50`` and so on."""
    fps: float
    drawn_fps: float
    sent_fps: float
    """What left the encoder, by getStats; 0 where nothing is encoded."""
    unreadable: int
    """Pictures whose stamp was damaged; they count for fps only."""
    kbit_s: float
    codec: str
    cpu: dict[str, float]
    first_array_s: float
    """From the camera's track being there."""
    full_size_s: float | None
    """From the first picture to the first one of full size; None where there was none."""
    arrived_sizes: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds since the first array, width and height, at each change."""
    sent_sizes: list[tuple[float, int, int]] = field(default_factory=list)
    """The same by the sender's getStats, since the window's begin."""


def play(rig: Rig, peer: Peer, camera: Camera, seconds: float, warm_up: float, *scripts: str) -> Round:
    """In a fresh page and a fresh kernel, so that nothing else runs."""
    with rig.context(camera, *scripts) as context, rig.notebook(context, peer.cells()) as notebook:
        start(peer, notebook)
        wait_for(lambda: _has_pictures(notebook), FIRST_FRAME, f"the first picture of {peer.name}")
        notebook.page.wait_for_timeout(warm_up * 1000)
        return measure(rig, notebook, peer, camera, seconds)


def measure(rig: Rig, notebook: NotebookPage, peer: Peer, camera: Camera, seconds: float) -> Round:
    """The next ``seconds`` of a peer that runs."""
    kernel = notebook.evaluate("os.getpid()")
    drawn_before = camera_state(notebook.page)["drawn"]
    meter, begin = CpuMeter(of_notebook(kernel, rig.server.pid)), time.time()
    samples = _watch(notebook.page, seconds)
    cpu, end = meter.percent(), time.time()
    state = camera_state(notebook.page)
    rows: list[Row] = [tuple(row) for row in notebook.evaluate("recorder.rows")]
    inside = [row for row in rows if begin <= row[0] < end]
    return Round(
        peer=peer.name,
        camera=camera.name,
        latency_ms=quantiles([row[0] - row[1] for row in inside if row[1] is not None]),
        fps=round(len(inside) / (end - begin), 1),
        drawn_fps=round((state["drawn"] - drawn_before) / (end - begin), 1),
        sent_fps=round(_rate(samples, "frames"), 1),
        unreadable=sum(row[1] is None for row in inside),
        kbit_s=round((_rate(samples, "bytes") or sum(row[4] for row in inside) / (end - begin)) * 8 / 1000),
        codec=samples[-1]["codec"] or "image/jpeg",
        cpu=cpu,
        first_array_s=round(rows[0][0] - state["resolved"] / 1000, 3),
        full_size_s=full_size(rows, camera),
        arrived_sizes=_changes([(row[0] - rows[0][0], row[3], row[2]) for row in rows]),
        sent_sizes=_changes([(s["time"] - begin, s["width"], s["height"]) for s in samples if s["width"]]),
    )


def quantiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds; empty where there is nothing."""
    if not seconds:
        return {}
    values = np.percentile(np.array(seconds) * 1000, QUANTILES)
    return {f"p{q}": round(float(value), 1) for q, value in zip(QUANTILES, values, strict=True)}


def full_size(rows: list[Row], camera: Camera) -> float | None:
    """Seconds from the first picture to the first in the camera's own size."""
    times = [row[0] for row in rows if (row[3], row[2]) == (camera.width, camera.height)]
    return round(times[0] - rows[0][0], 3) if times else None


def _has_pictures(notebook: NotebookPage) -> bool:
    count, error = notebook.evaluate("[len(recorder.rows), recorder.error]")
    if error:
        raise AssertionError(error)
    return bool(count)


def _watch(page: Page, seconds: float) -> list[dict[str, Any]]:
    end = time.monotonic() + seconds
    samples = []
    while True:
        samples.append({"time": time.time(), **page.evaluate(SENT)})
        left = end - time.monotonic()
        if left <= 0:
            return samples
        page.wait_for_timeout(min(SAMPLE, left * 1000))


def _rate(samples: list[dict[str, Any]], counter: str) -> float:
    """Of one of getStats' counters, each second."""
    first, last = samples[0], samples[-1]
    rate: float = (last[counter] - first[counter]) / (last["time"] - first["time"])
    return rate


def _changes(sizes: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    changed = [size for before, size in zip([None, *sizes], sizes, strict=False) if before is None or before[1:] != size[1:]]
    return [(round(at, 2), width, height) for at, width, height in changed]
