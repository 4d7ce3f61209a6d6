"""Sound that comes: packets in order, samples without gaps, their time, and what is done about loss."""

from __future__ import annotations

import os
import queue
import time
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver
from forge_rtc_nb.engine.aiortc_compat.assembly import EncodedFrame
from forge_rtc_nb.engine.aiortc_compat.sound import PATIENCE, SoundAssembler, SoundDecoder, SoundThread
from tests.engine.pairs import negotiate, new_connection
from tests.engine.tones import BLOCK, RATE, ToneTrack, frequency_of, opus_packets
from tests.support import await_for

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=RATE, channels=2, payloadType=96)


def assembled(packets: list[RtpPacket], assembler: SoundAssembler | None = None) -> list[EncodedFrame]:
    assembler = assembler or SoundAssembler()
    frames: list[EncodedFrame] = []
    for packet in packets:
        keyframe, first = assembler.add(packet)
        assert not keyframe
        if first is not None:
            frames += [first, *first.more]
    return frames


def decoded(frames: list[EncodedFrame]) -> NDArray[np.float32]:
    decoder = SoundDecoder()
    return np.concatenate([decoder.decode(frame)[1] for frame in frames])


# ---- packets in order ----


def test_each_packet_goes_on_at_once() -> None:
    assembler = SoundAssembler()
    for packet in opus_packets(440, 5, first=65534, stamp=2**32 - BLOCK):
        (frame,) = assembled([packet], assembler)
        assert frame.rtp_timestamp == packet.timestamp


def test_timestamps_go_on_where_theirs_begin_anew() -> None:
    stamps = [frame.timestamp for frame in assembled(opus_packets(440, 4, stamp=2**32 - 2 * BLOCK))]
    assert np.diff(stamps).tolist() == [BLOCK] * 3


def test_what_comes_late_is_put_in_its_place() -> None:
    packets = opus_packets(440, 8)
    mixed = [packets[number] for number in (0, 2, 3, 1, 4, 6, 5, 7)]
    assert [frame.rtp_timestamp for frame in assembled(mixed)] == [packet.timestamp for packet in packets]


def test_what_is_lost_is_not_waited_for_for_long() -> None:
    packets = opus_packets(440, 10)
    frames = assembled([packets[0], *packets[2 : 2 + PATIENCE + 1], packets[1]])
    assert [frame.rtp_timestamp // BLOCK for frame in frames] == [0, *range(2, 3 + PATIENCE)]


def test_a_sender_that_counts_anew_is_heard() -> None:
    packets = [*opus_packets(440, 3, first=5000, stamp=10**6), *opus_packets(440, 2 * PATIENCE, first=100)]
    assert [frame.rtp_timestamp // BLOCK for frame in assembled(packets)][-3:] == [
        2 * PATIENCE - 3,
        2 * PATIENCE - 2,
        2 * PATIENCE - 1,
    ]


@settings(max_examples=int(100 * FUZZ), deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.4), st.integers(0, 4), st.integers(0, 65535))
def test_on_any_path_packets_come_out_once_and_in_order(seed: int, loss: float, jitter: int, first: int) -> None:
    random = Random(seed)
    packets = [
        RtpPacket(sequence_number=(first + n) & 0xFFFF, timestamp=(seed + n * BLOCK) & 0xFFFFFFFF, ssrc=1) for n in range(60)
    ]
    for packet in packets:
        packet._data = b"x"  # type: ignore[attr-defined]
    kept = [packet for packet in packets for _ in range(random.choice((1, 1, 1, 2))) if random.random() >= loss]
    kept = [packet for _, packet in sorted(enumerate(kept), key=lambda each: each[0] + random.random() * jitter)]
    stamps = [frame.timestamp for frame in assembled(kept)]
    assert stamps == sorted(set(stamps))
    assert len(stamps) >= len(set(map(id, kept))) - PATIENCE - 2 * jitter


# ---- samples ----


def test_a_tone_comes_out_as_it_went_in() -> None:
    samples = decoded(assembled(opus_packets(1000, 50)))
    assert samples.shape == (50 * BLOCK, 2)
    assert frequency_of(samples[:, 0]) == pytest.approx(1000, abs=2)
    assert np.abs(samples[BLOCK:]).max() == pytest.approx(0.5, abs=0.05)


def test_what_is_lost_is_silence_of_the_same_length() -> None:
    packets = opus_packets(1000, 50)
    samples = decoded(assembled(packets[:20] + packets[30:]))
    assert len(samples) == 50 * BLOCK
    assert not samples[20 * BLOCK : 30 * BLOCK].any()
    assert samples[31 * BLOCK :].any()


def test_what_overlaps_is_left_out() -> None:
    decoder = SoundDecoder()
    first, second = assembled(opus_packets(1000, 2))
    decoder.decode(first)
    second.timestamp -= BLOCK // 2
    start, samples = decoder.decode(second)
    assert (start, len(samples)) == (BLOCK, BLOCK // 2)


def test_after_a_long_pause_time_has_jumped() -> None:
    frames = [*assembled(opus_packets(1000, 3)), *assembled(opus_packets(1000, 3, stamp=3600 * RATE))]
    assert len(decoded(frames)) == 6 * BLOCK


def test_damaged_packets_and_other_codecs_do_no_harm() -> None:
    heard: list[int] = []
    source: Any = queue.Queue()
    first, second, third = assembled(opus_packets(1000, 3))
    second.data = b"\xff" * 40
    other = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, channels=1, payloadType=0)
    for item in ((OPUS, first), (OPUS, second), (other, first), (OPUS, third), None):
        source.put(item)
    SoundThread(source, lambda samples, stamp, arrival: heard.append(len(samples)), lambda: True).run()
    assert heard[0] == BLOCK
    assert sum(heard) == 3 * BLOCK


# ---- from a stock sender ----


class Ear:
    """A `SoundSink` that keeps what it gets."""

    kind: Literal["audio"] = "audio"

    def __init__(self) -> None:
        self.heard: list[NDArray[np.float32]] = []
        self.delays: list[float] = []

    def deliver(self, samples: NDArray[np.float32], captured: float) -> None:
        self.heard.append(samples)
        self.delays.append(time.time() - captured - len(samples) / RATE)

    @property
    def count(self) -> int:
        return sum(map(len, self.heard))


async def test_a_stock_senders_tone_is_heard_with_its_time() -> None:
    sender, receiver, ear = new_connection(), new_connection(), Ear()
    try:
        sender.addTrack(ToneTrack(700))
        await negotiate(sender, receiver, ("VP8",))
        live = receiver.getTransceivers()[0].receiver
        assert isinstance(live, LiveReceiver)
        live.sink = ear
        await await_for(lambda: ear.count > RATE, 20, "a second of sound")
        samples = np.concatenate(ear.heard)[-RATE // 2 :]
        assert frequency_of(samples[:, 0]) == pytest.approx(700, abs=4)
        assert -0.01 < float(np.median(ear.delays)) < 1.0
    finally:
        await sender.close()
        await receiver.close()
