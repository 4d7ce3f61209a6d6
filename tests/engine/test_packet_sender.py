"""What we changed in aiortc's sender, on real connections: these fail when a new version moves things under us."""

from __future__ import annotations

import asyncio
import re
import struct
from typing import Any

import av
import numpy as np
import pytest
from aiortc import clock
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    HeaderExtensions,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtpPacket,
    is_rtcp,
    pack_remb_fci,
    unpack_header_extensions,
)

from forge_rtc_nb.engine.aiortc_compat.packet_sender import HISTORY, PacketSender, PacketTrack
from forge_rtc_nb.engine.aiortc_compat.packets import Packetizer, Packets
from forge_rtc_nb.engine.aiortc_compat.playout_delay import URI, PlayoutDelayMap
from forge_rtc_nb.engine.publishing.encoder import VideoEncoder
from tests.engine.published import SIZE, Watcher, connected, flat, luma, noise
from tests.support import await_for


class Hand:
    """A source whose frames a test gives one by one, each a keyframe."""

    def __init__(self, codec: str = "VP8") -> None:
        self.frames: asyncio.Queue[Packets | None] = asyncio.Queue()
        self.codecs: set[str] = set()
        self.keyframes = 0
        self.bitrates: list[float] = []
        self.losses: list[tuple[int, int]] = []
        self.closed = 0
        self._codec = codec
        self._timestamp = 0

    def give(self, pixels: Any = None, value: int = 50) -> int:
        """Returns the number of its packets."""
        encoder = VideoEncoder(self._codec, 30)
        encoder.load(pixels if pixels is not None else flat(value).pixels, "gray" if pixels is None else "rgb24")
        self._timestamp += 3000
        payloads = Packetizer(self._codec).cut(encoder.encode(self._timestamp, 50_000_000).data)
        self.frames.put_nowait(Packets(payloads, self._timestamp, True))
        return len(payloads)

    async def next_frame(self, codec: str) -> Packets | None:
        self.codecs.add(codec)
        return await self.frames.get()

    def ask_keyframe(self) -> None:
        self.keyframes += 1

    def report_bitrate(self, bitrate: float) -> None:
        self.bitrates.append(bitrate)

    def report_loss(self, lost: int, highest: int) -> None:
        self.losses.append((lost, highest))

    def close(self) -> None:
        self.closed += 1
        self.frames.put_nowait(None)


async def shown(watcher: Watcher, source: Hand, value: int) -> None:
    """Give frames until one arrives."""

    def arrived() -> bool:
        source.give(value=value)
        return watcher.sink.has(luma(value))

    await await_for(arrived, what=f"a picture {value} arrives")


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_frames_of_a_source_arrive(codec: str) -> None:
    source = Hand(codec)
    async with connected(source, codec) as watcher:
        assert isinstance(watcher.sender, PacketSender)
        await shown(watcher, source, 50)
        await shown(watcher, source, 200)
        assert source.codecs == {codec}
        assert watcher.sink.pictures[-1].size == SIZE


async def test_a_request_for_a_keyframe_reaches_the_source() -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        watcher.receiver.ask_keyframe()
        source.give()
        await await_for(lambda: source.keyframes == 1, what="a picture loss indication")


async def test_the_receivers_estimate_reaches_the_source() -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)

        def estimated() -> list[float]:
            source.give()
            return source.bitrates

        await await_for(estimated, what="aiortc's receiver estimates the bitrate")


async def test_an_estimate_is_for_all_streams_of_the_connection() -> None:
    source = Hand()
    async with connected(source) as watcher:
        ours = watcher.sender._ssrc
        for ssrcs in ([ours], [ours, 7], [7, 8]):
            packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(1_000_000, ssrcs))
            await watcher.sender._handle_rtcp_packet(packet)
        await watcher.sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=b"none"))
        assert [round(bitrate, -4) for bitrate in source.bitrates] == [1_000_000, 500_000]


async def test_the_receivers_loss_reaches_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        send, count = RTCDtlsTransport._send_rtp, 0

        async def losing(self: RTCDtlsTransport, data: bytes) -> None:
            nonlocal count
            count += not is_rtcp(data)
            if is_rtcp(data) or count % 4:
                await send(self, data)

        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", losing)

        def lossy() -> bool:
            source.give()
            counted = [(lost, highest - source.losses[0][1]) for lost, highest in source.losses]
            return any(packets > 20 and 0.1 < lost / packets < 0.5 for lost, packets in counted)

        await await_for(lossy, what="a report of a quarter lost")


async def test_what_is_sent_again_says_when(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        history = watcher.sender._RTCRtpSender__rtp_history
        packet = history[max(history)]
        first = packet.extensions.abs_send_time
        monkeypatch.setattr(clock, "current_ntp_time", lambda: (first + 4321) << 14)
        sent: list[bytes] = []

        async def keep(data: bytes) -> None:
            sent.append(data)

        monkeypatch.setattr(watcher.sender.transport, "_send_rtp", keep)
        await watcher.sender._retransmit(packet.sequence_number)
        assert packet.extensions.abs_send_time == (first + 4321) & 0xFFFFFF
        extensions = watcher.sender._RTCRtpSender__rtp_header_extensions_map
        again = RtpPacket.parse(sent[0], extensions)
        assert again.ssrc == watcher.sender._rtx_ssrc
        assert again.extensions.abs_send_time == packet.extensions.abs_send_time


async def test_every_packet_says_that_it_is_to_be_shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        sent: list[bytes] = []

        async def keep(data: bytes) -> None:
            sent.append(data)

        monkeypatch.setattr(watcher.sender.transport, "_send_rtp", keep)
        source.give()
        await await_for(lambda: sent, what="a packet")
        (number,) = re.findall(rf"a=extmap:(\d+) {re.escape(URI)}", watcher.pc.localDescription.sdp)
        profile, words = struct.unpack_from("!HH", sent[0], 12)
        extensions = dict(unpack_header_extensions(profile, sent[0][16 : 16 + 4 * words]))
        assert extensions[int(number)] == bytes(3)
        packet = RtpPacket.parse(sent[0], watcher.sender._RTCRtpSender__rtp_header_extensions_map)
        assert packet.extensions.mid == watcher.pc.getTransceivers()[0].mid
        assert packet.extensions.abs_send_time is not None


def test_a_receiver_that_does_not_know_the_delay_gets_what_it_knows() -> None:
    usual, ours = HeaderExtensionsMap(), PlayoutDelayMap()
    known = RTCRtpParameters(
        headerExtensions=[RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid")]
    )
    values = HeaderExtensions(mid="0")
    for extensions in (usual, ours):
        extensions.configure(known)
    assert ours.set(values) == usual.set(values)


async def test_the_beginning_of_a_large_keyframe_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        send = RTCDtlsTransport._send_rtp
        lost: list[bytes] = []

        async def losing_one(self: RTCDtlsTransport, data: bytes) -> None:
            if is_rtcp(data) or lost:
                await send(self, data)
                await asyncio.sleep(0)  # both ends share this loop, and the system keeps some 90 packets only
            else:
                lost.append(data)

        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", losing_one)
        packets = source.give(noise(1, (480, 640)))
        assert 128 < packets < HISTORY  # aiortc keeps 128
        await await_for(lambda: watcher.sink.pictures[-1].size == (480, 640), what="the frame is complete")
        assert lost


async def test_the_source_may_change_and_go_while_the_sender_stays() -> None:
    first, second = Hand(), Hand()
    async with connected(first) as watcher:
        await shown(watcher, first, 50)
        watcher.track.source = None
        assert first.closed == 1
        watcher.track.source = second
        await shown(watcher, second, 200)
        assert watcher.track.readyState == "live"
        assert second.closed == 0
    assert second.closed == 1
    assert watcher.track.readyState == "ended"


async def test_the_end_of_a_connection_closes_a_source_that_waits() -> None:
    source = Hand()
    async with connected(source) as watcher:
        await shown(watcher, source, 50)
        await await_for(source.frames.empty)
    assert source.closed == 1


async def test_a_sender_without_a_source_waits() -> None:
    async with connected(None) as watcher:
        source = Hand()
        watcher.track.source = source
        await shown(watcher, source, 120)


async def test_nobody_else_reads_a_packet_track() -> None:
    with pytest.raises(MediaStreamError):
        await PacketTrack("video").recv()


@pytest.mark.parametrize(("codec", "decoder"), [("VP8", "libvpx"), ("H264", "h264")])
def test_what_is_cut_into_packets_is_whole(codec: str, decoder: str) -> None:
    from aiortc.codecs.h264 import h264_depayload
    from aiortc.codecs.vpx import vp8_depayload

    encoder = VideoEncoder(codec, 30)
    encoder.load(noise(2), "rgb24")
    payloads = Packetizer(codec).cut(encoder.encode(0, 5_000_000).data)
    assert len(payloads) > 5
    assert max(map(len, payloads)) <= 1300
    depayload = {"VP8": vp8_depayload, "H264": h264_depayload}[codec]
    context: Any = av.CodecContext.create(decoder, "r")
    context.thread_count = 1
    (picture,) = [*context.decode(av.Packet(b"".join(depayload(p) for p in payloads))), *context.decode(None)][:1]
    assert (picture.height, picture.width) == SIZE
    assert np.std(picture.to_ndarray(format="gray")) > 20
