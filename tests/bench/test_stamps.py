"""The stamp in the bench's pictures survives what pictures go through, and damage is noticed (test process)."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.bench.video.stamps import LAYOUT, WRAP, drawn


def painted(width: int, height: int, milliseconds: int) -> NDArray[np.uint8]:
    """As camera.js paints it."""
    parts = list((milliseconds % WRAP).to_bytes(4, "big"))
    parts.append((sum(part * (2 * n + 1) for n, part in enumerate(parts)) + 0x5A) & 255)
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    side = width / LAYOUT["across"]
    for n, bit in enumerate(np.unpackbits(np.array(parts, np.uint8))):
        left, top = LAYOUT["left"] + n % LAYOUT["columns"], LAYOUT["top"] + n // LAYOUT["columns"]
        rows = slice(round(top * side), round((top + 1) * side))
        pixels[rows, round(left * side) : round((left + 1) * side)] = 235 if bit else 16
    return pixels


@pytest.mark.parametrize(("width", "height"), [(640, 480), (640, 360), (1280, 720), (1920, 1080)])
def test_time_of_drawing_is_read_back(width: int, height: int) -> None:
    now = int(time.time() * 1000)
    assert drawn(painted(width, height, now - 1234)) == pytest.approx((now - 1234) / 1000)


def test_survives_jpeg_and_a_smaller_picture() -> None:
    now = int(time.time() * 1000)
    small = Image.fromarray(painted(1280, 720, now)).resize((320, 180))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=30)
    assert drawn(np.asarray(Image.open(file))) == pytest.approx(now / 1000)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_without_stamp_has_no_time(level: int) -> None:
    assert drawn(np.full((480, 640, 3), level, np.uint8)) is None


def test_one_damaged_square_is_noticed() -> None:
    pixels = painted(640, 480, int(time.time() * 1000))
    side = 640 / LAYOUT["across"]
    rows = slice(round(side), round(2 * side))
    square = pixels[rows, round(2 * side) : round(3 * side)]
    square[:] = 251 - square
    assert drawn(pixels) is None


def test_a_picture_too_low_for_the_stamp_has_no_time() -> None:
    assert drawn(np.zeros((40, 640, 3), np.uint8)) is None
