"""What users give as sound, as arrays of one kind (runs in the kernel; pure)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CHANNELS = 2


def look_sound(value: Any) -> NDArray[np.float32]:
    """(n, 1 or 2) float32. `TypeError`, `ValueError` for what is no sound; int16 is scaled to -1..1."""
    array = np.asarray(value)
    if array.dtype != np.int16 and array.dtype.kind != "f":
        raise TypeError(f"sound is an array of floats from -1 to 1, or of int16, not of {array.dtype}")
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or not 1 <= array.shape[1] <= MAX_CHANNELS:
        hint = ": transpose it" if array.ndim == 2 and array.shape[0] <= MAX_CHANNELS else ""
        raise ValueError(f"sound has the shape (n,), (n, 1) or (n, 2), not {np.shape(value)}{hint}")
    samples = array.astype(np.float32)
    if array.dtype == np.int16:
        samples /= 32768
    if not np.isfinite(samples).all():
        raise ValueError("sound is made of finite numbers; there are NaN or infinite ones in it")
    return samples
