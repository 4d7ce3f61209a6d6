"""The FFmpeg that PyAV has loaded, asked to convert straight into memory of ours (engine process).

PyAV converts into a new picture, which then has to be copied: at 1080p a third of the time (docs/benchmarks.md). libswscale's
own call takes any destination. Its ABI is fixed within a major version, and where that or the library is not found, `Scaler`
is None and PyAV does it.
"""

from __future__ import annotations

import ctypes
import glob
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

MAJOR = 9
"""Of libswscale, in FFmpeg 8; its interface is documented in libswscale/swscale.h."""
_YUV420P = 0
_FORMATS = {"rgb24": 2, "bgr24": 3}
"""enum AVPixelFormat of libavutil/pixfmt.h; these numbers are part of its ABI."""
_Pointers = ctypes.c_void_p * 4
_Strides = ctypes.c_int * 4


def _library_path() -> str | None:
    """The file of the library that PyAV is linked to."""
    if sys.platform == "linux":
        names = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libswscale" in line}
    else:
        names = set(glob.glob(str(Path(av.__file__).parent / ".dylibs" / "libswscale*")))
    return names.pop() if len(names) == 1 else None


def _load() -> Any:
    path = _library_path()
    try:
        library = ctypes.CDLL(path) if path is not None else None
        if library is None or library.swscale_version() >> 16 != MAJOR:
            return None
    except (OSError, AttributeError):
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
"""Whether a `Scaler` can be made in this process."""


class Scaler:
    """Converts 4:2:0 pictures of one size, YUV matrix and range to RGB; not for two threads at once.

    ``matrix`` is a number of ITU-T H.273, which swscale takes as it is: 1 for BT.709, 5 or 6 for BT.601. ``full_range``: luma
    from 0 to 255 instead of 16 to 235.
    """

    def __init__(self, height: int, width: int, target: str, matrix: int, full_range: bool) -> None:
        self.made_for = (height, width, target, matrix, full_range)
        size = (width, height)
        flags = int(Interpolation.BILINEAR)
        self._context = _library.sws_getContext(*size, _YUV420P, *size, _FORMATS[target], flags, None, None, None)
        if not self._context:
            raise MemoryError(f"no converter to {target} for {width} x {height}")
        weakref.finalize(self, _library.sws_freeContext, self._context)
        table = _library.sws_getCoefficients(matrix)
        neutral = (0, 1 << 16, 1 << 16)  # brightness, contrast, saturation
        _library.sws_setColorspaceDetails(self._context, table, int(full_range), table, 0, *neutral)

    def convert(self, planes: Sequence[Any], out: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Planes of a picture into ``out`` (height, width, 3); the GIL is free meanwhile."""
        sources = _Pointers(*[plane.buffer_ptr for plane in planes])
        strides = _Strides(*[plane.line_size for plane in planes])
        _library.sws_scale(
            self._context, sources, strides, 0, out.shape[0], _Pointers(out.ctypes.data), _Strides(out.strides[0])
        )
