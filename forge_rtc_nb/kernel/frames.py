"""A video frame as a numpy user wants it (runs in the kernel)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..ring import Picture


class Frame:
    """One picture of a stream. ``np.asarray(frame)`` is ``frame.array``; in a notebook it shows itself.

    >>> frame = rtc.synthetic().latest()
    >>> frame.array.shape, frame.array.dtype
    ((720, 1280, 3), dtype('uint8'))
    """

    array: NDArray[np.uint8]
    """The pixels, uint8: (height, width, 3) for rgb24 and bgr24, (height, width) for gray, (height * 3 // 2, width) for
    yuv420p (the planes Y, U, V one below the other). Private to this frame: write to it, it never changes by itself."""
    time: float
    """Unix seconds of capture, as far as known. A camera's comes from its RTCP sender reports (RFC 3550 section 6.4.1),
    corrected by the offset of the two clocks as the connection's heartbeat measured it: off by at most half the network's
    round trip. Until the first report, about a second in, it is the time of arrival: late by what `latency` shows later."""
    latency: float
    """Seconds from capture to the moment at which the pixels were ready for this kernel."""
    index: int
    """Running number of the picture in its stream since it was first read; gaps are pictures that were left out."""
    format: str
    """``rgb24``, ``bgr24``, ``gray`` or ``yuv420p``."""

    __slots__ = ("array", "format", "index", "latency", "time")

    def __init__(self, picture: Picture, pixel_format: str) -> None:
        self.array = picture.array
        self.time = picture.time
        self.latency = max(0.0, picture.arrival - picture.time)
        self.index = picture.index
        self.format = pixel_format

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if dtype is None or np.dtype(dtype) == self.array.dtype:
            return self.array.copy() if copy else self.array
        if copy is False:
            raise ValueError("a frame of uint8 cannot become another dtype without a copy")
        return self.array.astype(dtype)

    def __repr__(self) -> str:
        height, width = _size(self.array, self.format)
        return f"<Frame {self.index}: {width} x {height} {self.format}, {self.latency * 1000:.0f} ms old on arrival>"

    def _repr_png_(self) -> bytes:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(_displayable(self.array, self.format)).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def _size(array: NDArray[np.uint8], pixel_format: str) -> tuple[int, int]:
    height, width = array.shape[:2]
    return (height * 2 // 3 if pixel_format == "yuv420p" else height), width


def _displayable(array: NDArray[np.uint8], pixel_format: str) -> NDArray[np.uint8]:
    """RGB or gray pixels of any format."""
    if pixel_format == "bgr24":
        return np.ascontiguousarray(array[..., ::-1])
    return _rgb_of_yuv420p(array) if pixel_format == "yuv420p" else array


def _rgb_of_yuv420p(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R BT.601, limited range."""
    height, width = _size(array, "yuv420p")
    luma = (array[:height].astype(np.float32) - 16) * (255 / 219)
    chroma = array[height:].reshape(2, height // 2, width // 2).astype(np.float32) - 128
    blue, red = (np.repeat(np.repeat(plane, 2, 0), 2, 1) * (255 / 224) for plane in chroma)
    channels = [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue]
    return np.clip(np.stack(channels, -1) + 0.5, 0, 255).astype(np.uint8)
