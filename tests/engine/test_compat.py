"""What we changed in aiortc and aioice, on real connections: these fail when a new version moves things under us."""

from __future__ import annotations

import asyncio
import gc
import queue
import socket
import threading
import time
from typing import Any

import aioice.ice
import av
import ifaddr
import numpy as np
import pytest
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver
from forge_rtc_nb.engine.aiortc_compat.assembly import EncodedFrame
from forge_rtc_nb.engine.aiortc_compat.decoding import DecoderThread, PictureDecoder, is_keyframe
from forge_rtc_nb.engine.aiortc_compat.receiver import NTP_TO_UNIX, CaptureClock
from forge_rtc_nb.ring import SHAPES
from tests.engine.pairs import HandTrack, connected_pair, negotiate, new_connection
from tests.support import await_for, wait_for

CODECS = ["VP8", "H264"]


def codec_named(name: str) -> RTCRtpCodecParameters:
    parameters = {"level-asymmetry-allowed": 1, "packetization-mode": 1, "profile-level-id": "42e01f"}
    return RTCRtpCodecParameters(
        mimeType=f"video/{name}", clockRate=90000, payloadType=96, parameters=parameters if name == "H264" else {}
    )


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


async def test_an_empty_datagram_leaves_the_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    patched = aioice.ice.StunProtocol.datagram_received

    def counting(self: Any, data: Any, addr: Any) -> None:
        seen.append(len(data))
        patched(self, data, addr)

    monkeypatch.setattr(aioice.ice.StunProtocol, "datagram_received", counting)
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        lines = [line for line in pair.receiver.localDescription.sdp.splitlines() if line.startswith("a=candidate")]
        addresses = [(line.split()[4], int(line.split()[5])) for line in lines if ":" not in line.split()[4]]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for address in addresses:
                stranger.sendto(b"", address)
        await await_for(lambda: 0 in seen, what="the empty datagram arrives")
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
    info = RtcpSenderInfo(
        ntp_timestamp=int((unix + NTP_TO_UNIX) * 2**32), rtp_timestamp=rtp, packet_count=1, octet_count=1
    )
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
    assert clock.captured(0, 1_700_000_000.1) == pytest.approx(1_700_000_000.0, abs=1e-3)


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


# ---- decoding ----


def encoded(codec: str, count: int, keyframes: tuple[int, ...] = ()) -> list[bytes]:
    """Frames as they come out of the assembler, from aiortc's own encoder."""
    from aiortc.codecs import depayload

    parameters = codec_named(codec)
    encoder = get_encoder(parameters)
    frames = []
    for number in range(count):
        picture = av.VideoFrame(320, 240, "yuv420p")
        for plane, fill in zip(picture.planes, (20 + 10 * number, 128, 128), strict=True):
            plane.update(bytes([fill]) * plane.buffer_size)
        picture.pts, picture.time_base = number * 3000, av.VideoFrame(16, 16).time_base
        from fractions import Fraction

        picture.time_base = Fraction(1, 90000)
        payloads, _ = encoder.encode(picture, force_keyframe=number in keyframes)
        frames.append(b"".join(depayload(parameters, payload) for payload in payloads))
    return frames


def frame_of(data: bytes, number: int = 0, after_gap: bool = False) -> EncodedFrame:
    return EncodedFrame(data, number * 3000, number * 3000, time.time(), after_gap)


@pytest.mark.parametrize("codec", CODECS)
def test_keyframes_are_recognised(codec: str) -> None:
    assert [is_keyframe(codec, data) for data in encoded(codec, 6, (3,))] == [True, False, False, True, False, False]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\1", b"\0\0\0\1", b"\xff" * 50, b"\0" * 50])
def test_damaged_data_is_no_reason_to_fail(codec: str, data: bytes) -> None:
    is_keyframe(codec, data)
    decoder = PictureDecoder(codec)
    try:
        assert decoder.decode(frame_of(data)) == []
    except av.FFmpegError:
        pass


@pytest.mark.parametrize("codec", CODECS)
def test_no_picture_is_held_back(codec: str) -> None:
    decoder = PictureDecoder(codec)
    for number, data in enumerate(encoded(codec, 5)):
        (picture,) = decoder.decode(frame_of(data, number))
        assert abs(int(np.median(picture.to_ndarray(format="gray8"))) - (10 * number + 20 - 16) * 255 / 219) < 8
        assert picture.pts == number * 3000


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_gap_nothing_is_shown_until_a_keyframe(codec: str) -> None:
    decoder = PictureDecoder(codec)
    frames = encoded(codec, 8, (6,))
    shown = [len(decoder.decode(frame_of(data, n, after_gap=n == 3))) for n, data in enumerate(frames)]
    assert shown == [1, 1, 1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_is_shown_from_its_first_keyframe(codec: str) -> None:
    decoder = PictureDecoder(codec)
    frames = encoded(codec, 6, (3,))
    assert [len(decoder.decode(frame_of(data, n + 1))) for n, data in enumerate(frames[1:])] == [0, 0, 1, 1, 1]
    assert not decoder.waiting


class Thread:
    """A `DecoderThread` that is fed by hand."""

    def __init__(self) -> None:
        self.source: queue.Queue[Any] = queue.Queue()
        self.asked = threading.Event()
        self.delivered: list[tuple[int, bool]] = []
        self._work = DecoderThread(self.source, self._deliver, self.asked)

    def _deliver(self, picture: av.VideoFrame, frame: EncodedFrame, fresh: bool) -> None:
        self.delivered.append((frame.timestamp // 3000, fresh))

    def run(self) -> None:
        self.source.put(None)
        self._work.run()


def test_only_the_newest_picture_of_a_backlog_is_fresh() -> None:
    thread = Thread()
    first, second, third, fourth = (frame_of(data, number) for number, data in enumerate(encoded("VP8", 4)))
    second.more = [third]
    for frame in (first, second, fourth):
        thread.source.put((codec_named("VP8"), frame))
    thread.source.put(None)
    thread.run()
    assert thread.delivered == [(0, False), (1, False), (2, False), (3, False)]


def test_a_picture_with_nothing_behind_it_is_fresh() -> None:
    thread = Thread()
    worker = threading.Thread(target=thread._work.run)
    worker.start()
    for number, data in enumerate(encoded("VP8", 3)):
        thread.source.put((codec_named("VP8"), frame_of(data, number)))
        wait_for(lambda: len(thread.delivered) > number, what="the picture")  # noqa: B023
    thread.source.put(None)
    worker.join()
    assert thread.delivered == [(0, True), (1, True), (2, True)]


def test_a_damaged_frame_asks_for_a_keyframe_and_decoding_goes_on() -> None:
    thread = Thread()
    frames = encoded("VP8", 4, (2,))
    frames[1] = b"\x00" * 3 + b"\xff" * 40
    for number, data in enumerate(frames):
        thread.source.put((codec_named("VP8"), frame_of(data, number)))
    thread.run()
    assert thread.asked.is_set()
    assert [number for number, _ in thread.delivered if number != 1] == [0, 2, 3]


def test_the_codec_may_change_in_the_middle() -> None:
    thread = Thread()
    for number, codec in enumerate(("VP8", "H264", "VP8")):
        thread.source.put((codec_named(codec), frame_of(encoded(codec, 1)[0], number)))
    thread.run()
    assert [number for number, _ in thread.delivered] == [0, 1, 2]


def test_a_codec_that_we_cannot_decode_is_left_alone() -> None:
    thread = Thread()
    thread.source.put((codec_named("VP9"), frame_of(b"abc")))
    thread.run()
    assert thread.delivered == []


def test_a_sink_that_fails_does_not_end_the_stream() -> None:
    thread = Thread()
    frames = encoded("VP8", 3)
    deliver = thread._deliver

    def failing(picture: av.VideoFrame, frame: EncodedFrame, fresh: bool) -> None:
        deliver(picture, frame, fresh)
        raise RuntimeError("a bug in a sink")

    thread._work._deliver = failing
    for number, data in enumerate(frames):
        thread.source.put((codec_named("VP8"), frame_of(data, number)))
    thread.run()
    assert [number for number, _ in thread.delivered] == [0, 1, 2]


def test_the_ring_has_a_shape_for_each_format_that_a_decoder_is_asked_for() -> None:
    picture = av.VideoFrame(32, 16, "yuv420p")
    for pixel_format, shape in SHAPES.items():
        assert picture.to_ndarray(format=pixel_format).shape == shape(16, 32)
