"""Small pictures and lines of large arrays, for those who only look at the overview; pure (engine process).

`docs/protocol.md`, The overview. However large an array is, a few thousand of its elements are looked at: the engine has
other things to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...arrays import Array, ArrayHeader, ValueHeader, view

MAX_PIXELS = 128
"""Rows and columns of a picture, points of a line."""
MIN_PIXELS = 16
"""What a narrow side keeps where square pixels would leave less of it."""
SAMPLES = 16384
"""Elements that are looked at for a line: up to so many no peak is missed."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Preview:
    """``|u1``: a picture of ``[h, w]`` or ``[h, w, 3]``; ``<f4``: a line of ``[n]``, nan where there is nothing to show."""

    dtype: Literal["|u1", "<f4"]
    shape: list[int]
    body: bytes
    """The elements in C order."""


def preview(header: ValueHeader, body: memoryview) -> Preview | None:
    """What to show of a value whose header was checked; None where there is no picture of it, or nothing to see."""
    if not isinstance(header, ArrayHeader) or 0 in header.shape:
        return None
    match header.shape:
        case [_]:
            return _line(view(header, body))
        case [_, _]:
            return _picture(_thin(view(header, body)))
        case [_, _, 3 | 4] if header.dtype in {"|u1", "|b1"}:
            return _picture(_thin(view(header, body))[..., :3])
    return None


# ---- pictures ----


def _thin(array: Array) -> Array:
    """Every so manieth row and column."""
    step = math.ceil(max(array.shape[:2]) / MAX_PIXELS)
    rows, columns = (min(step, max(n // MIN_PIXELS, 1)) for n in array.shape[:2])
    return array[::rows, ::columns]


def _picture(array: Array) -> Preview:
    if array.dtype == np.uint8:
        pixels = array
    elif array.dtype == np.bool_:
        pixels = np.where(array, np.uint8(255), np.uint8(0))
    else:
        pixels = _gray(_floats(array))
    return Preview("|u1", list(pixels.shape), pixels.tobytes())


def _gray(values: Floats) -> Array:
    """Black is the least and white the greatest finite value; nan is black."""
    finite = values[np.isfinite(values)]
    # In halves, whose difference is finite, too.
    low, high = (finite.min() / 2, finite.max() / 2) if finite.size else (0.0, 0.0)
    if high == low:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values / 2 - low) / (high - low) * 255
    return np.nan_to_num(np.clip(scaled, 0, 255)).round().astype(np.uint8)


# ---- lines ----


def _line(array: Array) -> Preview:
    values = _floats(array[:: math.ceil(len(array) / SAMPLES)])
    values[np.isinf(values)] = np.nan
    if len(values) > MAX_PIXELS:
        values = _envelope(values, MAX_PIXELS // 2)
    largest = np.finfo(np.float32).max
    with np.errstate(invalid="ignore"):  # a signaling nan, which becomes a quiet one
        points = np.clip(values, -largest, largest).astype("<f4")
    return Preview("<f4", [len(points)], points.tobytes())


def _envelope(values: Floats, parts: int) -> Floats:
    """The least and the greatest value of each of so many parts, so that peaks can be seen; nan where there is nothing else."""
    starts = np.arange(parts) * len(values) // parts
    ends = np.empty(2 * parts)
    ends[0::2] = np.fmin.reduceat(values, starts)
    ends[1::2] = np.fmax.reduceat(values, starts)
    return ends


def _floats(array: Array) -> Floats:
    """A copy as numbers; of complex ones the magnitude."""
    with np.errstate(over="ignore", invalid="ignore"):
        return (np.abs(array) if array.dtype.kind == "c" else array).astype(np.float64)
