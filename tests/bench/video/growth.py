"""What each further camera costs, what 60 fps cost, and what a camera costs that nobody reads (bench process)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.report import Options
from tests.bench.video.camera import HD, Camera
from tests.bench.video.cpu import CpuMeter, of_notebook
from tests.bench.video.peers import PREPARE
from tests.bench.video.recorder import Row
from tests.bench.video.rig import SENT, Rig
from tests.bench.video.rounds import quantiles
from tests.bench.video.tabs import Tab, open_tabs
from tests.remote_kernel import RemoteKernel

SMALL = Camera(640, 360)
"""So that two cores carry the encoders of eight."""
STEPS = (1, 2, 4, 8)
UNREAD = 4
WARM_UP = 3.0

JOIN = PREPARE + "import forge_rtc_nb as rtc\nroom = rtc.join({room!r})\nrecorders = []"
READ = "recorders.append(Recorder()); recorders[-1].follow(room.video({who!r}))"


def measure_growth(rig: Rig, options: Options) -> list[dict[str, Any]]:
    """Rows of ``cameras`` that are on, how many of them are ``read``, latency, fps, and CPU."""
    rows = []
    for _ in range(options.rounds):
        rows += _more_and_more(rig, options, STEPS[:2] if options.quick else STEPS)
        for camera in (HD, Camera(HD.width, HD.height, 60)):
            rows += _one_camera(rig, options, camera)
        rows += _nobody_reads(rig, options)
    return rows


def _more_and_more(rig: Rig, options: Options, steps: tuple[int, ...]) -> list[dict[str, Any]]:
    rows = []
    with _room(rig, SMALL, steps[-1]) as (kernel, tabs):
        on = 0
        for step in steps:
            for tab in tabs[on:step]:
                _subscribe(kernel, tab)
            on = step
            rows.append(_window(rig, kernel, SMALL, options.seconds, tabs[:on], on))
    return rows


def _one_camera(rig: Rig, options: Options, camera: Camera) -> list[dict[str, Any]]:
    with _room(rig, camera, 1) as (kernel, tabs):
        _subscribe(kernel, tabs[0])
        return [_window(rig, kernel, camera, options.seconds, tabs, 1)]


def _nobody_reads(rig: Rig, options: Options) -> list[dict[str, Any]]:
    """First the room with everybody's camera off, then on."""
    with _room(rig, SMALL, UNREAD) as (kernel, tabs):
        off = _window(rig, kernel, SMALL, options.seconds, [], 0)
        for tab in tabs:
            tab.switch_camera_on()
        return [off, _window(rig, kernel, SMALL, options.seconds, tabs, 0)]


@contextmanager
def _room(rig: Rig, camera: Camera, tabs: int) -> Iterator[tuple[RemoteKernel, list[Tab]]]:
    room = f"bench-{secrets.token_hex(4)}"
    with RemoteKernel(rig.server.url, rig.server.token) as kernel:
        kernel.run(JOIN.format(room=room))
        with open_tabs(rig, camera, room, tabs) as opened:
            yield kernel, opened


def _subscribe(kernel: RemoteKernel, tab: Tab) -> None:
    tab.switch_camera_on()
    kernel.run(READ.format(who=tab.participant))


def _window(rig: Rig, kernel: RemoteKernel, camera: Camera, seconds: float, on: list[Tab], read: int) -> dict[str, Any]:
    time.sleep(WARM_UP)
    before = _sent(on)
    meter, begin = CpuMeter(of_notebook(kernel.evaluate("os.getpid()"), rig.server.pid)), time.time()
    time.sleep(seconds)
    cpu, end = meter.percent(), time.time()
    after = _sent(on)
    streams: list[list[Row]] = kernel.evaluate(f"[r.within({begin}, {end}) for r in recorders]")
    arrived = [row for rows in streams for row in rows]
    sizes = {(row[3], row[2]) for row in arrived}
    return {
        "cameras": len(on),
        "read": read,
        "camera": camera.name,
        "latency_ms": quantiles([row[0] - row[1] for row in arrived if row[1] is not None]),
        "fps": [round(len(rows) / (end - begin), 1) for rows in streams],
        "sizes": sorted(sizes),
        "codecs": sorted({sent["codec"] for sent in after}),
        "kbit_s": round(_bytes(after, before) * 8 / 1000 / (end - begin)),
        "connections": sum(tab.connections for tab in on),
        "cpu": cpu,
    }


def _sent(tabs: list[Tab]) -> list[dict[str, Any]]:
    return [tab.page.evaluate(SENT) for tab in tabs]


def _bytes(after: list[dict[str, Any]], before: list[dict[str, Any]]) -> int:
    total: int = sum(sent["bytes"] for sent in after) - sum(sent["bytes"] for sent in before)
    return total
