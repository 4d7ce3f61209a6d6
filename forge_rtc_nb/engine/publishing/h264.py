"""The libx264 that PyAV has loaded, asked to encode H.264 (engine process).

x264 takes another bitrate between two frames only together with its buffer's (`x264_encoder_reconfig`), and PyAV can change
the first alone. Options go to x264 by name; of its structures only the heads are known here, whose layout belongs to the
build number in the name of `x264_encoder_open`. Where that is another one, `available` is False.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import av  # noqa: F401 - loads libx264

from ..shared_library import loaded_library
from .planes import Planes

BUILD = 165
_I420 = 2
_AUTO, _IDR = 0, 1
_SMALL = 640 * 480
"""Pixels up to which a slower preset is cheap; at 720p it takes half as long again, for a tenth of a dB."""
_POOR = 0.03
"""Bits a pixel below which motion is searched for with more care: it costs twice the time, and wins 2 to 6 dB there; at twice
as many bits nothing."""
BUFFER = 0.6
"""Seconds of the bitrate that frames may run ahead of it: a keyframe is a large part of this."""


class _Parameters(ctypes.Structure):
    """The head of `x264_param_t`."""

    _fields_ = (
        ("before", ctypes.c_int * 7),
        *((name, ctypes.c_int) for name in ("width", "height", "csp", "bit_depth", "level")),
        ("rest", ctypes.c_uint8 * 8192),
    )


class _Picture(ctypes.Structure):
    """The head of `x264_picture_t` with its `x264_image_t`."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("type", "qp", "structure", "keyframe")),
        *(("pts", ctypes.c_int64), ("dts", ctypes.c_int64), ("parameters", ctypes.c_void_p)),
        *(("csp", ctypes.c_int), ("plane_count", ctypes.c_int)),
        *(("strides", ctypes.c_int * 4), ("planes", ctypes.c_void_p * 4), ("rest", ctypes.c_uint8 * 2048)),
    )


class _Nal(ctypes.Structure):
    """`x264_nal_t`."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("reference", "type", "long_startcode", "first", "last", "size")),
        *(("payload", ctypes.c_void_p), ("padding", ctypes.c_int)),
    )


def _load() -> Any:
    library = loaded_library("libx264")
    if library is None or not hasattr(library, f"x264_encoder_open_{BUILD}"):
        return None
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    library.x264_param_default_preset.argtypes = [pointer, text, text]
    library.x264_param_parse.argtypes = [pointer, text, text]
    library.x264_param_apply_profile.argtypes = [pointer, text]
    library.open = library[f"x264_encoder_open_{BUILD}"]
    library.open.argtypes, library.open.restype = [pointer], pointer
    library.x264_encoder_reconfig.argtypes = [pointer, pointer]
    library.x264_encoder_encode.argtypes = [
        pointer,
        ctypes.POINTER(ctypes.POINTER(_Nal)),
        ctypes.POINTER(integer),
        pointer,
        pointer,
    ]
    library.x264_encoder_close.argtypes = [pointer]
    library.x264_encoder_close.restype = None
    library.x264_picture_alloc.argtypes = [pointer, integer, integer, integer]
    library.x264_picture_clean.argtypes = [pointer]
    return library if _fits(library) else None


def _fits(library: Any) -> bool:
    """Whether the heads of its structures are where we look for them."""
    parameters, picture = _Parameters(), _Picture()
    if library.x264_param_default_preset(ctypes.byref(parameters), b"superfast", b"zerolatency"):
        return False
    if library.x264_picture_alloc(ctypes.byref(picture), _I420, 64, 32):
        return False
    shape = (picture.csp, picture.plane_count, picture.strides[1] * 2 == picture.strides[0])
    library.x264_picture_clean(ctypes.byref(picture))
    return (parameters.csp, parameters.bit_depth, parameters.level, *shape) == (_I420, 8, -1, _I420, 3, True)


class H264Failed(Exception):
    """x264 refuses; the text names the call."""


class H264Encoder:
    """Encodes pictures of one size, odd ones with their last row or column twice; not for two threads at once."""

    def __init__(self, height: int, width: int, bitrate: int, threads: int, fps: float) -> None:
        self._parameters = parameters = _Parameters()
        preset, self._usual = (b"veryfast", ("2", "hex")) if height * width <= _SMALL else (b"superfast", ("1", "dia"))
        self._poor = _POOR * height * width * fps
        _check(_library.x264_param_default_preset(ctypes.byref(parameters), preset, b"zerolatency"), "preset")
        parameters.width, parameters.height = width + 1 & ~1, height + 1 & ~1
        rate = max(1, round(fps))
        # BT.601 and 16 to 235, as the pictures are: browsers guess otherwise where it is not said, and guess wrong.
        tags = {"colorprim": "smpte170m", "transfer": "smpte170m", "colormatrix": "smpte170m", "fullrange": "off"}
        options = {"log": -1, "threads": threads, "fps": f"{rate}/1", "force-cfr": 1, "keyint": "infinite", "scenecut": 0}
        for name, value in {**options, **tags}.items():
            self._set(name, value)
        self._rate(bitrate)
        _check(_library.x264_param_apply_profile(ctypes.byref(parameters), b"baseline"), "profile")
        self._encoder = _library.open(ctypes.byref(parameters))
        if not self._encoder:
            raise H264Failed("open")
        weakref.finalize(self, _library.x264_encoder_close, self._encoder)
        self._count = 0

    def _set(self, name: str, value: object) -> None:
        _check(_library.x264_param_parse(ctypes.byref(self._parameters), name.encode(), str(value).encode()), name)

    def _rate(self, bitrate: int) -> None:
        kilobits = max(1, bitrate // 1000)
        for name, value in (("bitrate", kilobits), ("vbv-maxrate", kilobits), ("vbv-bufsize", round(kilobits * BUFFER))):
            self._set(name, max(1, value))
        refinement, search = ("5", "hex") if bitrate < self._poor else self._usual
        self._set("subme", refinement)
        self._set("me", search)

    def set_bitrate(self, bitrate: int) -> None:
        """Bits a second, from the next frame on."""
        self._rate(bitrate)
        _check(_library.x264_encoder_reconfig(self._encoder, ctypes.byref(self._parameters)), "reconfig")

    def encode(self, planes: Planes, timestamp: int, keyframe: bool) -> tuple[bytes, bool]:
        """The frame with start codes (RFC 6184 calls it an access unit), and whether decoding can begin with it."""
        planes.pad()
        picture, out = _Picture(), _Picture()
        picture.type, picture.pts = _IDR if keyframe else _AUTO, self._count
        picture.csp, picture.plane_count = _I420, 3
        for number, plane in enumerate(planes.all):
            picture.planes[number], picture.strides[number] = plane.ctypes.data, plane.strides[0]
        self._count += 1
        nals, count = ctypes.POINTER(_Nal)(), ctypes.c_int()
        size = _library.x264_encoder_encode(
            self._encoder, ctypes.byref(nals), ctypes.byref(count), ctypes.byref(picture), ctypes.byref(out)
        )
        if size <= 0:
            raise H264Failed("encode")
        return ctypes.string_at(nals[0].payload, size), bool(out.keyframe)


def _check(status: int, what: str) -> None:
    if status:
        raise H264Failed(what)


_library = _load()
available = _library is not None
"""Whether an `H264Encoder` can be made in this process."""
