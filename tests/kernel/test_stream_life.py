"""Reading a stream by coroutines, in every format, until nobody reads it any more; and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.errors import EngineDied, RTCError, RTCTimeout
from forge_rtc_nb.kernel import ring_view
from forge_rtc_nb.kernel.streams import FORMATS
from forge_rtc_nb.ring import SHAPES
from tests.engine.pictures import number_of
from tests.kernel.conftest import Make, open_views
from tests.support import await_for, wait_for

pytestmark = pytest.mark.usefixtures("shared_engine")


# ---- async ----


async def test_the_async_twins(make: Make) -> None:
    stream = make(fps=5)  # slow: none is missed where the machine is late
    first = await stream.aread()
    second = await stream.aread()
    assert second.index > first.index
    frames, times = await stream.atake(6)
    numbers = [number_of(frame) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    assert len(times) == 6
    indexes = []
    async for frame in stream:
        indexes.append(frame.index)
        if len(indexes) == 5:
            break
    assert sorted(set(indexes)) == indexes


async def test_the_event_loop_runs_while_a_frame_is_awaited(make: Make) -> None:
    stream = make(fps=4)
    await stream.aread()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    counting = asyncio.create_task(count())
    for _ in range(2):
        await stream.aread()
    counting.cancel()
    assert turns > 20


async def test_an_async_timeout_and_a_cancelled_wait(make: Make) -> None:
    stream = make(fps=0.1)
    await stream.aread()
    with pytest.raises(RTCTimeout):
        await stream.aread(timeout=0.1)
    waiting = asyncio.create_task(stream.aread(timeout=None))
    await asyncio.sleep(0)
    await await_for(lambda: stream._views["rgb24"]._listeners, what="it waits")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not stream._views["rgb24"]._listeners


async def test_two_tasks_read_one_stream(make: Make) -> None:
    stream = make(fps=30)

    async def some() -> list[int]:
        indexes = []
        async for frame in stream:
            indexes.append(frame.index)
            if len(indexes) == 5:
                return indexes
        return indexes

    for indexes in await asyncio.gather(some(), some(), some()):
        assert sorted(set(indexes)) == indexes
        assert len(indexes) == 5
    assert open_views() == 1


async def test_an_async_loop_ends_with_the_stream(make: Make) -> None:
    stream = make(fps=5)
    threading.Timer(0.3, stream.stop).start()
    assert len([frame async for frame in stream]) < 10


# ---- formats ----


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_format_has_its_shape_and_its_colours(make: Make, pixel_format: Any) -> None:
    stream = make(size=(64, 112), fps=10)
    frame = next(stream.frames(format=pixel_format))
    assert frame.format == pixel_format
    assert frame.array.shape == SHAPES[pixel_format](64, 112)
    assert frame.array.dtype == np.uint8
    assert number_of(frame.array[:64]) < 100
    if pixel_format in ("rgb24", "bgr24"):
        red = (235, 16, 16) if pixel_format == "rgb24" else (16, 16, 235)
        assert any(math.dist(pixel, red) < 4 for pixel in frame.array[60].astype(int))


def test_formats_are_views_of_the_same_stream_of_time(make: Make) -> None:
    stream = make(size=(64, 112), fps=30)
    one, two = stream.frames(format="rgb24"), stream.frames(format="gray")
    assert abs(next(one).time - next(two).time) < 0.5
    assert open_views() == 2


# ---- what it says of itself ----


def test_before_the_first_frame_nothing_is_known(make: Make) -> None:
    stream = make(size=(64, 112))
    assert stream.size is None
    assert math.isnan(stream.latency)
    assert (stream.fps, stream.dropped) == (0.0, 0)
    assert repr(stream) == "<VideoStream synthetic:64x112@60>"
    assert open_views() == 0


def test_fps_size_and_latency_are_those_of_the_frames(make: Make) -> None:
    stream = make(size=(64, 112), fps=20)
    stream.take(20)
    assert stream.size == (64, 112)
    assert 0 <= stream.latency < 0.5
    assert stream.fps == pytest.approx(20, rel=0.25)
    stream.stop()
    assert stream.fps == 0.0


# ---- nobody reads ----


def test_a_view_that_nobody_reads_closes_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.2)
    stream = make()
    stream.latest()
    assert open_views() == 1
    wait_for(lambda: open_views() == 0, 3, "the view closes")
    assert stream.latest().index >= 0


def test_a_slow_loop_keeps_its_view(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.1)
    stream = make()
    frames = iter(stream)
    first = next(frames)
    end = time.monotonic() + 0.4
    wait_for(lambda: time.monotonic() > end, what="time passes")
    assert next(frames).index > first.index + 10


def test_a_dropped_iterator_lets_its_view_go(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.2)
    frames = iter(make())
    next(frames)
    del frames
    wait_for(lambda: open_views() == 0, 3, "the view closes")


def test_an_interrupted_loop_lets_its_view_go_though_its_traceback_is_kept(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.2)
    stream = make(fps=2)
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as kept:
        list(stream)
    timer.join()
    gc.collect()
    assert kept.traceback
    wait_for(lambda: open_views() == 0, 3, "the view closes")


async def test_a_cancelled_async_loop_lets_its_view_go(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.2)
    stream = make(fps=2)

    async def loop() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(loop())
    await await_for(lambda: open_views() == 1, what="it reads")
    task.cancel()
    await asyncio.wait([task])
    await await_for(lambda: open_views() == 0, 3, "the view closes")


# ---- bad arguments ----


@pytest.mark.parametrize(
    ("size", "fps", "says"),
    [
        ((15, 64), 30, "even number from 16 to 4096"),
        ((64, 4098), 30, "even number from 16 to 4096"),
        ((65, 64), 30, "even number from 16 to 4096"),
        ((-64, 64), 30, "even number from 16 to 4096"),
        ((64,), 30, r"\(height, width\)"),
        ((64, 64, 3), 30, r"\(height, width\)"),
        (64, 30, r"\(height, width\)"),
        ((64.0, 64), 30, r"\(height, width\)"),
        ("ab", 30, r"\(height, width\)"),
        ((64, 64), 0, "fps"),
        ((64, 64), -1, "fps"),
        ((64, 64), 241, "fps"),
        ((64, 64), math.nan, "fps"),
        ((64, 64), math.inf, "fps"),
        ((64, 64), 1e-9, "fps"),
        ((64, 64), "30", "fps"),
    ],
)
def test_a_synthetic_stream_that_cannot_be(size: Any, fps: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        rtc.synthetic(size, fps)


@pytest.mark.parametrize("fps", [0.01, 29.97002997, 240, np.float32(25), 1 / 3])
def test_any_rate_within_the_limits_works(make: Make, fps: float) -> None:
    assert make((16, 16), fps).latest().index < max(1, fps)  # of the first second, and the first where that is longer


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.frames("newest"), "latest, drop_oldest, block"),
        (lambda s: s.frames(format="rgba"), "rgb24, bgr24, gray, yuv420p"),
        (lambda s: s.frames("block", maxsize=0), "at least 1"),
        (lambda s: s.frames("block", maxsize=2.5), "maxsize"),
        (lambda s: s.frames(["latest"]), "latest, drop_oldest, block"),
        (lambda s: s.frames(format=None), "rgb24, bgr24, gray, yuv420p"),
        (lambda s: s.take(0), "at least one"),
        (lambda s: s.take(2.5), r"take\(n\)"),
        (lambda s: s.take("3"), r"take\(n\)"),
        (lambda s: asyncio.run(s.atake(-1)), "at least one"),
    ],
)
def test_bad_arguments_are_one_clear_error_and_open_nothing(call: Callable[[Any], Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        call(rtc.synthetic((16, 16)))
    assert open_views() == 0


def test_all_errors_are_of_one_family() -> None:
    assert issubclass(RTCTimeout, RTCError)
    assert issubclass(EngineDied, RTCError)
