"""The libvpx that PyAV has loaded, asked to encode VP8 (engine process).

FFmpeg's wrapper reads the bitrate once, when it opens the encoder, and the only way to another is a new encoder with its
keyframe. libvpx itself takes one between two frames (vpx/vpx_encoder.h, `vpx_codec_enc_config_set`). The layout of its
structures is fixed by a version number that it checks when an encoder is opened; where that is another one than ours, or
libvpx is not found, `available` is False.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import av  # noqa: F401 - loads libvpx

from ..shared_library import loaded_library
from .planes import Planes

ABI = 39
"""VPX_ENCODER_ABI_VERSION of libvpx 1.16, in PyAV 18."""
_FORCE_KEYFRAME = 1
_REALTIME = 1
_CBR = 1
_I420 = 0x102
_FRAME_PACKET = 0
_KEY = 1
_CONTROLS = {"cpu-used": 13, "noise-sensitivity": 15, "static-threshold": 17, "max-intra-rate": 26}
"""enum vp8e_enc_control_id of vpx/vp8cx.h."""
_UINT = ctypes.c_uint


class _FixedBuffer(ctypes.Structure):
    _fields_ = (("buf", ctypes.c_void_p), ("sz", ctypes.c_size_t))


class _Config(ctypes.Structure):
    """`vpx_codec_enc_cfg`; after ``kf_max_dist`` come layers, which stay as they are."""

    _fields_ = (
        *((name, _UINT) for name in ("usage", "threads", "profile", "width", "height", "bit_depth", "input_bit_depth")),
        *(("time_num", ctypes.c_int), ("time_den", ctypes.c_int), ("error_resilient", ctypes.c_uint32)),
        *((name, _UINT) for name in ("which_pass", "lag_in_frames", "dropframe_thresh", "resize_allowed")),
        *((name, _UINT) for name in ("scaled_width", "scaled_height", "resize_up", "resize_down", "end_usage")),
        *(("twopass_stats", _FixedBuffer), ("firstpass_stats", _FixedBuffer)),
        *((name, _UINT) for name in ("target_bitrate", "min_quantizer", "max_quantizer", "undershoot", "overshoot")),
        *((name, _UINT) for name in ("buffer_ms", "buffer_initial_ms", "buffer_optimal_ms")),
        *((name, _UINT) for name in ("bias", "minsection", "maxsection", "complexity", "kf_mode", "kf_min", "kf_max")),
        ("layers", ctypes.c_uint8 * 4096),
    )


class _Packet(ctypes.Structure):
    """The head of `vpx_codec_cx_pkt`, when it is a frame."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("buf", ctypes.c_void_p),
        ("sz", ctypes.c_size_t),
        ("pts", ctypes.c_int64),
        ("duration", ctypes.c_ulong),
        ("flags", ctypes.c_uint32),
    )


_Context = ctypes.c_uint8 * 256
_Image = ctypes.c_uint8 * 512
"""Larger than `vpx_codec_ctx` and `vpx_image`, whose fields libvpx's own functions fill."""


def _load() -> Any:
    library = loaded_library("libvpx")
    if library is None:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.vpx_codec_vp8_cx.restype = pointer
    library.vpx_codec_enc_config_default.argtypes = [pointer, pointer, _UINT]
    library.vpx_codec_enc_init_ver.argtypes = [pointer, pointer, pointer, ctypes.c_long, integer]
    library.vpx_codec_enc_config_set.argtypes = [pointer, pointer]
    library.vpx_codec_encode.argtypes = [pointer, pointer, ctypes.c_int64, ctypes.c_ulong, ctypes.c_long, ctypes.c_ulong]
    library.vpx_codec_get_cx_data.argtypes = [pointer, pointer]
    library.vpx_codec_get_cx_data.restype = ctypes.POINTER(_Packet)
    library.vpx_codec_control_.argtypes = [pointer, integer]  # and one more, that varies
    library.vpx_codec_destroy.argtypes = [pointer]
    library.vpx_img_wrap.argtypes = [pointer, integer, _UINT, _UINT, _UINT, pointer]
    library.vpx_img_wrap.restype = pointer
    return library if _fits(library) else None


def _fits(library: Any) -> bool:
    """Whether the library has the layouts of `ABI`."""
    context, config = _Context(), _Config()
    interface = library.vpx_codec_vp8_cx()
    if library.vpx_codec_enc_config_default(interface, ctypes.byref(config), 0):
        return False
    if library.vpx_codec_enc_init_ver(context, interface, ctypes.byref(config), 0, ABI):
        return False
    library.vpx_codec_destroy(context)
    return (config.width, config.height, config.max_quantizer, config.kf_max) == (320, 240, 63, 128)


class Vp8Failed(Exception):
    """libvpx refuses; the text is its error number."""


class Vp8Encoder:
    """Encodes pictures of one size; not for two threads at once. Any size up to 16383, odd ones too."""

    def __init__(self, height: int, width: int, bitrate: int, threads: int, speed: int) -> None:
        interface = _library.vpx_codec_vp8_cx()
        self._config = _Config()
        self._check(_library.vpx_codec_enc_config_default(interface, ctypes.byref(self._config), 0))
        self._configure(height, width, threads)
        self._config.target_bitrate = bitrate // 1000
        self._context = _Context()
        self._check(_library.vpx_codec_enc_init_ver(self._context, interface, ctypes.byref(self._config), 0, ABI))
        weakref.finalize(self, _library.vpx_codec_destroy, self._context)
        self._control("cpu-used", -speed)
        self._control("static-threshold", 1)
        # A keyframe may take as much as half a buffer: what is asked for often must not stop all frames behind it.
        self._control("max-intra-rate", 600)
        self._last = -1

    def _configure(self, height: int, width: int, threads: int) -> None:
        config = self._config
        config.width, config.height, config.threads = width, height, threads
        config.time_num, config.time_den = 1, 90_000
        config.lag_in_frames = config.dropframe_thresh = config.resize_allowed = 0
        config.end_usage = _CBR
        config.min_quantizer, config.max_quantizer = 2, 56
        config.undershoot, config.overshoot = 100, 15
        config.buffer_ms, config.buffer_initial_ms, config.buffer_optimal_ms = 1000, 500, 600
        config.kf_mode, config.kf_max = 0, 1 << 20

    @staticmethod
    def _check(status: int) -> None:
        if status:
            raise Vp8Failed(str(status))

    def _control(self, name: str, value: int) -> None:
        self._check(_library.vpx_codec_control_(self._context, _CONTROLS[name], ctypes.c_int(value)))

    def set_bitrate(self, bitrate: int) -> None:
        """Bits a second, from the next frame on."""
        self._config.target_bitrate = bitrate // 1000
        self._check(_library.vpx_codec_enc_config_set(self._context, ctypes.byref(self._config)))

    def encode(self, planes: Planes, timestamp: int, keyframe: bool) -> tuple[bytes, bool]:
        """The frame, and whether it is a keyframe; ``timestamp`` in 1/90000 s grows from call to call."""
        image = _Image()
        _library.vpx_img_wrap(image, _I420, planes.width, planes.height, planes.alignment, planes.address)
        duration = timestamp - self._last if self._last >= 0 else 3000
        self._last = timestamp
        flags = _FORCE_KEYFRAME if keyframe else 0
        self._check(_library.vpx_codec_encode(self._context, image, timestamp, duration, flags, _REALTIME))
        return self._take()

    def _take(self) -> tuple[bytes, bool]:
        position, data, key = ctypes.c_void_p(), b"", False
        while packet := _library.vpx_codec_get_cx_data(self._context, ctypes.byref(position)):
            if packet.contents.kind == _FRAME_PACKET:
                data += ctypes.string_at(packet.contents.buf, packet.contents.sz)
                key = key or bool(packet.contents.flags & _KEY)
        return data, key


_library = _load()
available = _library is not None
"""Whether a `Vp8Encoder` can be made in this process."""
