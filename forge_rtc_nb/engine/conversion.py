"""Decoded pictures to the pixel formats that kernels ask for, straight into a slot of the ring (engine process)."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from . import swscale

Array = np.ndarray[Any, np.dtype[np.uint8]]

_MATRICES = {1: 1, 2: 5, 5: 5, 6: 5}
"""What a picture's ``colorspace`` (ITU-T H.273 table 4: 1 is BT.709, 2 unspecified, 5 and 6 BT.601) is converted with."""
_FULL = 2
"""AVCOL_RANGE_JPEG: luma from 0 to 255. It is 16 to 235 where a picture does not say."""


class Converter:
    """Converts a stream's pictures to one format; not for two threads at once.

    Keeps what a conversion needs from picture to picture: to make it anew takes longer than a conversion.
    """

    def __init__(self, pixel_format: str) -> None:
        self._format = pixel_format
        self._scaler: swscale.Scaler | None = None
        self._reformatter = VideoReformatter()

    def convert(self, picture: av.VideoFrame, out: Array) -> None:
        """Write the picture's pixels into ``out``, in a shape of `ring.SHAPES`."""
        planar = _is_planar(picture)
        if planar and self._format == "yuv420p":
            _copy_planes(picture, out)
        elif planar and self._format == "gray":
            _copy_gray(picture, out)
        elif swscale.available and _is_plain(picture):
            self._scaler_for(picture).convert(picture.planes, out)
        else:
            self._reformat(picture, out)

    def _scaler_for(self, picture: av.VideoFrame) -> swscale.Scaler:
        matrix = _MATRICES[picture.colorspace]
        wanted = (picture.height, picture.width, self._format, matrix, _is_full(picture))
        if self._scaler is None or self._scaler.made_for != wanted:
            self._scaler = swscale.Scaler(*wanted)
        return self._scaler

    def _reformat(self, picture: av.VideoFrame, out: Array) -> None:
        # One thread: a pool for each picture costs more than it saves, and the cores are the browser's and the kernel's too.
        picture = self._reformatter.reformat(picture, format=self._format, threads=1)
        if self._format == "yuv420p":
            _copy_planes(picture, out)
        elif self._format == "gray":
            _copy_gray(picture, out)
        else:
            height, width = out.shape[:2]
            out.reshape(height, width * 3)[:] = _plane(picture, 0, height, width * 3)


def _is_planar(picture: av.VideoFrame) -> bool:
    return picture.format.name in ("yuv420p", "yuvj420p")


def _is_full(picture: av.VideoFrame) -> bool:
    return picture.color_range == _FULL or picture.format.name == "yuvj420p"


def _is_plain(picture: av.VideoFrame) -> bool:
    """What codecs for calls give: 4:2:0, of a usual size. PyAV knows the rest better.

    libswscale works on 16 pixels at once, and where a row of ours ends sooner, it leaves pixels out or writes behind the row.
    """
    return _is_planar(picture) and picture.colorspace in _MATRICES and picture.width % 16 == 0 and picture.height % 2 == 0


def _plane(picture: av.VideoFrame, number: int, rows: int, row_bytes: int) -> Array:
    plane: Any = picture.planes[number]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :row_bytes]


def _copy_gray(picture: av.VideoFrame, out: Array) -> None:
    height, width = out.shape
    luma = _plane(picture, 0, height, width)
    if picture.format.name == "gray" or _is_full(picture):
        out[:] = luma
        return
    np.take(_FULL_RANGE, luma, out=out, mode="clip")


_FULL_RANGE = np.clip((np.arange(256) - 16) * 255 / 219 + 0.5, 0, 255).astype(np.uint8)
"""ITU-R BT.601 luma (16 to 235) to 0 to 255, as the gray of an RGB picture has it."""


def _copy_planes(picture: av.VideoFrame, out: Array) -> None:
    width = out.shape[1]
    height = out.shape[0] * 2 // 3
    out[:height] = _plane(picture, 0, height, width)
    half = (height // 2, width // 2)
    chroma = out[height:].reshape(2, *half)
    chroma[0] = _plane(picture, 1, *half)
    chroma[1] = _plane(picture, 2, *half)
