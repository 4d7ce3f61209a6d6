"""Pictures into rings: every format as av itself converts it, odd sizes, and only the views that are open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest

from forge_rtc_nb.engine import swscale
from forge_rtc_nb.engine.conversion import Converter
from forge_rtc_nb.engine.media import StreamSink, View
from forge_rtc_nb.ring import SHAPES, Reader, Writer, create_memory

Array = np.ndarray[Any, np.dtype[np.uint8]]
FORMATS = sorted(SHAPES.keys() - {"rgba"})  # which only a publication has


def colourful(height: int, width: int) -> Array:
    """RGB pixels with every colour somewhere, smooth enough for halved chroma."""
    y, x = np.mgrid[:height, :width]
    channels = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) * 255 // (height + width)]
    return np.stack(channels, -1).astype(np.uint8)


def picture(height: int, width: int, pixel_format: str = "yuv420p") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(colourful(height, width), "rgb24").reformat(format=pixel_format)


def converted(frame: av.VideoFrame, pixel_format: str) -> Array:
    even = pixel_format == "yuv420p"
    height, width = (frame.height & ~1, frame.width & ~1) if even else (frame.height, frame.width)
    out = np.zeros(SHAPES[pixel_format](height, width), np.uint8)
    Converter(pixel_format).convert(frame, out)
    return out


# ---- formats ----


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "yuv420p"])
@pytest.mark.parametrize("source", ["yuv420p", "yuvj420p", "rgb24", "yuv444p"])
@pytest.mark.parametrize("size", [(48, 64), (720, 1280), (50, 66), (2, 2), (16, 18)])
def test_pixels_are_those_that_av_itself_gives(size: tuple[int, int], source: str, pixel_format: str) -> None:
    frame = picture(*size, source)
    if source == "yuvj420p" and pixel_format == "yuv420p":
        np.testing.assert_array_equal(converted(frame, pixel_format), frame.to_ndarray())  # planes as they came
    else:
        np.testing.assert_array_equal(converted(frame, pixel_format), frame.to_ndarray(format=pixel_format))


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24"])
@pytest.mark.parametrize("width", [16, 32, 48, 80, 112, 640, 848, 1280, 1920])
def test_pixels_land_in_their_place_and_nowhere_else(width: int, pixel_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Converter, "_reformat", lambda *arguments: pytest.fail("PyAV was asked"))
    height, guard = 6, 64
    memory = np.full(2 * guard + height * width * 3, 77, np.uint8)
    frame = picture(height, width)
    Converter(pixel_format).convert(frame, memory[guard:-guard].reshape(height, width, 3))
    np.testing.assert_array_equal(memory[guard:-guard].reshape(height, width, 3), frame.to_ndarray(format=pixel_format))
    assert set(memory[:guard].tolist() + memory[-guard:].tolist()) == {77}


def test_the_library_of_av_is_found() -> None:
    assert swscale.available  # else every conversion takes the slow way, which nobody would see


def test_without_the_library_av_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swscale, "available", False)
    frame = picture(48, 64)
    np.testing.assert_array_equal(converted(frame, "rgb24"), frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("limits", [0, 1, 2])
@pytest.mark.parametrize("colours", [1, 2, 5, 6, 7, 9])
@pytest.mark.parametrize("source", ["yuv420p", "yuvj420p"])
def test_the_colours_are_those_that_the_picture_says(source: str, colours: int, limits: int) -> None:
    frame = picture(48, 64, source)
    frame.colorspace, frame.color_range = colours, limits
    np.testing.assert_array_equal(converted(frame, "rgb24"), frame.to_ndarray(format="rgb24"))


def test_the_matrix_of_hd_is_not_that_of_sd() -> None:
    frame = picture(48, 64)
    frame.color_range = 1
    pixels = []
    for colours in (1, 6):
        frame.colorspace = colours
        pixels.append(converted(frame, "rgb24").astype(int))
    assert np.abs(pixels[0] - pixels[1]).max() > 10


@pytest.mark.parametrize("source", ["yuv420p", "yuvj420p", "rgb24"])
def test_gray_is_the_brightness_from_0_to_255(source: str) -> None:
    frame = picture(96, 128, source)
    wanted = colourful(96, 128) @ [0.299, 0.587, 0.114]
    assert np.abs(converted(frame, "gray") - wanted).max() <= 4


def test_black_and_white_are_0_and_255_in_gray() -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 16:] = 255
    gray = converted(av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p"), "gray")
    assert np.unique(gray).tolist() == [0, 255]


def test_gray_beyond_the_limited_range_is_cut_off_not_wrapped() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(16, -1)  # type: ignore[call-overload]
    luma[:8], luma[8:] = 0, 255
    assert np.unique(converted(frame, "gray")).tolist() == [0, 255]


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (17, 16), (16, 17), (719, 1279)])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_odd_sizes(size: tuple[int, int], pixel_format: str) -> None:
    frame = picture(*size)
    if pixel_format == "yuv420p" and min(size) < 2:
        return
    out = converted(frame, pixel_format)
    if pixel_format in ("rgb24", "bgr24"):
        np.testing.assert_array_equal(out, frame.to_ndarray(format=pixel_format))
    height, width = size
    if pixel_format == "yuv420p":
        luma = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)  # type: ignore[call-overload]
        np.testing.assert_array_equal(out[: height & ~1], luma[: height & ~1, : width & ~1])


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_the_rings_shapes_are_those_of_av(pixel_format: str) -> None:
    assert picture(16, 32).to_ndarray(format=pixel_format).shape == SHAPES[pixel_format](16, 32)


# ---- views and sinks ----


@pytest.fixture
def memory() -> Iterator[int]:
    fd = create_memory()
    yield fd
    os.close(fd)


class Opened:
    """A view, the reader of its ring, and what the view told."""

    def __init__(self, memory: int, region: int = 0, pixel_format: str = "rgb24") -> None:
        self.told = 0
        self.failures: list[str] = []
        self.reader = Reader(memory, region)
        self.format = pixel_format
        self.view = View(Writer(memory, region), pixel_format, self._tell, self.failures.append)

    def _tell(self) -> None:
        self.told += 1

    def newest(self) -> Any:
        return self.reader.copy(self.reader.head - 1, self.format)


def test_a_picture_is_written_for_every_open_view_in_its_format(memory: int) -> None:
    sink = StreamSink()
    views = [Opened(memory, region, pixel_format) for region, pixel_format in enumerate(FORMATS)]
    for number, opened in enumerate(views):
        sink.open(number, opened.view)
    frame = picture(48, 64)
    sink.deliver(frame, 12.5, True)
    for opened in views:
        found = opened.newest()
        np.testing.assert_array_equal(found.array, converted(frame, opened.format))
        assert (found.time, found.index, opened.told) == (12.5, 0, 1)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one at each conversion, which is left out."""
    found: list[str] = []
    monkeypatch.setattr(Converter, "convert", lambda *arguments: found.append("one"))
    return found


def test_stale_pictures_are_counted_but_not_converted(memory: int, conversions: list[str]) -> None:
    sink, opened = StreamSink(), Opened(memory)
    sink.open(1, opened.view)
    for fresh in (False, False, True):
        sink.deliver(picture(16, 16), 1.0, fresh)
    assert len(conversions) == 1
    assert opened.reader.head == 1
    assert opened.newest().index == 2


def test_nothing_is_converted_without_a_view(conversions: list[str], memory: int) -> None:
    sink, opened = StreamSink(), Opened(memory)
    sink.deliver(picture(16, 16), 1.0, True)
    sink.open(1, opened.view)
    sink.close(1)
    sink.deliver(picture(16, 16), 1.0, True)
    assert len(conversions) == 1  # the one that the view had at its opening


def test_a_view_that_opens_between_two_pictures_has_the_last_at_once(memory: int) -> None:
    sink, opened = StreamSink(), Opened(memory)
    sink.deliver(picture(16, 16), 1.0, True)
    sink.deliver(picture(16, 18), 2.0, True)
    sink.open(1, opened.view)
    found = opened.newest()
    assert (found.array.shape, found.time, found.index) == ((16, 18, 3), 2.0, 1)


def test_a_picture_from_before_a_pause_is_not_given_as_live(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, opened = StreamSink(), Opened(memory)
    sink.deliver(picture(16, 16), 1.0, True)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1)
    sink.open(1, opened.view)
    assert opened.reader.head == 0


def test_a_picture_that_does_not_fit_ends_the_view_with_the_reason(memory: int) -> None:
    opened = Opened(memory)
    opened.view.write(av.VideoFrame(8000, 5000, "yuv420p"), 0.0, 0)
    assert len(opened.failures) == 1
    assert "does not fit" in opened.failures[0]
    assert opened.told == 0


def test_a_picture_of_one_pixel_has_no_yuv420p_and_says_so(memory: int) -> None:
    sink, opened = StreamSink(), Opened(memory, 0, "yuv420p")
    sink.open(1, opened.view)
    sink.deliver(picture(1, 1), 0.0, True)
    sink.deliver(picture(16, 16), 0.0, True)
    assert opened.newest().array.shape == (24, 16)


def test_closing_is_safe_while_pictures_arrive(memory: int) -> None:
    sink = StreamSink()
    stop = threading.Event()
    failures: list[BaseException] = []
    frame = picture(240, 320)

    def deliver() -> None:
        try:
            while not stop.is_set():
                sink.deliver(frame, 1.0, True)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=deliver)
    thread.start()
    for number in range(100):
        opened = Opened(memory)
        sink.open(number, opened.view)
        sink.close(number)
        sink.close(number)
        opened.reader.close()
    stop.set()
    thread.join()
    assert failures == []
    assert sink.view_numbers == []
