"""A receiver that hands pictures or sound to a sink in the decoder thread, without a queue in between (engine process)."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any, Literal, Protocol

import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import av
from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket

from ..tasks import Tasks
from .assembly import EncodedFrame, FrameAssembler
from .courtesy import courtesy
from .decoding import DecoderThread
from .sound import RATE, Samples, SoundAssembler, SoundThread

NTP_TO_UNIX = 2208988800
REPEAT_NACK = 0.03
"""Seconds, at least, after which a packet that was asked for is asked for again: request and answer may be lost as well."""
_original_worker = aiortc.rtcrtpreceiver.decoder_worker


class VideoSink(Protocol):
    """Where pictures go; called in the decoder thread."""

    kind: Literal["video"]

    def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None: ...


class SoundSink(Protocol):
    """Where sound goes; called in the decoder thread."""

    kind: Literal["audio"]

    def deliver(self, samples: Samples, captured: float) -> None:
        """(n, 2) float32, the first of them captured at that Unix second; they follow what came before."""


Sink = VideoSink | SoundSink


class CaptureClock:
    """Capture time of RTP timestamps, from the sender reports (RFC 3550 section 6.4.1).

    Without one yet, or with a sender whose clock is more than `TOLERANCE` away from ours, the time of arrival.
    """

    TOLERANCE = 5.0
    STEP = 1.0

    def __init__(self, rate: int = 90000) -> None:
        self._rate = rate
        """Of the RTP clock, a second."""
        self._report: tuple[float, int] | None = None
        self._last = 0.0
        self.offset = 0.0
        """The sender's clock minus ours in seconds, as the control channel measured it."""

    def report(self, packet: RtcpSrPacket) -> None:
        info = packet.sender_info
        self._report = (info.ntp_timestamp / 2**32 - NTP_TO_UNIX, info.rtp_timestamp)

    def captured(self, rtp_timestamp: int, arrival: float) -> float:
        """Unix seconds; not later than the arrival, and each later than the one before.

        Reports of a sender that is busy differ by some milliseconds, and what they say is not to run backwards. A clock that
        was set back by more than `STEP` is believed.
        """
        found = self._reported(rtp_timestamp, arrival)
        if 0 <= self._last - found < self.STEP:
            found = self._last + 1e-6
        self._last = found
        return found

    def _reported(self, rtp_timestamp: int, arrival: float) -> float:
        if self._report is None:
            return arrival
        unix, reference = self._report
        elapsed = ((rtp_timestamp - reference + 2**31) & 0xFFFFFFFF) - 2**31
        captured = unix + elapsed / self._rate - self.offset
        return min(captured, arrival) if abs(captured - arrival) < self.TOLERANCE else arrival


class _Timestamps:
    """Stands for aiortc's TimestampMapper: the assembler has unwrapped the timestamps already."""

    def map(self, timestamp: int) -> int:
        return timestamp


class LiveReceiver(RTCRtpReceiver):
    """aiortc's receiver with marker-bit release, low-delay decoding and no frame queue.

    ``sink``, which must be of the receiver's kind, may change at any time; what arrives without one is dropped.
    """

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        self.sink: Sink | None = None
        self.clock = CaptureClock(90000 if kind == "video" else RATE)
        self.round_trip = 0.0
        """Seconds to the sender and back, as the control channel measured it."""
        self.kind = kind
        self._assembler = FrameAssembler() if kind == "video" else SoundAssembler()
        self._repeat: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._RTCRtpReceiver__jitter_buffer = self._assembler
        self._RTCRtpReceiver__timestamp_mapper = _Timestamps()

    async def receive(self, parameters: Any) -> None:
        if self._track is None:
            return
        # decoder_worker gets this queue; it is how it finds us.
        self._track._queue = _TrackQueue(self)
        await super().receive(parameters)

    async def stop(self) -> None:
        self._cancel_repeat()
        await super().stop()
        await self._tasks.close()

    def _handle_disconnect(self) -> None:
        self._cancel_repeat()
        super()._handle_disconnect()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if self.sink is not None and self.kind == "video":
            courtesy.picture()
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        if self.kind == "video" and self._repeat is None and self._missing():
            self._repeat_later()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self.clock.report(packet)
        await super()._handle_rtcp_packet(packet)

    def take(self, picture: av.VideoFrame, frame: EncodedFrame, fresh: bool) -> None:
        """Called in the decoder thread for every picture."""
        sink = self.sink
        if sink is not None and sink.kind == "video":
            sink.deliver(picture, self.clock.captured(frame.rtp_timestamp, frame.arrival), fresh)

    def take_sound(self, samples: Samples, timestamp: int, arrival: float) -> None:
        """Called in the decoder thread for every packet; the RTP timestamp is that of the first sample."""
        sink = self.sink
        if sink is not None and sink.kind == "audio":
            sink.deliver(samples, self.clock.captured(timestamp, arrival - len(samples) / RATE))

    def ask_keyframe(self) -> None:
        """Send a picture loss indication with the next packet that comes (RFC 4585 section 6.3.1)."""
        self._RTCRtpReceiver__decoder_error.set()  # type: ignore[attr-defined]

    def _missing(self) -> list[int]:
        """Sequence numbers that were asked for and would still be of use; aiortc asks again only at the next gap."""
        known: set[int] = self._RTCRtpReceiver__nack_generator.missing  # type: ignore[attr-defined]
        return sorted(number for number in known if self._assembler.awaits(number)) if known else []

    def _repeat_later(self) -> None:
        delay = max(REPEAT_NACK, 1.5 * self.round_trip)
        self._repeat = asyncio.get_running_loop().call_later(delay, self._ask_again)

    def _ask_again(self) -> None:
        self._repeat = None
        ssrc = self._assembler.ssrc
        if ssrc is not None and (missing := self._missing()):
            self._tasks.start(self._send_rtcp_nack(ssrc, missing))
            self._repeat_later()

    def _cancel_repeat(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None


class _TrackQueue(asyncio.Queue[Any]):
    """The queue of a track that nobody reads: its pictures go to the receiver's sink."""

    def __init__(self, receiver: LiveReceiver) -> None:
        super().__init__()
        self.receiver = receiver


def decoder_worker(
    loop: asyncio.AbstractEventLoop, input_q: queue.Queue[Any], output_q: asyncio.Queue[Any], decode_error: threading.Event
) -> None:
    """In the place of aiortc's function of that name: what comes to a `LiveReceiver` goes through a thread of ours."""
    if isinstance(output_q, _TrackQueue):
        receiver = output_q.receiver
        if receiver.kind == "video":
            DecoderThread(input_q, receiver.take, decode_error, lambda: receiver.sink is not None).run()
        else:
            SoundThread(input_q, receiver.take_sound, lambda: receiver.sink is not None).run()
    else:
        _original_worker(loop, input_q, output_q, decode_error)


def install_live_receiver() -> None:
    aiortc.rtcpeerconnection.RTCRtpReceiver = LiveReceiver  # type: ignore[attr-defined]
    aiortc.rtcrtpreceiver.decoder_worker = decoder_worker
