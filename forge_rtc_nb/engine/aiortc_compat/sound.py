"""Opus packets to samples that follow each other without a gap, in one thread a stream (engine process)."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from typing import Any, Final

import av
import numpy as np
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from .assembly import EncodedFrame

logger = logging.getLogger(__name__)

RATE: Final = 48000
"""Samples a second: Opus decodes to it whatever was encoded, and its RTP clock counts them (RFC 7587 section 4.1)."""
CHANNELS: Final = 2
PATIENCE: Final = 5
"""Packets that may wait for one that is late: 100 ms, as most are of 20."""
MOST_FILLED: Final = 2.0
"""Seconds without a packet that become silence. After more, time has jumped: the sender had paused."""
MAX_BACKLOG: Final = 100
"""Packets that may wait for the decoder, which is a hundred times as fast as they come."""

Samples = np.ndarray[Any, np.dtype[np.float32]]
Deliver = Callable[[Samples, int, float], None]
"""Takes samples (n, 2) float32, the RTP timestamp of the first of them, and when the packet that they end with arrived, in Unix
seconds; called in the decoder thread."""


class SoundAssembler:
    """Drop-in for aiortc's JitterBuffer of audio: packets in order, each at once where none is missing before it."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, RtpPacket] = {}
        self._timestamp: int | None = None
        self._late = 0
        self.ssrc: int | None = None
        """Of the sender; None before the first packet."""

    def awaits(self, number: int) -> bool:
        """Nothing is asked for again: it would come too late."""
        return False

    def add(self, packet: RtpPacket) -> tuple[bool, EncodedFrame | None]:
        """(False, packets that may be decoded now, the later ones in ``more``)."""
        number = packet.sequence_number
        if self._next is None or packet.ssrc != self.ssrc:
            self._begin(packet)
        assert self._next is not None
        ahead = (number - self._next + 32768) % 65536 - 32768
        if ahead < 0:
            self._late += 1
            if self._late <= PATIENCE:
                return False, None
            self._begin(packet)  # so many in a row are a sender that counts anew (RFC 3550 appendix A.1)
        self._late = 0
        self._waiting[number] = packet
        if len(self._waiting) > PATIENCE:
            self._next = min(self._waiting, key=lambda each: (each - number + 32768) % 65536)
        return False, self._take()

    def _begin(self, packet: RtpPacket) -> None:
        self._next, self.ssrc, self._timestamp = packet.sequence_number, packet.ssrc, None
        self._waiting.clear()

    def _take(self) -> EncodedFrame | None:
        frames = []
        while self._next is not None and (packet := self._waiting.pop(self._next, None)) is not None:
            self._next = (self._next + 1) % 65536
            data: bytes = packet._data  # type: ignore[attr-defined]
            if data:
                frames.append(EncodedFrame(data, self._unwrap(packet.timestamp), packet.timestamp, time.time()))
        if not frames:
            return None
        frames[0].more = frames[1:]
        return frames[0]

    def _unwrap(self, stamp: int) -> int:
        last = self._timestamp
        self._timestamp = stamp if last is None else last + ((stamp - last + 2**31) & 0xFFFFFFFF) - 2**31
        return self._timestamp


class SoundDecoder:
    """Keeps time: what is missing becomes silence, what is too late is dropped (RFC 7587 section 3.1.3: also what a sender
    that has nothing to say leaves out)."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("libopus", "r")
        context.format, context.layout, context.sample_rate = "s16", "stereo", RATE
        self._context = context
        self._position: int | None = None
        """RTP timestamp of the next sample, unwrapped."""

    def decode(self, frame: EncodedFrame) -> tuple[int, Samples]:
        """Where they begin, and (n, 2) float32 from -1 to 1, silence before them included. `av.FFmpegError`: damaged."""
        packet = av.Packet(frame.data)
        packet.pts = frame.timestamp
        pieces = [np.asarray(each.to_ndarray(), np.int16).reshape(-1, CHANNELS) for each in self._context.decode(packet)]
        samples = np.concatenate(pieces).astype(np.float32) / np.float32(32768) if pieces else silence(0)
        missing = self._missing(frame.timestamp)
        start = frame.timestamp - missing
        samples = samples[-missing:] if missing < 0 else np.concatenate([silence(missing), samples])
        self._position = start + len(samples)
        return start, samples

    def _missing(self, timestamp: int) -> int:
        """Samples between what was decoded and this packet; negative where they overlap."""
        if self._position is None:
            return 0
        missing = timestamp - self._position
        return missing if -RATE < missing <= MOST_FILLED * RATE else 0


def silence(count: int) -> Samples:
    return np.zeros((count, CHANNELS), np.float32)


class SoundThread:
    """Takes (codec, packet) from ``source`` until None comes, and hands what it holds to ``deliver``."""

    def __init__(
        self,
        source: queue.Queue[tuple[RTCRtpCodecParameters, EncodedFrame] | None],
        deliver: Deliver,
        wanted: Callable[[], bool],
    ) -> None:
        self._source = source
        self._deliver = deliver
        self._wanted = wanted
        self._decoder = SoundDecoder()

    def run(self) -> None:
        while (task := self._source.get()) is not None:
            codec, first = task
            if codec.name.lower() != "opus" or self._source.qsize() > MAX_BACKLOG:
                continue
            for frame in (first, *first.more):
                self._decode(frame)

    def _decode(self, frame: EncodedFrame) -> None:
        if not self._wanted():
            return
        try:
            start, samples = self._decoder.decode(frame)
            if len(samples):
                self._deliver(samples, start & 0xFFFFFFFF, frame.arrival)
        except av.FFmpegError as error:
            logger.info("an Opus packet could not be decoded: %s", error)
        except Exception:
            logger.exception("sound could not be handed on")  # a dead thread would be a stream that is just silent
