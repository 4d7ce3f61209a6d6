"""Sound whose content is known: tones, as Opus packets and as a track; which tone it is (test process)."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket
from numpy.typing import NDArray

RATE, BLOCK = 48000, 960


def tone(frequency: float, count: int, start: int = 0, amplitude: float = 0.5) -> NDArray[np.float32]:
    """(count,) samples at 48 kHz; ``start`` is the number of the first."""
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(start, start + count) / RATE)).astype(np.float32)


def frequency_of(samples: NDArray[np.float32], rate: int = RATE) -> float:
    """The strongest frequency in Hz, of (n,) samples; 0.0 of silence."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples)) if spectrum.max() > 1 else 0.0


def opus_packets(frequency: float, blocks: int, first: int = 0, stamp: int = 0) -> list[RtpPacket]:
    """20 ms each, with sequence numbers from ``first`` and timestamps from ``stamp`` on."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", RATE
    packets = []
    for number in range(blocks):
        samples = (tone(frequency, BLOCK, number * BLOCK) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, number * BLOCK
        (encoded,) = encoder.encode(frame)
        packet = RtpPacket(
            payload_type=96, sequence_number=(first + number) & 0xFFFF, timestamp=(stamp + number * BLOCK) & 0xFFFFFFFF, ssrc=1
        )
        packet._data = bytes(encoded)  # type: ignore[attr-defined]
        packets.append(packet)
    return packets


class ToneTrack(MediaStreamTrack):
    """Plays a tone at the pace of a microphone."""

    kind = "audio"

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._frequency = frequency
        self._number = 0
        self._begun = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self._begun + self._number * BLOCK / RATE - time.monotonic()))
        samples = (tone(self._frequency, BLOCK, self._number * BLOCK) * 32767).astype(np.int16)
        # aiortc would make mono quieter.
        frame = av.AudioFrame.from_ndarray(samples.repeat(2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._number * BLOCK, Fraction(1, RATE)
        self._number += 1
        return frame
