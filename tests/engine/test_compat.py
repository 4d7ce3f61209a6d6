"""What we changed in aiortc and aioice, on real connections: these fail when a new version moves things under us."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from typing import Any

import aioice.ice
import ifaddr
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket, is_rtcp

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver
from forge_rtc_nb.engine.aiortc_compat.receiver import NTP_TO_UNIX, CaptureClock
from tests.engine.pairs import HandTrack, connected_pair, negotiate, new_connection
from tests.support import await_for, wait_for

CODECS = ["VP8", "H264"]


# ---- the receiver ----


@pytest.mark.parametrize("codec", CODECS)
async def test_each_picture_arrives_before_the_next_is_sent(codec: str) -> None:
    async with connected_pair(codec) as pair:
        assert f"{codec}/90000" in pair.receiver.localDescription.sdp
        await pair.show_until_seen(50)
        before = len(pair.sink.pictures)
        values = [200, 30, 120, 60, 180, 90, 220, 40]
        for value in values:
            await pair.show(value)
        assert all(picture.size == (240, 320) for picture in pair.sink.pictures)
        assert len(pair.sink.pictures) - before >= len(values)
        assert {picture.thread for picture in pair.sink.pictures} == {"video-decoder"}


async def test_the_order_of_the_prepared_offer_decides_the_codec() -> None:
    for codecs, chosen in ((("VP8", "H264"), "VP8"), (("H264", "VP8"), "H264")):
        sender, receiver = new_connection(), new_connection()
        sender.addTrack(HandTrack())
        await negotiate(sender, receiver, codecs)
        assert sender.getTransceivers()[0]._codecs[0].name == chosen
        await asyncio.gather(sender.close(), receiver.close())


async def test_without_a_sink_pictures_are_dropped_and_media_goes_on() -> None:
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        pair.live.sink = None
        for value in (60, 70, 80):
            pair.track.show(value)
        pair.live.sink = pair.sink
        await pair.show_until_seen(200)


async def test_our_parts_are_where_aiortc_looks_for_them() -> None:
    async with connected_pair() as pair:
        assert isinstance(pair.sender.getTransceivers()[0].receiver, LiveReceiver)
        receiver: Any = pair.live
        assert type(receiver._RTCRtpReceiver__jitter_buffer).__name__ == "FrameAssembler"
        assert type(receiver._track._queue).__name__ == "_TrackQueue"
        await pair.show_until_seen(50)
        assert receiver._track._queue.empty()


async def test_a_request_for_a_keyframe_reaches_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        asked: list[int] = []
        monkeypatch.setattr(pair.sender.getSenders()[0], "_send_keyframe", lambda: asked.append(1))
        pair.live.ask_keyframe()
        pair.track.show(60)
        await await_for(lambda: asked, what="a picture loss indication")


async def test_a_lost_packet_whose_request_is_lost_too_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        await pair.show(80)
        requests: list[list[int]] = []
        ask, send = LiveReceiver._send_rtcp_nack, RTCDtlsTransport._send_rtp

        async def lost_at_first(self: LiveReceiver, ssrc: int, missing: list[int]) -> None:
            requests.append(missing)
            if len(requests) > 2:
                await ask(self, ssrc, missing)

        lost: list[bytes] = []

        async def losing(self: RTCDtlsTransport, data: bytes) -> None:
            if is_rtcp(data):
                await send(self, data)
            else:
                lost.append(data)

        monkeypatch.setattr(LiveReceiver, "_send_rtcp_nack", lost_at_first)
        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", losing)
        pair.track.show(110)
        await await_for(lambda: lost, what="its packet is lost")
        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", send)
        await pair.show(140)  # and no picture after it, that would ask by itself
        assert [round(p.value / 10) for p in pair.sink.pictures][-2:] == [11, 14]
        assert len(requests) == 3
        assert len(set(map(tuple, requests))) == 1


async def test_closing_ends_the_decoder_thread_and_leaves_no_receiver() -> None:
    before = set(threading.enumerate())
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        del pair
    wait_for(lambda: not [t for t in threading.enumerate() if t not in before and "decoder" in t.name], what="threads end")
    gc.collect()
    await await_for(lambda: not [o for o in gc.get_objects() if isinstance(o, LiveReceiver)] or not gc.collect())


async def test_the_capture_clock_follows_the_senders_reports() -> None:
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        # aiortc reports every 0.5 to 1.5 s, and the first report may be older than the first packet.
        await await_for(lambda: pair.live.clock._report and pair.live.clock._report[0] > 10**9, what="a sender report")
        await pair.show(200)
        await pair.show(100)
        last = pair.sink.pictures[-1]
        assert last.captured != last.at
        # The hand-driven track's timestamps run at 30 a second whatever time the test takes.
        assert abs(last.captured - last.at) < CaptureClock.TOLERANCE


# ---- what can be heard on the network ----


@pytest.mark.parametrize("datagram", [b"", bytes([128]) + bytes(1500)], ids=["empty", "media that is too long"])
async def test_a_datagram_of_a_stranger_leaves_the_connection_alive(monkeypatch: pytest.MonkeyPatch, datagram: bytes) -> None:
    seen: list[bytes] = []
    patched = aioice.ice.StunProtocol.datagram_received
    after = b"\0, which might be STUN"

    def counting(self: Any, data: Any, addr: Any) -> None:
        seen.append(bytes(data))
        patched(self, data, addr)

    monkeypatch.setattr(aioice.ice.StunProtocol, "datagram_received", counting)
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        lines = [line for line in pair.receiver.localDescription.sdp.splitlines() if line.startswith("a=candidate")]
        addresses = [(line.split()[4], int(line.split()[5])) for line in lines if ":" not in line.split()[4]]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for address in addresses:
                stranger.sendto(datagram, address)
                stranger.sendto(after, address)
        await await_for(lambda: seen.count(after) == len(addresses), what="the datagrams arrive")
        for value in (200, 30, 120):
            await pair.show(value)
        assert pair.receiver.connectionState == "connected"


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    lo = ifaddr.Adapter("lo", "lo", [ifaddr.IP("127.0.0.1", 8, "lo"), ifaddr.IP(("::1", 0, 0), 128, "lo")])
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [lo])


@pytest.mark.usefixtures("only_loopback")
async def test_a_machine_without_a_network_connects_over_loopback() -> None:
    async with connected_pair() as pair:
        candidates = [line for line in pair.receiver.localDescription.sdp.splitlines() if "a=candidate" in line]
        assert candidates
        assert all(line.split()[4] == "127.0.0.1" for line in candidates)
        await pair.show_until_seen(50)


async def test_loopback_is_not_offered_where_there_is_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def addresses(*adapters: str) -> list[str]:
        made = [ifaddr.Adapter(ip, ip, [ifaddr.IP(ip, 24, ip)]) for ip in adapters]
        monkeypatch.setattr(ifaddr, "get_adapters", lambda: made)
        return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)

    assert addresses("127.0.0.1", "192.0.2.7") == ["192.0.2.7"]
    assert addresses("127.0.0.1") == ["127.0.0.1"]


# ---- the clock ----


def report(unix: float, rtp: int) -> RtcpSrPacket:
    info = RtcpSenderInfo(ntp_timestamp=int((unix + NTP_TO_UNIX) * 2**32), rtp_timestamp=rtp, packet_count=1, octet_count=1)
    return RtcpSrPacket(ssrc=1, sender_info=info)


def test_capture_is_the_arrival_until_a_report_came() -> None:
    assert CaptureClock().captured(12345, 1000.5) == 1000.5


def test_capture_is_counted_from_the_report_in_both_directions() -> None:
    clock = CaptureClock()
    clock.report(report(1_700_000_000.0, 90_000))
    assert clock.captured(90_000 + 45_000, 1_700_000_001.0) == pytest.approx(1_700_000_000.5, abs=1e-3)
    assert clock.captured(45_000, 1_700_000_001.0) == pytest.approx(1_699_999_999.5, abs=1e-3)


def test_timestamps_wrap_between_report_and_picture() -> None:
    clock = CaptureClock()
    clock.report(report(1_700_000_000.0, 2**32 - 9_000))
    assert clock.captured(9_000, 1_700_000_001.0) == pytest.approx(1_700_000_000.2, abs=1e-3)


def test_the_senders_clock_is_corrected_by_the_measured_offset() -> None:
    clock = CaptureClock()
    clock.report(report(1_700_000_000.0 + 3600, 0))
    assert clock.captured(0, 1_700_000_000.1) == 1_700_000_000.1  # an hour off, not corrected: the arrival
    clock.offset = 3600.0
    assert clock.captured(18_000, 1_700_000_000.3) == pytest.approx(1_700_000_000.2, abs=1e-3)


def test_capture_is_never_later_than_the_arrival() -> None:
    clock = CaptureClock()
    clock.report(report(1_700_000_000.0, 0))
    assert clock.captured(90_000, 1_700_000_000.2) == 1_700_000_000.2


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), 1e300])
def test_an_offset_that_makes_no_sense_leaves_the_arrival(offset: float) -> None:
    clock = CaptureClock()
    clock.report(report(1_700_000_000.0, 0))
    clock.offset = offset
    assert clock.captured(0, 1_700_000_000.2) == 1_700_000_000.2


def test_times_of_capture_do_not_run_backwards_but_for_a_clock_that_was_set() -> None:
    clock = CaptureClock()
    assert clock.captured(0, 1000.0) == 1000.0
    assert 1000.0 < clock.captured(3000, 1000.0) < 1000.001
    assert 1000.0 < clock.captured(6000, 999.5) < 1000.001
    assert clock.captured(9000, 900.0) == 900.0
