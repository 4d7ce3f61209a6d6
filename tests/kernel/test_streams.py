"""Reading a stream: newest, next, loops, policies, takes, formats, the end; on frames of a real engine."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.errors import EngineDied, RTCError, RTCTimeout, StreamNotFound
from forge_rtc_nb.kernel import views
from forge_rtc_nb.kernel.engine_client import engines
from forge_rtc_nb.kernel.frames import Frame
from forge_rtc_nb.kernel.reading import Collector
from forge_rtc_nb.kernel.streams import VideoStream
from forge_rtc_nb.ring import SHAPES, Picture
from tests.engine.pictures import number_of
from tests.support import await_for, wait_for

Make = Callable[..., VideoStream]


@pytest.fixture(scope="module", autouse=True)
def one_engine() -> Iterator[None]:
    """Starting an engine takes a third of a second: all tests here share one."""
    client = engines.acquire()
    yield
    client.release()


@pytest.fixture
def make() -> Iterator[Make]:
    """`rtc.synthetic`, stopped at the end of the test."""
    streams: list[VideoStream] = []

    def synthetic(size: tuple[int, int] = (96, 128), fps: float = 60) -> VideoStream:
        streams.append(rtc.synthetic(size, fps))
        return streams[-1]

    yield synthetic
    for stream in streams:
        stream.stop()


def open_views() -> int:
    return len(engines._client._views) if engines._client is not None else 0


# ---- latest and read ----


def test_latest_is_the_newest_and_repeats(make: Make) -> None:
    stream = make(fps=4)
    first = stream.latest()
    assert stream.latest() is first
    frame = wait_for(lambda: (frame := stream.latest()) is not first and frame, what="a newer frame")
    assert frame.index > first.index
    assert frame.time > first.time
    assert time.time() - frame.time < 1


def test_latest_skips_what_came_in_between(make: Make) -> None:
    stream = make()
    first = stream.latest()
    end = time.monotonic() + 0.3
    wait_for(lambda: time.monotonic() > end, what="some frames go by")
    later = stream.latest()
    assert later.index - first.index > 8
    assert number_of(later.array) - number_of(first.array) >= later.index - first.index
    assert stream.dropped == later.index - first.index - 1


def test_read_gives_each_frame_once_and_waits_for_the_next(make: Make) -> None:
    stream = make(fps=40)
    indexes = [stream.read().index for _ in range(8)]
    assert sorted(set(indexes)) == indexes
    assert stream.read().index > stream.latest().index - 2


def test_latest_after_take_is_not_older_than_what_was_taken(make: Make) -> None:
    stream = make()
    stream.latest()
    for _ in range(5):
        _, times = stream.take(3)
        assert stream.latest().time >= times[-1]


def test_latest_never_goes_back_while_another_thread_takes(make: Make) -> None:
    stream = make(fps=120)
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            stream.take(5)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        times = [stream.latest().time for _ in range(20_000)]
    finally:
        stop.set()
        thread.join()
    assert times == sorted(times)


def test_frames_have_the_time_of_their_drawing(make: Make) -> None:
    before = time.time()
    frame = make().latest()
    assert before <= frame.time <= time.time()
    assert 0 <= frame.latency < 0.5


def test_a_frame_is_private_writable_and_never_changes(make: Make) -> None:
    stream = make()
    frame = stream.latest()
    kept = frame.array.copy()
    frame.array[0, 0] = (1, 2, 3)
    kept[0, 0] = (1, 2, 3)
    indexes = [stream.read().index for _ in range(20)]
    assert indexes[-1] > frame.index + 10
    np.testing.assert_array_equal(frame.array, kept)
    assert frame.array.flags.owndata or frame.array.base.flags.owndata


@pytest.mark.parametrize("read", ["latest", "read"])
def test_a_frame_that_does_not_come_in_time_is_a_timeout(make: Make, read: str) -> None:
    stream = make(fps=0.1)
    stream.read()
    with pytest.raises(RTCTimeout, match=r"no frame within 0\.2 s"):
        stream.read(timeout=0.2)
    stream.stop()
    with pytest.raises(RTCTimeout):
        getattr(stream, read)(timeout=0.0001)


def test_a_timeout_is_pythons_timeout_too(make: Make) -> None:
    stream = make(fps=0.1)
    stream.read()
    with pytest.raises(TimeoutError):
        stream.read(timeout=0.01)


def test_waiting_longer_than_a_view_may_idle_is_no_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "IDLE", 0.1)
    stream = make(fps=2)
    first = stream.read()
    assert stream.read().index == first.index + 1
    assert asyncio.run(stream.aread()).index == first.index + 2


def test_interrupting_a_wait_without_limit_works_and_the_engine_lives_on(make: Make) -> None:
    stream = make(fps=0.1)
    stream.read()
    assert engines._client is not None
    pid = engines._client.pid
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        stream.read(timeout=None)
    timer.join()
    assert make().latest().array.any()
    assert engines._client.pid == pid


# ---- loops ----


def test_a_loop_gives_newest_frames_and_counts_what_it_skipped(make: Make) -> None:
    stream = make()
    frames = stream.frames()
    seen: list[Frame] = []
    for frame in frames:
        seen.append(frame)
        if len(seen) == 4:
            break
        end = time.monotonic() + 0.1
        wait_for(lambda end=end: time.monotonic() > end, what="a slow consumer")  # type: ignore[misc]
    indexes = [frame.index for frame in seen]
    assert all(b - a > 2 for a, b in zip(indexes, indexes[1:], strict=False))
    assert time.time() - seen[-1].time < 0.2
    frames.close()
    assert stream.dropped == indexes[-1] - indexes[0] - 3


def test_dropped_counts_while_the_loop_runs(make: Make) -> None:
    stream = make()
    indexes = []
    for frame in stream:
        indexes.append(frame.index)
        assert stream.dropped == indexes[-1] - indexes[0] - len(indexes) + 1
        if len(indexes) == 4:
            break
        end = time.monotonic() + 0.1
        wait_for(lambda end=end: time.monotonic() > end, what="a slow consumer")  # type: ignore[misc]


def test_two_loops_have_cursors_of_their_own(make: Make) -> None:
    stream = make(fps=30)
    one, two = iter(stream), iter(stream)
    first = [next(one).index for _ in range(3)]
    second = [next(two).index for _ in range(3)]
    assert open_views() == 1
    assert second[0] >= first[-1]
    assert sorted(set(first)) == first
    assert sorted(set(second)) == second


def test_queues_of_two_loops_share_no_pixels(make: Make) -> None:
    stream = make()
    one, two = (stream.frames("drop_oldest", maxsize=8) for _ in range(2))
    next(one), next(two)
    common: dict[int, Frame] = {frame.index: frame for frame in (next(one) for _ in range(8))}
    pairs = [(common[frame.index], frame) for frame in (next(two) for _ in range(8)) if frame.index in common]
    assert pairs
    for first, second in pairs:
        first.array[:] = 0
        assert second.array.any()


def test_drop_oldest_keeps_the_last_few_in_order(make: Make) -> None:
    stream = make()
    frames = stream.frames("drop_oldest", maxsize=4)
    start = next(frames).index
    wait_for(lambda: stream.latest().index > start + 20, what="the queue overflows")
    indexes = [next(frames).index for _ in range(4)]
    assert indexes[0] > start + 10
    assert indexes == list(range(indexes[0], indexes[0] + 4))
    frames.close()
    assert stream.dropped >= indexes[0] - start - 1


def test_block_keeps_the_first_few_in_order(make: Make) -> None:
    stream = make()
    frames = stream.frames("block", maxsize=4)
    start = next(frames).index
    wait_for(lambda: stream.latest().index > start + 20, what="the queue is full")
    indexes = [next(frames).index for _ in range(4)]
    assert indexes[0] <= start + 4
    assert indexes == list(range(indexes[0], indexes[0] + 4))
    assert next(frames).index > start + 20
    frames.close()


def test_an_iterator_that_is_closed_is_at_its_end(make: Make) -> None:
    frames = make().frames()
    next(frames)
    frames.close()
    frames.close()
    assert list(frames) == []


def test_a_loop_ends_when_another_thread_stops_the_stream(make: Make) -> None:
    stream = make(fps=5)
    frames = iter(stream)
    next(frames)
    threading.Timer(0.2, stream.stop).start()
    assert len(list(frames)) < 10
    assert stream.latest().index >= 0  # reading again starts it again


def test_after_a_stop_the_stream_starts_anew(make: Make) -> None:
    stream = make()
    stream.take(3)
    stream.stop()
    assert open_views() == 0
    assert stream.latest().index == 0
    assert number_of(stream.latest().array) < 100


# ---- take ----


def test_take_gives_consecutive_frames_and_their_times(make: Make) -> None:
    stream = make(size=(96, 128), fps=30)
    frames, times = stream.take(12)
    assert frames.shape == (12, 96, 128, 3)
    assert frames.dtype == np.uint8
    assert times.shape == (12,)
    assert times.dtype == np.float64
    numbers = [number_of(frame) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    assert np.diff(times) == pytest.approx(np.full(11, 1 / 30), abs=0.03)


def test_take_of_frames_that_do_not_come_is_a_timeout_and_lets_go(make: Make) -> None:
    stream = make(fps=0.1)
    with pytest.raises(RTCTimeout) as kept:
        stream.take(2, timeout=0.2)
    view = stream._views["rgb24"]
    assert view._holders == 0, kept


def test_take_of_a_stream_that_stops_says_how_many_came(make: Make) -> None:
    stream = make(fps=10)
    threading.Timer(0.35, stream.stop).start()
    with pytest.raises(StreamNotFound, match=r"stopped after [1-6] of 1000 frames"):
        stream.take(1000)


def picture(height: int, width: int, value: int = 7) -> Frame:
    return Frame(Picture(np.full((height, width, 3), value, np.uint8), 1.0, 1.0, 0), "rgb24")


def test_frames_of_another_size_are_scaled_to_the_first_with_one_warning() -> None:
    collector = Collector(4)
    collector.add(picture(48, 64))
    with pytest.warns(RuntimeWarning, match="scaled to the first"):
        collector.add(picture(96, 128, 9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collector.add(picture(24, 32, 11))
        assert collector.add(picture(48, 64, 13))
    frames, _ = collector.result()
    assert frames.shape == (4, 48, 64, 3)
    assert [int(frame.mean()) for frame in frames] == [7, 9, 11, 13]


# ---- async ----


async def test_the_async_twins(make: Make) -> None:
    stream = make()
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


@pytest.mark.parametrize("pixel_format", sorted(SHAPES))
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
    stream = make(size=(64, 112), fps=40)
    stream.take(30)
    assert stream.size == (64, 112)
    assert 0 <= stream.latency < 0.5
    assert stream.fps == pytest.approx(40, rel=0.25)
    stream.stop()
    assert stream.fps == 0.0


# ---- nobody reads ----


def test_a_view_that_nobody_reads_closes_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "IDLE", 0.2)
    stream = make()
    stream.latest()
    assert open_views() == 1
    wait_for(lambda: open_views() == 0, 3, "the view closes")
    assert stream.latest().index >= 0


def test_a_slow_loop_keeps_its_view(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "IDLE", 0.1)
    stream = make()
    frames = iter(stream)
    first = next(frames)
    end = time.monotonic() + 0.4
    wait_for(lambda: time.monotonic() > end, what="time passes")
    assert next(frames).index > first.index + 10


def test_a_dropped_iterator_lets_its_view_go(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "IDLE", 0.2)
    frames = iter(make())
    next(frames)
    del frames
    wait_for(lambda: open_views() == 0, 3, "the view closes")


def test_an_interrupted_loop_lets_its_view_go_though_its_traceback_is_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "IDLE", 0.2)
    stream = make(fps=2)
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as kept:
        timer.start()
        for _ in stream:
            pass
    timer.join()
    gc.collect()
    assert kept.traceback
    wait_for(lambda: open_views() == 0, 3, "the view closes")


async def test_a_cancelled_async_loop_lets_its_view_go(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "IDLE", 0.2)
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
def test_any_rate_within_the_limits_works(fps: float) -> None:
    stream = rtc.synthetic((16, 16), fps)
    assert stream.latest().index == 0
    stream.stop()


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
