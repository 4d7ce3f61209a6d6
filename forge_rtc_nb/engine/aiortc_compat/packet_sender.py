"""A sender of frames that are encoded elsewhere, once for all viewers; it tells what its receiver reports (engine process)."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import aiortc.rtcpeerconnection
import aiortc.rtcrtpsender
from aiortc import RTCDtlsTransport, RTCRtpSender, RTCRtpTransceiver, clock
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

from .packets import Packets
from .playout_delay import give_playout_delay, offer_playout_delay

HISTORY = 1024
"""Packets that are kept for retransmission; of aiortc's 128 a keyframe of 1080p leaves none of its own beginning."""


class FrameSource(Protocol):
    """What a sender sends, and who is told of its receiver's reports."""

    async def next_frame(self, codec: str) -> Packets | None:
        """Waits for one; None when the source is closed."""

    def ask_keyframe(self) -> None: ...
    def report_bitrate(self, bitrate: float) -> None: ...
    def report_loss(self, lost: int, highest: int) -> None:
        """Packets lost up to now, and the highest sequence number, with its cycles."""

    def close(self) -> None: ...


class PacketTrack(MediaStreamTrack):
    """The track of a `PacketSender`: it stays for the connection's life, while its source comes, changes and goes."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._source: FrameSource | None = None
        self._changed = asyncio.Event()

    @property
    def source(self) -> FrameSource | None:
        return self._source

    @source.setter
    def source(self, source: FrameSource | None) -> None:
        """The one before is closed, so that nobody waits for it any more."""
        if self._source is not None and self._source is not source:
            self._source.close()
        self._source = source
        self._changed.set()

    async def next_frame(self, codec: str) -> Packets:
        """Of the present source; `MediaStreamError` when the track has ended."""
        while self.readyState == "live":
            self._changed.clear()
            if self._source is not None and (frame := await self._source.next_frame(codec)) is not None:
                return frame
            await self._changed.wait()
        raise MediaStreamError

    async def recv(self) -> Any:
        """Only a `PacketSender` can send it."""
        raise MediaStreamError

    def stop(self) -> None:
        """The connection has ended, or is closed."""
        super().stop()
        self.source = None


class PacketSender(RTCRtpSender):
    """aiortc's sender; what is different holds only for a `PacketTrack`, but for the delay that receivers keep."""

    def __init__(self, trackOrKind: MediaStreamTrack | str, transport: RTCDtlsTransport) -> None:  # noqa: N803
        super().__init__(trackOrKind, transport)
        give_playout_delay(self)

    @property
    def _source(self) -> FrameSource | None:
        track: Any = self.track
        return track.source if isinstance(track, PacketTrack) else None

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        track: Any = self.track
        if not isinstance(track, PacketTrack):
            return await super()._next_encoded_frame(codec)
        frame = await track.next_frame(codec.name)
        return RTCEncodedFrame(frame.payloads, frame.timestamp, None) if self._enabled else None  # type: ignore[arg-type]

    async def _retransmit(self, sequence_number: int) -> None:
        # aiortc sends it again with the time of the first sending, and Chromium takes the difference for a queue on the path:
        # with a few percent lost, its estimate fell to a fifth.
        privates: Any = self
        packet = privates._RTCRtpSender__rtp_history.get(sequence_number % HISTORY)
        if packet is not None:
            packet.extensions.abs_send_time = (clock.current_ntp_time() >> 14) & 0xFFFFFF
        await super()._retransmit(sequence_number)

    def _send_keyframe(self) -> None:
        if self._source is not None:
            self._source.ask_keyframe()
        else:
            super()._send_keyframe()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if self._source is not None:
            self._report(self._source, packet)
        await super()._handle_rtcp_packet(packet)

    def _report(self, source: FrameSource, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    source.report_loss(report.packets_lost, report.highest_sequence)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            if self._ssrc in ssrcs:
                # It is for all streams of the connection together; none knows what the others need.
                source.report_bitrate(bitrate / len(ssrcs))


def packet_track(transceiver: RTCRtpTransceiver) -> PacketTrack:
    """The track that a transceiver sends; made at the first call."""
    sender = transceiver.sender
    if not isinstance(sender.track, PacketTrack):
        sender.replaceTrack(PacketTrack(transceiver.kind))
    track: Any = sender.track
    return track  # type: ignore[no-any-return]


def install_packet_sender() -> None:
    offer_playout_delay()
    aiortc.rtcpeerconnection.RTCRtpSender = PacketSender  # type: ignore[attr-defined]
    aiortc.rtcrtpsender.RTP_HISTORY_SIZE = HISTORY  # type: ignore[attr-defined]
