"""A video receiver that hands pictures to a sink in the decoder thread, without a queue in between (engine process)."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any, Protocol

import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver
import av
from aiortc import RTCRtpReceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket, RtpPacket

from ..tasks import Tasks
from .assembly import EncodedFrame, FrameAssembler
from .decoding import DecoderThread

NTP_TO_UNIX = 2208988800
REPEAT_NACK = 0.03
"""Seconds, at least, after which a packet that was asked for is asked for again: request and answer may be lost as well."""
_original_worker = aiortc.rtcrtpreceiver.decoder_worker


class VideoSink(Protocol):
    """Where pictures go; both methods are called in the decoder thread."""

    def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None: ...


class CaptureClock:
    """Capture time of RTP timestamps, from the sender reports (RFC 3550 section 6.4.1).

    Without one yet, or with a sender whose clock is more than `TOLERANCE` away from ours, the time of arrival.
    """

    TOLERANCE = 5.0

    def __init__(self) -> None:
        self._report: tuple[float, int] | None = None
        self.offset = 0.0
        """The sender's clock minus ours in seconds, as the control channel measured it."""

    def report(self, packet: RtcpSrPacket) -> None:
        info = packet.sender_info
        self._report = (info.ntp_timestamp / 2**32 - NTP_TO_UNIX, info.rtp_timestamp)

    def captured(self, rtp_timestamp: int, arrival: float) -> float:
        """Unix seconds; never later than the arrival."""
        if self._report is None:
            return arrival
        unix, reference = self._report
        elapsed = ((rtp_timestamp - reference + 2**31) & 0xFFFFFFFF) - 2**31
        captured = unix + elapsed / 90000 - self.offset
        return min(captured, arrival) if abs(captured - arrival) < self.TOLERANCE else arrival


class _Timestamps:
    """Stands for aiortc's TimestampMapper: the assembler has unwrapped the timestamps already."""

    def map(self, timestamp: int) -> int:
        return timestamp


class LiveReceiver(RTCRtpReceiver):
    """aiortc's receiver with marker-bit release, low-delay decoding and no frame queue.

    ``sink`` may change at any time; pictures that arrive without one are dropped.
    """

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        self.sink: VideoSink | None = None
        self.clock = CaptureClock()
        self.round_trip = 0.0
        """Seconds to the sender and back, as the control channel measured it."""
        self._assembler = FrameAssembler()
        self._repeat: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        if kind == "video":
            self._RTCRtpReceiver__jitter_buffer = self._assembler
            self._RTCRtpReceiver__timestamp_mapper = _Timestamps()

    async def receive(self, parameters: Any) -> None:
        if self._track is None or self._track.kind != "video":
            return  # nobody reads audio here, and aiortc's queue would keep all that a sender sends unasked
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
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        if self._repeat is None and self._missing():
            self._repeat_later()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self.clock.report(packet)
        await super()._handle_rtcp_packet(packet)

    def take(self, picture: av.VideoFrame, frame: EncodedFrame, fresh: bool) -> None:
        """Called in the decoder thread for every picture."""
        if self.sink is not None:
            self.sink.deliver(picture, self.clock.captured(frame.rtp_timestamp, frame.arrival), fresh)

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
    """In the place of aiortc's function of that name: video of a `LiveReceiver` by our thread, audio by aiortc's."""
    if isinstance(output_q, _TrackQueue):
        receiver = output_q.receiver
        DecoderThread(input_q, receiver.take, decode_error, lambda: receiver.sink is not None).run()
    else:
        _original_worker(loop, input_q, output_q, decode_error)


def install_live_receiver() -> None:
    aiortc.rtcpeerconnection.RTCRtpReceiver = LiveReceiver  # type: ignore[attr-defined]
    aiortc.rtcrtpreceiver.decoder_worker = decoder_worker
