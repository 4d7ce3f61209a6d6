"""The FFmpeg that PyAV has loaded, asked to convert straight into memory of ours (engine process).

PyAV converts into a new picture, which then has to be copied: at 1080p a third of the time (docs/benchmarks.md). libswscale's
own call takes any destination. Its ABI is fixed within a major version, and where that or the library is not found, `Scaler`
is None and PyAV does it.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from av.video.reformatter import Interpolation

from .shared_library import loaded_library

MAJOR = 9
"""Of libswscale, in FFmpeg 8; its interface is documented in libswscale/swscale.h."""
_YUV420P = 0
_BT601 = 5
_FORMATS = {"rgb24": 2, "bgr24": 3, "gray": 8, "rgba": 26}
"""enum AVPixelFormat of libavutil/pixfmt.h; these numbers are part of its ABI."""
_Pointers = ctypes.c_void_p * 4
_Strides = ctypes.c_int * 4


def _load() -> Any:
    library = loaded_library("libswscale")
    if library is None or not hasattr(library, "swscale_version") or library.swscale_version() >> 16 != MAJOR:
        return None
    library.sws_getContext.restype = ctypes.c_void_p
    library.sws_getContext.argtypes = [*[ctypes.c_int] * 7, *[ctypes.c_void_p] * 3]
    library.sws_scale.argtypes = [ctypes.c_void_p, _Pointers, _Strides, ctypes.c_int, ctypes.c_int, _Pointers, _Strides]
    library.sws_getCoefficients.restype = ctypes.c_void_p
    library.sws_getCoefficients.argtypes = [ctypes.c_int]
    library.sws_setColorspaceDetails.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
        *[ctypes.c_int] * 4,
    ]
    library.sws_freeContext.restype = None
    library.sws_freeContext.argtypes = [ctypes.c_void_p]
    return library


_library = _load()
available = _library is not None
"""Whether a `Scaler` or `PlanarScaler` can be made in this process."""


def _context(height: int, width: int, source: int, target: int) -> Any:
    """A converter that is freed with the object of `weakref.finalize`; `MemoryError` where there is none."""
    size = (width, height)
    context = _library.sws_getContext(*size, source, *size, target, int(Interpolation.BILINEAR), None, None, None)
    if not context:
        raise MemoryError(f"no converter for {width} x {height}")
    return context


_NEUTRAL = (0, 1 << 16, 1 << 16)
"""Brightness, contrast, saturation."""


class Scaler:
    """Converts 4:2:0 pictures of one size, YUV matrix and range to RGB; not for two threads at once.

    ``matrix`` is a number of ITU-T H.273, which swscale takes as it is: 1 for BT.709, 5 or 6 for BT.601. ``full_range``: luma
    from 0 to 255 instead of 16 to 235.
    """

    def __init__(self, height: int, width: int, target: str, matrix: int, full_range: bool) -> None:
        self.made_for = (height, width, target, matrix, full_range)
        self._context = _context(height, width, _YUV420P, _FORMATS[target])
        weakref.finalize(self, _library.sws_freeContext, self._context)
        table = _library.sws_getCoefficients(matrix)
        _library.sws_setColorspaceDetails(self._context, table, int(full_range), table, 0, *_NEUTRAL)

    def convert(self, planes: Sequence[Any], out: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Planes of a picture into ``out`` (height, width, 3); the GIL is free meanwhile."""
        sources = _Pointers(*[plane.buffer_ptr for plane in planes])
        strides = _Strides(*[plane.line_size for plane in planes])
        _library.sws_scale(
            self._context, sources, strides, 0, out.shape[0], _Pointers(out.ctypes.data), _Strides(out.strides[0])
        )


class PlanarScaler:
    """Converts RGB, RGBA (its alpha is left out) and gray of one size to 4:2:0 in BT.601, luma 16 to 235."""

    def __init__(self, height: int, width: int, source: str) -> None:
        self.made_for = (height, width, source)
        self._height = height
        self._context = _context(height, width, _FORMATS[source], _YUV420P)
        weakref.finalize(self, _library.sws_freeContext, self._context)
        table = _library.sws_getCoefficients(_BT601)
        _library.sws_setColorspaceDetails(self._context, table, 1, table, 0, *_NEUTRAL)

    def convert(self, pixels: np.ndarray[Any, np.dtype[np.uint8]], planes: Sequence[np.ndarray[Any, Any]]) -> None:
        """``pixels`` (height, width[, channels]) into planes whose rows have 16 bytes of room; the GIL is free meanwhile."""
        targets = _Pointers(*[plane.ctypes.data for plane in planes])
        strides = _Strides(*[plane.strides[0] for plane in planes])
        source = _Pointers(pixels.ctypes.data), _Strides(pixels.strides[0])
        _library.sws_scale(self._context, *source, 0, self._height, targets, strides)
