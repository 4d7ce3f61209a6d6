"""Reading the number that a synthetic picture carries along its top (test process)."""

from __future__ import annotations

from typing import Any

import numpy as np


def number_of(pixels: np.ndarray[Any, Any]) -> int:
    """The frame number of a picture of `rtc.synthetic`, RGB, BGR or gray."""
    side = min(pixels.shape[0] // 4, pixels.shape[1] // 16)
    gray = pixels.mean(-1) if pixels.ndim == 3 else pixels
    number = 0
    for bit in range(16):
        number = number << 1 | int(gray[side // 2, bit * side + side // 2] > 128)
    return number
