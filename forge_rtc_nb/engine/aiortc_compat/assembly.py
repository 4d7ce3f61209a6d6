"""RTP packets to encoded frames, released the moment their last packet is there (engine process).

Stock aiortc gives a frame out when the next one's first packet arrives, a frame interval later (33 ms at 30 fps).
RFC 3550 section 5.1 and the payload formats (RFC 7741, RFC 6184) set the marker bit on a frame's last packet, which ends
it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc.rtp import RtpPacket

CAPACITY = 1024
"""Packets kept while one is missing; about 10 Mbit/s for one second."""
PATIENCE = 0.6
"""Seconds to wait for a retransmission (RFC 4588) before the gap is given up and a keyframe asked for."""


@dataclass
class EncodedFrame:
    """What a decoder takes: the attributes of aiortc's JitterFrame, and what we add."""

    data: bytes
    timestamp: int
    """RTP timestamp in units of 1/90000 s, unwrapped to 64 bits."""
    rtp_timestamp: int = 0
    arrival: float = 0.0
    """Unix seconds at which its last packet was there."""
    after_gap: bool = False
    """Packets before it were lost: only a keyframe can be decoded cleanly."""
    more: list[EncodedFrame] = field(default_factory=list)
    """Frames that became complete by the same packet."""


class FrameAssembler:
    """Drop-in for aiortc's JitterBuffer of video: `add` takes a packet, and gives (ask for a keyframe, frame or None).

    Bounded: at most `CAPACITY` packets wait behind a gap, and none longer than `PATIENCE`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._packets: dict[int, RtpPacket] = {}
        self._next: int | None = None
        self._scan = 0
        self._top = 0
        self._blocked_since: float | None = None
        self._after_gap = False
        self._timestamp: int | None = None
        self._stray: int | None = None
        self.ssrc: int | None = None
        """Of the sender; None before the first packet."""

    def awaits(self, number: int) -> bool:
        """Whether a packet of this sequence number is not here and would still be of use."""
        if self._next is None or self._waited() >= PATIENCE:
            return False
        seq = self._unwrap_sequence(number)
        return self._next <= seq <= self._top and seq not in self._packets

    def add(self, packet: RtpPacket) -> tuple[bool, EncodedFrame | None]:
        seq = self._unwrap_sequence(packet.sequence_number)
        if self._next is None:
            self._next = self._scan = seq
        if seq < self._next and not self._begins_anew(seq):
            return False, None
        self._packets[seq], self.ssrc = packet, packet.ssrc
        self._top = max(self._top, seq)
        frames = self._complete_frames()
        if frames:
            frames[0].more = frames[1:]
            return False, frames[0]
        return self._give_up_gap(), None

    def _unwrap_sequence(self, number: int) -> int:
        if self._next is None:
            self._top = number + 65536
            return self._top
        return self._top + ((number - self._top + 32768) & 65535) - 32768

    def _begins_anew(self, seq: int) -> bool:
        """Two packets in a row from far behind are a sender that started again, one is late (RFC 3550 appendix A.1)."""
        assert self._next is not None
        expected, self._stray = self._stray, seq + 1
        if seq != expected or seq > self._next - CAPACITY:
            return False
        self._packets.clear()
        self._next = self._scan = self._top = seq
        self._after_gap, self._blocked_since = True, None
        return True

    def _complete_frames(self) -> list[EncodedFrame]:
        frames: list[EncodedFrame] = []
        while (packet := self._packets.get(self._scan)) is not None:
            assert self._next is not None
            if self._scan > self._next and packet.timestamp != self._packets[self._next].timestamp:
                frames += self._take(self._scan)  # a sender that set no marker
            self._scan += 1
            if packet.marker:
                frames += self._take(self._scan)
        if self._scan > self._top:
            self._blocked_since = None
        elif self._blocked_since is None or frames:
            self._blocked_since = self._clock()
        return frames

    def _take(self, end: int) -> list[EncodedFrame]:
        assert self._next is not None
        packets = [self._packets.pop(seq) for seq in range(self._next, end)]
        self._next = end
        data = b"".join([p._data for p in packets])  # type: ignore[attr-defined]
        if not data:
            return []  # padding only
        stamp = packets[0].timestamp
        frame = EncodedFrame(data, self._unwrap_timestamp(stamp), stamp, time.time(), self._after_gap)
        self._after_gap = False
        return [frame]

    def _unwrap_timestamp(self, stamp: int) -> int:
        last = self._timestamp
        self._timestamp = stamp if last is None else last + ((stamp - last + 2**31) & 0xFFFFFFFF) - 2**31
        return self._timestamp

    def _give_up_gap(self) -> bool:
        # Full without a gap is a frame that does not end.
        if len(self._packets) < CAPACITY and self._waited() < PATIENCE:
            return False
        self._drop_broken_frame()
        return True

    def _waited(self) -> float:
        return self._clock() - self._blocked_since if self._blocked_since is not None else 0.0

    def _drop_broken_frame(self) -> None:
        """Go on at the first frame boundary behind the gap."""
        waiting = sorted(seq for seq in self._packets if seq > self._scan)
        broken = self._packets[waiting[0]].timestamp if waiting else None
        start = next((seq for seq in waiting if self._packets[seq].timestamp != broken), self._top + 1)
        self._packets = {seq: p for seq, p in self._packets.items() if seq >= start}
        self._next = self._scan = start
        self._after_gap, self._blocked_since = True, None
