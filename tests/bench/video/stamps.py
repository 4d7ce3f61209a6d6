"""Reads the time of drawing out of a picture of the made-up camera (kernel, and bench process).

A stamp is 40 squares, black or white, in two rows: 32 bits of Unix milliseconds and 8 of checksum. Their side is a 24th of
the picture's width, so that they survive codecs, JPEG, and a sender that makes the picture smaller.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYOUT = {"columns": 20, "rows": 2, "across": 24, "left": 2, "top": 1}
"""In squares: how many, how many of their width make up the picture's, and where the first one is."""
WRAP = 1 << 32
Points = tuple[NDArray[np.intp], NDArray[np.intp]]


def drawn(pixels: NDArray[Any]) -> float | None:
    """Unix seconds at which an RGB picture (height, width, 3) was drawn; None where its stamp cannot be read."""
    rows, columns = _points(pixels.shape[1])
    if rows[-1, -1] >= pixels.shape[0]:
        return None
    levels = pixels[rows, columns, 1].mean(axis=1)
    packed = np.packbits(levels > 127)
    parts = [int(part) for part in packed]
    if (sum(part * (2 * n + 1) for n, part in enumerate(parts[:4])) + 0x5A) & 255 != parts[4]:
        return None
    stamp = int.from_bytes(packed[:4].tobytes(), "big")
    now = int(time.time() * 1000)
    # A moment in the future is a clock that stepped; it shows as a negative latency, not as 49 days.
    behind = (now - stamp + WRAP // 2) % WRAP - WRAP // 2
    return (now - behind) / 1000


@lru_cache
def _points(width: int) -> Points:
    """Nine points in the middle of each square, as (rows, columns) of shape (squares, 9)."""
    side = width / LAYOUT["across"]
    number = np.arange(LAYOUT["columns"] * LAYOUT["rows"])
    inner = (np.arange(3) - 1) * 0.2
    x = (LAYOUT["left"] + number % LAYOUT["columns"] + 0.5)[:, None] + np.tile(inner, 3)
    y = (LAYOUT["top"] + number // LAYOUT["columns"] + 0.5)[:, None] + np.repeat(inner, 3)
    return (y * side).astype(np.intp), (x * side).astype(np.intp)
