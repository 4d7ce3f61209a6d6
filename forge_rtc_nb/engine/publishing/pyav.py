"""Encoders by PyAV alone, where its libvpx or libx264 is another one than we know (engine process)."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from .planes import Planes

_NAMES = {"VP8": "libvpx", "H264": "libx264"}
_VP8 = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "-6", "static-thresh": "1", "undershoot-pct": "100"}
_H264 = {"preset": "superfast", "tune": "zerolatency"}
_BT601 = 6
_LIMITED = 1


class PyAvEncoder:
    """Encodes pictures of one size, odd ones with their last row or column twice; not for two threads at once.

    FFmpeg's encoders keep the bitrate that they were opened with: another one comes with the next keyframe.
    """

    def __init__(self, codec: str, height: int, width: int, bitrate: int, fps: float) -> None:
        self._codec = codec
        self._size = (width + 1 & ~1, height + 1 & ~1)
        self._bitrate = bitrate
        self._fps = Fraction(max(1, round(fps)))
        self._context = self._open()

    def _open(self) -> VideoCodecContext:
        context = av.CodecContext.create(_NAMES[self._codec], "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = self._size
        context.pix_fmt, context.bit_rate = "yuv420p", self._bitrate
        context.framerate, context.time_base = self._fps, Fraction(1, 90_000)
        context.gop_size, context.thread_count = 1 << 20, 1
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = _LIMITED
        rate = str(self._bitrate)
        context.options = {"maxrate": rate, "bufsize": rate} | ({**_VP8, "minrate": rate} if self._codec == "VP8" else _H264)
        if self._codec == "H264":
            context.profile = "Baseline"
        self._opened_with = self._bitrate
        return context

    def set_bitrate(self, bitrate: int) -> None:
        """Bits a second, from the next keyframe on."""
        self._bitrate = bitrate

    def encode(self, planes: Planes, timestamp: int, keyframe: bool) -> tuple[bytes, bool]:
        """The frame, and whether it is a keyframe; ``timestamp`` in 1/90000 s grows from call to call."""
        planes.pad()
        if keyframe and self._bitrate != self._opened_with:
            self._context = self._open()
        picture = av.VideoFrame(*self._size, "yuv420p")
        for plane, rows in zip(picture.planes, planes.all, strict=True):
            memory = bytearray(plane.buffer_size)
            for row, pixels in enumerate(rows):
                memory[row * plane.line_size : row * plane.line_size + len(pixels)] = pixels.tobytes()
            plane.update(bytes(memory))
        picture.pts, picture.time_base = timestamp, Fraction(1, 90_000)
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(picture)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)
