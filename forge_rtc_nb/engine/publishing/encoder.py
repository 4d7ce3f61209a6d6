"""One stream's pictures to frames of one codec, in whatever size they come (engine process, in a worker thread)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from . import h264, vp8
from .planar import PlanarConverter
from .planes import Array, Planes
from .pyav import PyAvEncoder

CODECS = ("VP8", "H264")
_VP8_SPEED = 6
"""libvpx's ``cpu-used`` in real-time mode: 4 costs twice as much for 0.1 dB."""
_WIDE = 1920 * 1080


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame of a codec."""

    data: bytes
    timestamp: int
    """1/90000 s."""
    keyframe: bool


class _Encoder(Protocol):
    def set_bitrate(self, bitrate: int) -> None: ...
    def encode(self, planes: Planes, timestamp: int, keyframe: bool) -> tuple[bytes, bool]: ...


def usual_bitrate(height: int, width: int, fps: float) -> int:
    """Bits a second for a good picture: 3 Mbit/s at 720p30; it grows slower than the number of pixels and frames."""
    size, rate = height * width / (1280 * 720), fps / 30
    bitrate: float = 3e6 * size**0.6 * rate**0.5
    return round(min(12e6, max(150e3, bitrate)))


class VideoEncoder:
    """Takes arrays of any size and format of `planar.FORMATS`; not for two threads at once.

    Another size is another encoder, which begins with a keyframe. Another bitrate is not.
    """

    def __init__(self, codec: str, fps: float) -> None:
        self.codec = codec
        self._fps = fps
        self._converter = PlanarConverter()
        self._planes: Planes | None = None
        self._encoder: _Encoder | None = None
        self._made_for = (0, 0)
        self._bitrate = 0

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the loaded picture."""
        return (self._planes.height, self._planes.width) if self._planes is not None else None

    def load(self, pixels: Array, pixel_format: str) -> None:
        """Convert a picture, which the following frames show; ``pixels`` is not needed any more."""
        self._planes = self._converter.convert(pixels, pixel_format)

    def encode(self, timestamp: int, bitrate: int, keyframe: bool = False) -> EncodedFrame:
        """The loaded picture as the next frame; ``bitrate`` in bits a second holds from this frame on."""
        assert self._planes is not None, "no picture is loaded"
        size = (self._planes.height, self._planes.width)
        if self._encoder is None or self._made_for != size:
            self._encoder, self._made_for = self._open(*size, bitrate), size
            keyframe = True
        elif bitrate != self._bitrate:
            self._encoder.set_bitrate(bitrate)
        self._bitrate = bitrate
        data, is_keyframe = self._encoder.encode(self._planes, timestamp, keyframe)
        return EncodedFrame(data, timestamp, is_keyframe)

    def close(self) -> None:
        """Give the memory back, tens of megabytes, without waiting for the garbage collector; idempotent."""
        self._encoder = self._planes = None
        self._converter = PlanarConverter()

    def _open(self, height: int, width: int, bitrate: int) -> _Encoder:
        # The cores are the browser's and the kernel's too.
        threads = 2 if height * width >= _WIDE and (os.cpu_count() or 1) > 3 else 1
        if self.codec == "VP8" and vp8.available:
            return vp8.Vp8Encoder(height, width, bitrate, threads, _VP8_SPEED)
        if self.codec == "H264" and h264.available:
            return h264.H264Encoder(height, width, bitrate, threads, self._fps)
        return PyAvEncoder(self.codec, height, width, bitrate, self._fps)
