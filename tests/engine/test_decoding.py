"""Encoded frames to pictures: none held back, keyframes after gaps, and damage that ends nothing."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs import depayload, get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from forge_rtc_nb.engine.aiortc_compat.assembly import EncodedFrame
from forge_rtc_nb.engine.aiortc_compat.decoding import DecoderThread, PictureDecoder, is_keyframe
from forge_rtc_nb.engine.conversion import Converter
from tests.support import wait_for

CODECS = ["VP8", "H264"]


def codec_named(name: str) -> RTCRtpCodecParameters:
    parameters: dict[str, int | str | None] = {
        "level-asymmetry-allowed": 1,
        "packetization-mode": 1,
        "profile-level-id": "42e01f",
    }
    return RTCRtpCodecParameters(
        mimeType=f"video/{name}", clockRate=90000, payloadType=96, parameters=parameters if name == "H264" else {}
    )


def encoded(codec: str, count: int, keyframes: tuple[int, ...] = ()) -> list[bytes]:
    """Frames as they come out of the assembler, from aiortc's own encoder."""
    parameters = codec_named(codec)
    encoder = get_encoder(parameters)
    frames = []
    for number in range(count):
        picture = av.VideoFrame(320, 240, "yuv420p")
        for plane, fill in zip(picture.planes, (20 + 10 * (number % 20), 128, 128), strict=True):
            plane.update(bytes([fill]) * plane.buffer_size)
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90000)
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
    with contextlib.suppress(av.FFmpegError):
        assert decoder.decode(frame_of(data)) == []


@pytest.mark.parametrize("codec", CODECS)
def test_no_picture_is_held_back(codec: str) -> None:
    decoder = PictureDecoder(codec)
    for number, data in enumerate(encoded(codec, 5)):
        (picture,) = decoder.decode(frame_of(data, number))
        luma: Any = np.frombuffer(picture.planes[0], np.uint8)  # type: ignore[call-overload]
        assert abs(np.median(luma) - (20 + 10 * number)) < 6
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
    worker = threading.Thread(target=thread._work.run, daemon=True)
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


def run_thread(frames: list[bytes], wanted: bool = True) -> list[int]:
    """Timestamps of the pictures that a decoder thread hands on when all frames wait already."""
    source: queue.Queue[Any] = queue.Queue()
    for number, data in enumerate(frames):
        source.put((codec_named("VP8"), EncodedFrame(data, number)))
    source.put(None)
    shown: list[int] = []
    DecoderThread(
        source, lambda _picture, frame, _fresh: shown.append(frame.timestamp), threading.Event(), lambda: wanted
    ).run()
    return shown


def test_nothing_is_decoded_that_nobody_wants() -> None:
    frames = encoded("VP8", 3)
    assert run_thread(frames) == [0, 1, 2]
    assert run_thread(frames, wanted=False) == []


def test_a_long_backlog_is_left_out_up_to_the_next_keyframe() -> None:
    assert run_thread(encoded("VP8", 100, keyframes=(90,))) == list(range(90, 100))


def test_keyframes_alone_make_no_backlog_either() -> None:
    assert run_thread(encoded("VP8", 100, keyframes=tuple(range(100)))) == list(range(40, 100))


def test_a_picture_that_is_too_large_is_left_out_before_it_takes_memory() -> None:
    good = encoded("VP8", 1)[0]
    huge = good[:6] + b"\xfe\x3f\xfe\x3f" + good[10:]
    decoder = PictureDecoder("VP8")
    assert decoder.decode(EncodedFrame(huge, 0)) == []
    assert decoder.waiting
    assert len(decoder.decode(EncodedFrame(good, 1))) == 1


@pytest.mark.parametrize("codec", CODECS)
def test_what_the_decoders_give_is_converted_without_a_copy(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Converter, "_reformat", lambda *arguments: pytest.fail("took the way with a copy"))
    (picture,) = PictureDecoder(codec).decode(frame_of(encoded(codec, 1)[0]))
    Converter("rgb24").convert(picture, np.empty((picture.height, picture.width, 3), np.uint8))
