"""A fixed clip with detail for comparing encoders: the same numbers on every machine (bench process)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.uint8]]
_SEED = 6


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Noise of several octaves, 0 to 255, three channels that differ: coarse shapes and fine grain."""
    picture = np.zeros((height, width, 3), np.float32)
    for step, weight in ((96, 90.0), (32, 60.0), (12, 35.0), (5, 20.0), (2, 8.0)):
        small = rng.standard_normal((height // step + 2, width // step + 2, 3)).astype(np.float32)
        rows, columns = np.arange(height) / step, np.arange(width) / step
        picture += weight * _between(_between(small, rows, 0), columns, 1)
    clipped: np.ndarray[Any, np.dtype[np.float32]] = np.clip(picture * 0.6 + 128, 0, 255)
    return clipped


def _between(values: Any, at: Any, axis: int) -> Any:
    """Linear interpolation along one axis."""
    low = at.astype(int)
    part = (at - low).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(3)])
    return np.take(values, low, axis) * (1 - part) + np.take(values, low + 1, axis) * part


def clip(height: int, width: int, frames: int) -> Iterator[Array]:
    """RGB frames for 30 a second: a background that pans by fractions of a pixel, discs that cross it, grain of a sensor."""
    rng = np.random.default_rng(_SEED)
    background = _texture(rng, height + 64, width + 64)
    skin = _texture(rng, height // 3, height // 3)
    grain = rng.normal(0, 2.0, (height + 64, width + 64, 1)).astype(np.float32)
    for number in range(frames):
        yield _frame(number, height, width, background, skin, grain)


def _frame(number: int, height: int, width: int, background: Any, skin: Any, grain: Any) -> Array:
    angle = number / 25
    top, left = 31 + 30 * np.sin(angle), 31 + 30 * np.cos(angle * 0.7)
    rows, columns = int(top), int(left)
    part = top - rows
    window = background[rows : rows + height + 1, columns : columns + width]
    picture = window[:-1] * (1 - part) + window[1:] * part
    _discs(picture, number, skin)
    shift = (number * 37 % 64, number * 23 % 64)
    picture += grain[shift[0] : shift[0] + height, shift[1] : shift[1] + width]
    frame: Array = np.clip(picture, 0, 255).astype(np.uint8)
    return frame


def _discs(picture: Any, number: int, skin: Any) -> None:
    height, width = picture.shape[:2]
    side = skin.shape[0]
    y, x = np.ogrid[:side, :side]
    inside = ((y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 2) ** 2)[..., None]
    for disc in range(3):
        top = int((height - side) * (0.5 + 0.5 * np.sin(number / 20 + disc * 2)))
        left = int((width - side) * (0.5 + 0.5 * np.cos(number / 30 + disc * 3)))
        under = picture[top : top + side, left : left + side]
        under[:] = np.where(inside, skin, under)
