"""The camera without a camera: what it draws, how fast, and that its number can be read from the picture."""

from __future__ import annotations

import threading
import time
from typing import Any

import av
import numpy as np
import pytest

from forge_rtc_nb.engine.media import StreamSink
from forge_rtc_nb.engine.synthetic import COLOURS, SyntheticStream, parse_spec
from tests.engine.pictures import number_of
from tests.support import wait_for


class Recorder(StreamSink):
    """Keeps what was delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[tuple[Any, float, bool]] = []

    def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None:
        self.pictures.append((picture.to_ndarray(format="rgb24"), captured, fresh))


def record(spec: str, count: int) -> list[tuple[Any, float, bool]]:
    stream = SyntheticStream(spec)
    recorder = stream.sink = Recorder()
    stream.start()
    wait_for(lambda: len(recorder.pictures) >= count, what=f"{count} pictures")
    stream.close()
    return recorder.pictures


def test_its_size_and_rate_stand_in_its_name() -> None:
    assert parse_spec("synthetic:720x1280@29.97") == (720, 1280, 29.97)


@pytest.mark.parametrize(
    "spec",
    ["", "synthetic:", "synthetic:1x1", "synthetic:-1x1@30", "synthetic:1x1@1e9", "synthetic:16x16@0", "synthetic:0x16@1"],
)
def test_other_names_are_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="no synthetic stream"):
        parse_spec(spec)


@pytest.mark.parametrize("size", [(48, 64), (16, 16), (720, 1280), (16, 4096)])
def test_the_number_can_be_read_from_the_picture(size: tuple[int, int]) -> None:
    stream = SyntheticStream(f"synthetic:{size[0]}x{size[1]}@30")
    for number in (0, 1, 5, 1000, 65535):
        pixels = stream._draw(number).to_ndarray(format="rgb24")
        assert pixels.shape == (*size, 3)
        assert number_of(pixels) == number
    stream._stop.set()


def test_the_bars_have_their_colours_and_move() -> None:
    stream = SyntheticStream("synthetic:140x140@30")
    below = stream._draw(0).to_ndarray(format="rgb24")[100]
    assert [tuple(below[10 + 20 * bar]) for bar in range(7)] == [tuple(colour) for colour in COLOURS]
    later = stream._draw(5).to_ndarray(format="rgb24")[100]
    np.testing.assert_array_equal(np.roll(below, 20, axis=0), later)


def test_it_draws_at_its_rate_with_the_time_of_drawing() -> None:
    start = time.time()
    pictures = record("synthetic:48x64@50", 20)
    times = np.array([captured for _, captured, _ in pictures])
    assert start <= times[0] <= times[-1] <= time.time()
    assert np.median(np.diff(times)) == pytest.approx(1 / 50, rel=0.5)
    assert all(fresh for _, _, fresh in pictures)
    assert number_of(pictures[0][0]) == 0


def test_a_late_drawing_leaves_numbers_out_and_does_not_run_after_them() -> None:
    stream = SyntheticStream("synthetic:48x64@20")
    hold = threading.Event()
    numbers: list[int] = []

    class Slow(StreamSink):
        def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None:
            numbers.append(number_of(picture.to_ndarray(format="rgb24")))
            if len(numbers) == 2:
                hold.wait(1.5)

    stream.sink = Slow()
    stream.start()
    wait_for(lambda: len(numbers) >= 6, what="six pictures")
    stream.close()
    assert numbers[2] - numbers[1] >= 20
    assert numbers[3:6] == list(range(numbers[2] + 1, numbers[2] + 4)) or np.diff(numbers[2:6]).max() <= 3


def test_closing_ends_the_thread_even_between_two_slow_pictures() -> None:
    before = threading.active_count()
    stream = SyntheticStream("synthetic:48x64@0.05")
    stream.start()
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 2
    assert threading.active_count() == before
