"""What kernels and engines do at once with moving arrays: computing, and a camera (bench process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.channels_raw import LIMIT
from tests.bench.data_paths import kernel_pair
from tests.bench.data_worker import Worker
from tests.bench.report import Options
from tests.bench.video.camera import HD
from tests.bench.video.medians import Rows
from tests.bench.video.peers import OURS, start
from tests.bench.video.rig import Rig, open_rig
from tests.bench.video.rounds import measure
from tests.browser.lab import NotebookPage

WARM_UP = 3000
PUMP = """
import threading
import numpy as np
ch, array, moving = room.channel("bench"), np.random.default_rng(1).random((1024, 1024)), threading.Event()
def pump():
    while moving.is_set():
        ch.send(array, progress=False)
    ch.send(b"end")
def move():
    moving.set()
    globals()["pumping"] = threading.Thread(target=pump)
    pumping.start()
def rest():
    moving.clear()
    pumping.join()
"""


def busy(options: Options) -> Rows:
    """Rows of ``work``: the sender's kernel is idle, computes in Python, or another process does."""
    rows = []
    with open_rig() as rig:
        for number in range(options.rounds):
            for work in ("idle", "kernel", "other process"):
                row = {"work": work, "mb_s": _stream(rig, work, options.seconds)}
                print(f"  round {number + 1}: {work}: {row['mb_s']:.1f} MB/s", flush=True)
                rows.append(row)
    return rows


def _stream(rig: Rig, work: str, seconds: float) -> float:
    with kernel_pair(rig) as (sender, receiver), Worker("tests.bench.data_burner") as burner:
        receiver.begin("receive")
        computing = {"kernel": sender, "other process": burner}.get(work)
        if computing is not None:
            computing.call("burn", seconds=seconds + 1)
        sender.call("stream", LIMIT, seconds=seconds)
        got = receiver.result(LIMIT)
        return float(got["bytes"] / got["seconds"] / 1e6)


def camera(options: Options) -> Rows:
    """Rows of ``moving``: a 720p30 camera into a kernel whose engine sends arrays to two others, or does not."""
    rows: Rows = []
    with open_rig() as rig, rig.context(HD) as context, rig.notebook(context, OURS.cells()) as notebook:
        start(OURS, notebook)
        notebook.page.wait_for_timeout(WARM_UP)
        notebook.execute(PUMP)
        for number in range(options.rounds):
            for moving in (False, True):
                row = {"moving": moving, **_watch(rig, notebook, moving, options.seconds)}
                print(f"  round {number + 1}: {'arrays move' if moving else 'alone'}: p95 {row['p95_ms']} ms", flush=True)
                rows.append(row)
    return rows


def _watch(rig: Rig, notebook: NotebookPage, moving: bool, seconds: float) -> dict[str, Any]:
    if not moving:
        return _figures(rig, notebook, seconds)
    with receivers(rig, notebook.evaluate("room.id")) as others:
        notebook.execute("move()")
        figures = _figures(rig, notebook, seconds)
        notebook.execute("rest()")
        got = [other.result(LIMIT) for other in others]
        return {**figures, "mb_s": sum(each["bytes"] / each["seconds"] for each in got) / 1e6}


def _figures(rig: Rig, notebook: NotebookPage, seconds: float) -> dict[str, Any]:
    watched = measure(rig, notebook, OURS, HD, seconds)
    return {"p50_ms": watched.latency_ms["p50"], "p95_ms": watched.latency_ms["p95"], "fps": watched.fps}


@contextmanager
def receivers(rig: Rig, room: str) -> Iterator[list[Worker]]:
    """Two kernels that take what comes."""
    command = ("tests.bench.data_kernel_end", rig.server.url, room)
    environ = {"FORGE_RTC_TOKEN": rig.server.token}
    with Worker(*command, environ=environ) as one, Worker(*command, environ=environ) as other:
        for worker in (one, other):
            worker.call("meet", count=2)
            worker.begin("receive")
        yield [one, other]
