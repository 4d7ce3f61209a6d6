"""What users give as a picture, looked at and written as uint8 where it shall lie (runs in the kernel)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ring import SLOT_BYTES
from ..frames import Frame

MIN_SIDE, MAX_SIDE = 2, 8192
"""Pixels. Chroma of 4:2:0 is one sample for 2 x 2 pixels."""
FORMATS = {1: "gray", 3: "rgb24", 4: "rgba"}
"""By the channels of an array."""
PICTURE = "(height, width) for gray, (height, width, 3) for RGB or (height, width, 4) for RGBA"

_BLOCK_BYTES = 1 << 20
"""Of floats between two steps of their conversion: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as its owner has it, of any layout: uint8, bool, or floats from 0 to 1."""

    array: NDArray[Any]
    """(height, width) or (height, width, 3 or 4); for yuv420p (height * 3 // 2, width)."""
    pixel_format: str

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.array.shape[:2]
        return (height * 2 // 3 if self.pixel_format == "yuv420p" else height), width

    def write(self, target: NDArray[np.uint8]) -> None:
        """Fill an array of the same shape. Floats are clipped, NaN is 0."""
        if self.array.dtype == np.uint8:
            _copy(self.array, target)
        elif self.array.dtype == np.bool_:
            np.multiply(self.array, np.uint8(255), out=target, dtype=np.uint8)
        else:
            _scale(self.array, target)

    def copy(self) -> NDArray[np.uint8]:
        """An array of its own."""
        target = np.empty(self.array.shape, np.uint8)
        self.write(target)
        return target


def look(value: object) -> Pixels:
    """The picture in an array, a `Frame`, a PIL image or whatever else numpy can take as an array; copies nothing.

    `TypeError` for what is no picture, `ValueError` for a size that cannot be sent.
    """
    if isinstance(value, Frame):
        return Pixels(value.array, value.format)
    array = _array_of(value)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    pixel_format = FORMATS.get(1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0)
    if pixel_format is None:
        hint = "; if it is sound, say how many samples a second it has: rate=48000" if array.ndim == 1 else ""
        raise TypeError(f"no picture has the shape {array.shape}: give an array of shape {PICTURE}{hint}")
    _check_dtype(array.dtype)
    _check_size(array)
    return Pixels(array, pixel_format)


def _array_of(value: object) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return value
    image: Any = sys.modules.get("PIL.Image")
    if image is not None and isinstance(value, image.Image):
        # Arrays of other modes are no colours: numbers in a palette, inks.
        return np.asarray(value if value.mode in ("1", "L", "RGB", "RGBA") else value.convert("RGB"))
    if hasattr(value, "__array__"):
        return np.asarray(value)
    what = "None" if value is None else f"a {type(value).__name__}"
    raise TypeError(f"{what} is no picture: give a numpy array of shape {PICTURE}")


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if (dtype.kind == "f" and dtype.itemsize <= 8) or dtype in (np.uint8, np.bool_):
        return
    if dtype.kind in "iu":
        raise TypeError(
            f"a picture of {dtype} has no known range: scale it to 0..255 and use .astype(np.uint8), "
            f"or to floats from 0 to 1, as in array / {np.iinfo(dtype).max}"
        )
    raise TypeError(f"no picture is of dtype {dtype}: use uint8, bool, or floats from 0 to 1 (float16, float32, float64)")


def _check_size(array: NDArray[Any]) -> None:
    height, width = array.shape[:2]
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise ValueError(f"a picture has {MIN_SIDE} to {MAX_SIDE} pixels a side, not height {height} and width {width}")
    if array.size > SLOT_BYTES:
        raise ValueError(
            f"a picture of {width} x {height} with {array.size // (height * width)} channels has {array.size >> 20} MiB, "
            f"{SLOT_BYTES >> 20} are the most: make it smaller, as in array[::2, ::2]"
        )


def _copy(array: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    if array.flags.c_contiguous and target.flags.c_contiguous:
        # numpy would let other threads run meanwhile; where one computes in Python, it takes five milliseconds to go on.
        target.data.cast("B")[:] = array.data.cast("B")
        return
    if array.ndim == 2 or array.strides[1:] == (array.shape[2], 1):
        np.copyto(target, array)
        return
    # Where the pixels do not lie one after the other (mirrored, BGR, planes) a channel at a time takes a sixth of the time.
    for channel in range(array.shape[2]):
        np.copyto(target[:, :, channel], array[:, :, channel])


def _scale(array: NDArray[Any], target: NDArray[np.uint8]) -> None:
    row_bytes = 4 * array[0].size
    rows = max(1, _BLOCK_BYTES // row_bytes)
    scratch = np.empty((min(rows, len(array)), *array.shape[1:]), np.float32)
    with np.errstate(all="ignore"):  # infinity is clipped, and NaN becomes 0 when it is cast
        for start in range(0, len(array), rows):
            block = array[start : start + rows]
            floats = scratch[: len(block)]
            np.multiply(block, np.float32(255), out=floats, dtype=np.float32, casting="unsafe")
            np.clip(floats, 0, 255, out=floats)
            np.rint(floats, out=floats)
            np.copyto(target[start : start + rows], floats, casting="unsafe")
