"""A `Frame` as numpy and a notebook take it: arrays, dtypes, and a picture in the right colours in every format."""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.frames import Frame
from forge_rtc_nb.kernel.streams import FORMATS
from forge_rtc_nb.ring import SHAPES, Picture

COLOURS = [
    (235, 16, 16),
    (16, 235, 16),
    (16, 16, 235),
    (235, 235, 16),
    (200, 120, 40),
    (16, 16, 16),
    (235, 235, 235),
    (127, 127, 127),
]


def frame_of(array: np.ndarray[Any, Any], pixel_format: str = "rgb24", **fields: Any) -> Frame:
    return Frame(Picture(array, **{"time": 100.0, "arrival": 100.25, "index": 7, **fields}), pixel_format)


def bars(height: int = 32) -> np.ndarray[Any, Any]:
    """RGB bars of 16 pixels each."""
    return np.broadcast_to(np.repeat(np.array(COLOURS, np.uint8), 16, axis=0), (height, 16 * len(COLOURS), 3)).copy()


# ---- as an array ----


def test_asarray_is_the_array_itself() -> None:
    frame = frame_of(np.zeros((4, 6, 3), np.uint8))
    assert np.asarray(frame) is frame.array
    assert np.asarray(frame, np.uint8) is frame.array


def test_array_is_a_copy() -> None:
    frame = frame_of(np.zeros((4, 6, 3), np.uint8))
    copied = np.array(frame)
    copied[:] = 9
    assert frame.array.max() == 0
    assert frame.__array__(copy=True) is not frame.array
    assert frame.__array__(np.dtype(np.uint8), copy=True) is not frame.array
    assert frame.__array__(copy=False) is frame.array


def test_another_dtype_is_converted() -> None:
    frame = frame_of(np.full((2, 2, 3), 200, np.uint8))
    converted = np.asarray(frame, dtype=np.float32)
    assert converted.dtype == np.dtype(np.float32)
    assert float(converted.mean()) == 200.0
    assert float(np.mean(frame)) == 200.0


def test_another_dtype_without_a_copy_is_refused() -> None:
    frame = frame_of(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="without a copy"):
        frame.__array__(np.dtype(float), copy=False)


def test_numpy_functions_take_frames() -> None:
    frames = [frame_of(np.full((2, 3, 3), value, np.uint8)) for value in (1, 2)]
    assert np.stack(frames).shape == (2, 2, 3, 3)
    assert np.abs(np.subtract(frames[1], frames[0])).max() == 1


# ---- what it says of itself ----


def test_latency_is_from_capture_to_arrival_and_never_negative() -> None:
    assert frame_of(np.zeros((2, 2, 3), np.uint8)).latency == pytest.approx(0.25)
    assert frame_of(np.zeros((2, 2, 3), np.uint8), time=101.0).latency == 0.0


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_repr_names_size_and_format(pixel_format: str) -> None:
    frame = frame_of(np.zeros(SHAPES[pixel_format](48, 64), np.uint8), pixel_format)
    assert repr(frame) == f"<Frame 7: 64 x 48 {pixel_format}, 250 ms old on arrival>"


def test_it_holds_nothing_but_its_own_pixels() -> None:
    frame = frame_of(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(AttributeError):
        frame.extra = 1  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(frame))
    assert again.format == "rgb24"
    np.testing.assert_array_equal(again.array, frame.array)


# ---- as a picture ----


def shown(frame: Frame) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(frame._repr_png_())).convert("RGB")).astype(int)


def centres(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return pixels[16, 8::16]


def test_rgb_and_bgr_show_the_same_picture() -> None:
    np.testing.assert_array_equal(shown(frame_of(bars())), bars())
    np.testing.assert_array_equal(shown(frame_of(bars()[..., ::-1].copy(), "bgr24")), bars())


def test_gray_shows_gray() -> None:
    gray = (bars() @ [0.299, 0.587, 0.114]).astype(np.uint8)
    np.testing.assert_array_equal(shown(frame_of(gray, "gray")), np.repeat(gray[..., None], 3, -1))


@pytest.mark.parametrize("size", [(32, 128), (34, 128), (2, 128)])
def test_yuv420p_shows_the_colours_that_were_encoded(size: tuple[int, int]) -> None:
    import av

    pixels = bars(size[0])
    planes = av.VideoFrame.from_ndarray(pixels, "rgb24").to_ndarray(format="yuv420p")
    difference = np.abs(shown(frame_of(planes, "yuv420p"))[0, 8::16] - pixels[0, 8::16])
    assert difference.max() <= 4


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "gray", "yuv420p"])
def test_a_frame_of_the_engine_shows_the_same_colours_in_every_format(pixel_format: Any) -> None:
    stream = rtc.synthetic(size=(96, 224), fps=5)
    try:
        frame = next(stream.frames(format=pixel_format))
    finally:
        stream.stop()
    pixels = shown(frame)
    assert pixels.shape == (96, 224, 3)
    # The bars move: take the colours as a set, without the frame number on top, away from edges.
    found = {tuple(int(channel) for channel in pixel) for pixel in pixels[80]}
    expected = [(235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16), (235, 16, 235), (235, 16, 16), (16, 16, 235)]
    if pixel_format == "gray":
        expected = [(round(sum(c * w for c, w in zip(colour, (0.299, 0.587, 0.114), strict=True))),) * 3 for colour in expected]
    for colour in expected:
        assert min(math.dist(colour, other) for other in found) < 8, colour
