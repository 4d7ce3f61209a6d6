"""Frames of a codec to payloads of RTP packets, once for all viewers (engine process)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

_TIME_BASE = Fraction(1, 90_000)
_PACKETIZERS = {"VP8": Vp8Encoder, "H264": H264Encoder}


@dataclass(frozen=True, slots=True)
class Packets:
    """One encoded frame, or 20 ms of sound, as its RTP packets carry it."""

    payloads: list[bytes]
    """Shared by all viewers."""
    timestamp: int
    """1/90000 s of pictures, 1/48000 s of sound."""
    keyframe: bool


class Packetizer:
    """aiortc's own, of its encoders, which encode nothing here."""

    def __init__(self, codec: str) -> None:
        self._encoder = _PACKETIZERS[codec]()

    def cut(self, data: bytes) -> list[bytes]:
        """The payloads of one frame (RFC 7741 for VP8, RFC 6184 for H.264)."""
        packet = av.Packet(data)
        packet.pts, packet.time_base = 0, _TIME_BASE
        return self._encoder.pack(packet)[0]
