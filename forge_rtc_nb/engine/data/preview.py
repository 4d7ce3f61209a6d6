"""A small picture or line of an array, to be shown in a widget; pure (engine process)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import arrays

MOST = 128
"""Pixels of a side, points of a line."""


@dataclass(frozen=True, slots=True)
class Preview:
    """``|u1`` of shape (h, w) or (h, w, 3) is a picture, ``<f4`` of shape (n,) a line."""

    dtype: str
    shape: list[int]
    body: bytes


def preview(header: arrays.ValueHeader, body: memoryview) -> Preview | None:
    """None for what has no picture."""
    if not isinstance(header, arrays.ArrayHeader) or 0 in header.shape:
        return None
    array = arrays.view(header, body)
    if array.ndim == 1:
        line = _real(array[:: -(-len(array) // MOST)]).astype("<f4")
        return Preview("<f4", [len(line)], line.tobytes())
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
        picture = _gray(array[:: -(-array.shape[0] // MOST), :: -(-array.shape[1] // MOST)][..., :3])
        return Preview("|u1", list(picture.shape), picture.tobytes())
    return None


def _real(array: Any) -> Any:
    return np.abs(array) if array.dtype.kind == "c" else array


def _gray(array: Any) -> Any:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    values = _real(array).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    return (np.nan_to_num((values - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0) * 255).clip(0, 255).astype(np.uint8)
