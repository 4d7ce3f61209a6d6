"""Samples of any rate to packets of Opus, 20 ms each (engine process)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
import numpy as np

from ...samples import Samples

RATE: Final = 48000
"""Of Opus as RTP carries it (RFC 7587 section 4.1)."""
BLOCK: Final = 960
USUAL: Final = {1: 64_000, 2: 128_000}
"""Bits a second by channels: music without audible loss (RFC 7587 section 3.1.1 has 48 to 64 kbit/s for one channel)."""
EXPECTED_LOSS: Final = 5
"""Percent that packets are made for: with FEC each holds a coarse copy of the one before (RFC 7587 section 3.3)."""


class OpusEncoder:
    """Keeps time whatever comes: one packet for every `BLOCK` samples at 48 kHz."""

    def __init__(self, channels: int, bitrate: int) -> None:
        self._layout = "mono" if channels == 1 else "stereo"
        context: Any = av.CodecContext.create("libopus", "w")
        context.format, context.layout, context.sample_rate = "flt", self._layout, RATE
        context.bit_rate, context.time_base = bitrate, Fraction(1, RATE)
        context.options = {"application": "audio", "fec": "1", "packet_loss": str(EXPECTED_LOSS)}
        self._context = context
        self._position = 0

    def encode(self, block: Samples) -> bytes:
        """A packet of (960, channels) float32; what is beyond -1..1 is clipped."""
        clipped = np.clip(block, -1.0, 1.0).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(clipped), format="flt", layout=self._layout)
        frame.sample_rate, frame.pts = RATE, self._position
        self._position += BLOCK
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class Resampler:
    """Samples of another rate to 48 kHz."""

    def __init__(self, rate: int, channels: int) -> None:
        self._layout = "mono" if channels == 1 else "stereo"
        self._rate, self._channels = rate, channels
        self._resampler = av.AudioResampler(format="flt", layout=self._layout, rate=RATE)
        self._rest = np.zeros((0, channels), np.float32)

    def convert(self, samples: Samples) -> Samples:
        """Exactly one block of (960, channels) of what has come up to now; where that is less, silence comes first."""
        if len(samples):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=self._layout)
            frame.sample_rate = self._rate
            out = [each.to_ndarray().reshape(-1, self._channels) for each in self._resampler.resample(frame)]
            self._rest = np.concatenate([self._rest, *out])
        missing = BLOCK - len(self._rest)
        if missing > 0:
            self._rest = np.concatenate([np.zeros((missing, self._channels), np.float32), self._rest])
        block, self._rest = self._rest[:BLOCK], self._rest[BLOCK:]
        return block
