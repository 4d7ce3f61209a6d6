"""Arrays as pictures: every kind that is one is written as it was meant, everything else is refused in words (test process)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from forge_rtc_nb.kernel.publishing.pixels import look
from tests.strategies import LAYOUTS

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
FORMATS = {1: "gray", 3: "rgb24", 4: "rgba"}


def written(value: Any) -> NDArray[np.uint8]:
    return look(value).copy()


def meant(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The slow way."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    floats = np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=1e9, neginf=-1e9)
    scaled: NDArray[np.float32] = np.rint(np.clip(floats.astype(np.float32) * np.float32(255), 0, 255))
    return scaled.astype(np.uint8)


@settings(max_examples=int(150 * FUZZ), deadline=None)
@given(
    st.integers(2, 40),
    st.integers(2, 40),
    st.sampled_from(sorted(FORMATS)),
    st.sampled_from(["uint8", "bool", "float16", "float32", "float64"]),
    st.sampled_from(sorted(LAYOUTS)),
    st.integers(0, 2**32 - 1),
)
def test_every_dtype_and_layout_is_written_as_it_is_meant(
    height: int, width: int, channels: int, dtype: str, layout: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    shape = (height, width) if channels == 1 else (height, width, channels)
    array = (
        random.integers(0, 256, shape).astype(np.uint8) if dtype == "uint8" else random.uniform(-0.2, 1.2, shape).astype(dtype)
    )
    if dtype == "bool":
        array = random.random(shape) > 0.5
    laid: NDArray[Any] = LAYOUTS[layout](array)
    if laid.ndim not in (2, 3) or laid.shape != array.shape:
        laid = array
    pixels = look(laid)
    assert pixels.pixel_format == FORMATS[channels]
    assert pixels.size == (height, width)
    off = np.abs(pixels.copy().astype(int) - meant(laid).astype(int))
    assert off.max() <= (1 if laid.dtype.kind == "f" else 0)  # float16 and halves round either way


def test_what_is_out_of_range_is_clipped_and_what_is_no_number_is_black() -> None:
    array = np.array([[np.nan, np.inf], [-np.inf, 0.5]])
    assert written(array).tolist() == [[0, 255], [0, 128]]


def test_a_single_channel_is_gray() -> None:
    assert look(np.zeros((4, 6, 1), np.uint8)).pixel_format == "gray"


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "gray"), ("RGB", "rgb24"), ("RGBA", "rgba"), ("P", "rgb24"), ("CMYK", "rgb24")]
)
def test_images_of_pillow_are_pictures(mode: str, expected: str) -> None:
    assert look(Image.new(mode, (6, 4))).pixel_format == expected


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (None, TypeError, "None is no picture"),
        ("text", TypeError, "a str is no picture"),
        (np.zeros(4), TypeError, "shape"),
        (np.zeros((4, 4, 2)), TypeError, "shape"),
        (np.zeros((2, 4, 4, 3)), TypeError, "shape"),
        (np.zeros((4, 4), np.int64), TypeError, "astype"),
        (np.zeros((4, 4), np.uint16), TypeError, "65535"),
        (np.zeros((4, 4), complex), TypeError, "dtype"),
        (np.zeros((4, 4), object), TypeError, "dtype"),
        (np.zeros((1, 4)), ValueError, "pixels a side"),
        (np.zeros((0, 4)), ValueError, "pixels a side"),
        (np.broadcast_to(np.uint8(0), (8193, 4)), ValueError, "pixels a side"),
        (np.broadcast_to(np.uint8(0), (8192, 8192, 3)), ValueError, "smaller"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_to_do(value: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        look(value)
