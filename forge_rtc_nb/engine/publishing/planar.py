"""Pictures of the kernel to planes for an encoder (engine process)."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

from .. import swscale
from .planes import Array, Planes

FORMATS = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray": 1, "yuv420p": 1}
"""Pixel formats that can be published, and the channels of their arrays."""


def picture_size(pixels: Array, pixel_format: str) -> tuple[int, int]:
    """(height, width) of the picture in an array; `ValueError` where it is not of this format, or cannot be read in place."""
    channels = FORMATS.get(pixel_format)
    shape = pixels.shape if channels == 1 else pixels.shape[:-1]
    packed = pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.size > 0
    if channels is None or len(shape) != 2 or (channels > 1 and pixels.shape[-1] != channels) or not packed:
        raise ValueError(f"no {pixel_format} picture: {pixels.dtype} of shape {pixels.shape}")
    height, width = shape
    if pixel_format != "yuv420p":
        return height, width
    if height % 3 or width % 2 or height * 2 // 3 % 2:
        raise ValueError(f"no yuv420p picture has shape {pixels.shape}")
    return height * 2 // 3, width


class PlanarConverter:
    """Keeps planes and converter from picture to picture; not for two threads at once."""

    def __init__(self) -> None:
        self._planes: Planes | None = None
        self._scaler: swscale.PlanarScaler | None = None

    def convert(self, pixels: Array, pixel_format: str) -> Planes:
        """Planes that are written again by the next call."""
        size = picture_size(pixels, pixel_format)
        if self._planes is None or (self._planes.height, self._planes.width) != size:
            self._planes = Planes(*size)
        if pixel_format == "yuv420p":
            _copy(pixels, self._planes)
        elif swscale.available:
            self._scaler_for(size, pixel_format).convert(pixels, self._planes.all)
        else:
            _reformat(pixels, pixel_format, self._planes)
        return self._planes

    def _scaler_for(self, size: tuple[int, int], pixel_format: str) -> swscale.PlanarScaler:
        wanted = (*size, pixel_format)
        if self._scaler is None or self._scaler.made_for != wanted:
            self._scaler = swscale.PlanarScaler(*wanted)
        return self._scaler


def _copy(pixels: Array, planes: Planes) -> None:
    height, width = planes.height, planes.width
    planes.y[:] = pixels[:height]
    chroma = pixels[height:].reshape(2, height // 2, width // 2)
    planes.u[:], planes.v[:] = chroma


def _reformat(pixels: Array, pixel_format: str, planes: Planes) -> None:
    """PyAV's way, where libswscale is another one than we know."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=pixel_format)
    picture = picture.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
    rows = (planes.height, *[(planes.height + 1) // 2] * 2)
    columns = (planes.width, *[(planes.width + 1) // 2] * 2)
    for target, plane, height, width in zip(planes.all, picture.planes, rows, columns, strict=True):
        source: Any = plane
        target[:height, :width] = np.frombuffer(source, np.uint8).reshape(-1, plane.line_size)[:height, :width]
