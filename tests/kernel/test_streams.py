"""Reading a stream: newest, next, loops, policies, takes, formats, the end; on frames of a real engine."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from forge_rtc_nb.errors import RTCTimeout, StreamNotFound
from forge_rtc_nb.kernel import ring_view
from forge_rtc_nb.kernel.engine_client import engines
from forge_rtc_nb.kernel.frames import Frame
from forge_rtc_nb.kernel.reading import Collector
from forge_rtc_nb.kernel.streams import VideoStream
from forge_rtc_nb.ring import Picture
from tests.engine.pictures import number_of
from tests.kernel.conftest import Make, open_views
from tests.support import wait_for

pytestmark = pytest.mark.usefixtures("shared_engine")


def pass_by(stream: VideoStream, count: int) -> int:
    """Wait until so many more frames have come than now; the index of the newest."""
    view = stream._views["rgb24"]
    wanted = view.head + count
    wait_for(lambda: view.head >= wanted, what=f"{count} frames go by")
    return view.head - 1


# ---- latest and read ----


def test_latest_is_the_newest_and_repeats(make: Make) -> None:
    stream = make(fps=4)
    first = stream.latest()
    assert stream.latest() is first
    wait_for(lambda: stream.latest() is not first, what="a newer frame")
    frame = stream.latest()
    assert frame.index > first.index
    assert frame.time > first.time
    assert time.time() - frame.time < 1


def test_latest_skips_what_came_in_between(make: Make) -> None:
    stream = make()
    first = stream.latest()
    newest = pass_by(stream, 9)
    later = stream.latest()
    assert later.index >= newest
    assert number_of(later.array) - number_of(first.array) >= later.index - first.index
    assert stream.dropped == later.index - first.index - 1


def test_read_gives_each_frame_once_and_waits_for_the_next(make: Make) -> None:
    stream = make(fps=40)
    indexes = [stream.read().index for _ in range(8)]
    assert sorted(set(indexes)) == indexes
    newest = pass_by(stream, 3)
    assert stream.read().index >= newest


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


def test_a_frame_that_does_not_come_in_time_is_a_timeout(make: Make) -> None:
    stream = make(fps=0.1)
    first = stream.read()
    with pytest.raises(RTCTimeout, match=r"no frame within 0\.2 s"):
        stream.read(timeout=0.2)
    assert stream.latest(timeout=0) is first


def test_a_timeout_is_pythons_timeout_too(make: Make) -> None:
    stream = make(fps=0.1)
    stream.read()
    with pytest.raises(TimeoutError):
        stream.read(timeout=0.01)


def test_waiting_longer_than_a_view_may_idle_is_no_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_view, "IDLE", 0.1)
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
    indexes = [next(frames).index]
    for _ in range(3):
        newest = pass_by(stream, 3)
        indexes.append(next(frames).index)
        assert indexes[-1] >= newest
    assert all(b - a > 2 for a, b in itertools.pairwise(indexes))
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
    stream = make(fps=25)  # slow: none is missed where the machine is late
    frames = stream.frames("drop_oldest", maxsize=4)
    start = next(frames).index
    wait_for(lambda: stream.latest().index > start + 20, what="the queue overflows")
    indexes = [next(frames).index for _ in range(4)]
    assert indexes[0] > start + 10
    assert indexes == list(range(indexes[0], indexes[0] + 4))
    frames.close()
    assert stream.dropped >= indexes[0] - start - 1


def test_block_keeps_the_first_few_in_order(make: Make) -> None:
    stream = make(fps=25)  # slow: none is missed where the machine is late
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
    stream = make(fps=5)
    stream.take(3)
    stream.stop()
    assert open_views() == 0
    assert stream.latest().index == 0
    assert number_of(stream.latest().array) < 100


# ---- take ----


def test_take_gives_consecutive_frames_and_their_times(make: Make, pool: ThreadPoolExecutor) -> None:
    stream = make(size=(96, 128), fps=30)
    everything = stream.frames("block", maxsize=64)
    first = number_of(next(everything).array)
    seen = pool.submit(lambda: [first, *(number_of(frame.array) for frame in itertools.islice(everything, 40))])
    frames, times = stream.take(12)
    assert frames.shape == (12, 96, 128, 3)
    assert frames.dtype == np.uint8
    assert times.shape == (12,)
    assert times.dtype == np.float64
    numbers = [number_of(frame) for frame in frames]
    there = seen.result()  # a camera that is late leaves frames out
    assert numbers == there[there.index(numbers[0]) :][:12]
    assert (np.diff(times) > 0).all()
    assert times[-1] - times[0] == pytest.approx((numbers[-1] - numbers[0]) / 30, abs=1)


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
