"""RTP packets to frames: released by their last packet, in order through loss and reordering, bounded whatever comes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.aiortc_compat.assembly import CAPACITY, PATIENCE, EncodedFrame, FrameAssembler

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
FRAME_TICKS = 3000


class Clock:
    """Seconds that a test moves on by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def packet(seq: int, timestamp: int, data: bytes, marker: bool = False) -> RtpPacket:
    made = RtpPacket(payload_type=96, marker=marker, sequence_number=seq & 0xFFFF, timestamp=timestamp & 0xFFFFFFFF)
    made._data = data  # type: ignore[attr-defined]
    return made


def stream(sizes: Iterable[int], seq: int = 0, timestamp: int = 0, markers: bool = True) -> list[RtpPacket]:
    """Packets of frames that have so many packets each; the data says "<frame>.<packet>;"."""
    packets = []
    for frame, count in enumerate(sizes):
        for part in range(count):
            last = markers and part == count - 1
            packets.append(packet(seq, timestamp + frame * FRAME_TICKS, f"{frame}.{part};".encode(), last))
            seq += 1
    return packets


def contents(sizes: Iterable[int]) -> list[bytes]:
    """The data of the frames of `stream`."""
    return [b"".join(f"{frame}.{part};".encode() for part in range(count)) for frame, count in enumerate(sizes)]


def feed(assembler: FrameAssembler, packets: Iterable[RtpPacket]) -> tuple[list[EncodedFrame], int]:
    """All frames that came out, and how often a keyframe was asked for."""
    frames: list[EncodedFrame] = []
    asked = 0
    for one in packets:
        ask, frame = assembler.add(one)
        asked += ask
        if frame is not None:
            frames += [frame, *frame.more]
    return frames, asked


def data(frames: Iterable[EncodedFrame]) -> list[bytes]:
    return [frame.data for frame in frames]


# ---- in order ----


def test_a_frame_is_released_by_the_packet_with_the_marker() -> None:
    assembler = FrameAssembler()
    first, second, third = stream([3])
    assert assembler.add(first) == (False, None)
    assert assembler.add(second) == (False, None)
    ask, frame = assembler.add(third)
    assert not ask
    assert frame is not None
    assert (frame.data, frame.after_gap, frame.more) == (b"0.0;0.1;0.2;", False, [])


def test_without_markers_the_next_frames_first_packet_releases() -> None:
    assembler = FrameAssembler()
    packets = stream([2, 1, 2], markers=False)
    frames, asked = feed(assembler, packets)
    assert data(frames) == [b"0.0;0.1;", b"1.0;"]
    assert asked == 0


def test_a_stream_may_begin_at_any_number() -> None:
    for start in (0, 1, 32767, 32768, 65535):
        frames, _ = feed(FrameAssembler(), stream([2, 2], seq=start))
        assert data(frames) == contents([2, 2])


def test_packets_of_padding_only_make_no_frame() -> None:
    assembler = FrameAssembler()
    frames, _ = feed(assembler, [packet(0, 0, b"a", True), packet(1, 0, b""), packet(2, 0, b""), packet(3, 9, b"b", True)])
    assert data(frames) == [b"a", b"b"]


def test_padding_within_a_frame_leaves_it_whole() -> None:
    frames, _ = feed(FrameAssembler(), [packet(0, 0, b"a"), packet(1, 0, b""), packet(2, 0, b"b", True)])
    assert data(frames) == [b"ab"]


# ---- numbers that wrap ----


def test_sequence_numbers_wrap() -> None:
    sizes = [2] * 40
    packets = stream(sizes, seq=65500)
    frames, asked = feed(FrameAssembler(), packets)
    assert data(frames) == contents(sizes)
    assert asked == 0


def test_sequence_numbers_wrap_twice_with_reordering() -> None:
    sizes = [1] * 140_000
    packets = stream(sizes)
    for place in range(0, len(packets) - 1, 50):
        packets[place], packets[place + 1] = packets[place + 1], packets[place]
    # The stream's first packet cannot be reordered: nobody knows yet what came before it.
    packets[0], packets[1] = packets[1], packets[0]
    frames, asked = feed(FrameAssembler(), packets)
    assert len(frames) == len(sizes)
    assert asked == 0


def test_timestamps_are_unwrapped() -> None:
    start = 2**32 - 2 * FRAME_TICKS
    frames, _ = feed(FrameAssembler(), stream([1] * 5, timestamp=start))
    assert [frame.timestamp - start for frame in frames] == [n * FRAME_TICKS for n in range(5)]
    assert [frame.rtp_timestamp for frame in frames] == [(start + n * FRAME_TICKS) % 2**32 for n in range(5)]


# ---- out of order and lost ----


@pytest.mark.parametrize(
    "order",
    [[0, 2, 1, 3, 4, 5], [0, 1, 3, 2, 5, 4], [0, 5, 4, 3, 2, 1], [0, 3, 1, 2, 5, 4], [0, 1, 2, 4, 5, 3]],
)
def test_reordered_packets_give_the_same_frames(order: list[int]) -> None:
    packets = stream([2, 1, 3])
    frames, asked = feed(FrameAssembler(), [packets[place] for place in order])
    assert data(frames) == contents([2, 1, 3])
    assert asked == 0


def test_frames_that_one_packet_completes_come_together() -> None:
    assembler = FrameAssembler()
    packets = stream([2, 1, 1])
    feed(assembler, [packets[0], packets[2], packets[3]])
    _, frame = assembler.add(packets[1])
    assert frame is not None
    assert data([frame, *frame.more]) == contents([2, 1, 1])


def test_a_retransmission_in_time_fills_the_gap() -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    packets = stream([1, 3, 1, 1])
    assert data(feed(assembler, [packets[0], packets[1], packets[3], packets[4]])[0]) == [b"0.0;"]
    clock.now += PATIENCE * 0.9
    frames, asked = feed(assembler, [packets[2], packets[5]])
    assert data(frames) == contents([1, 3, 1, 1])[1:]
    assert not any(frame.after_gap for frame in frames)
    assert asked == 0


def test_only_what_is_missing_and_still_of_use_is_awaited() -> None:
    assembler, packets = FrameAssembler(), stream([2, 3, 1], seq=65533)
    assert not assembler.awaits(65533)
    feed(assembler, [*packets[:2], packets[3], packets[5]])
    assert [n for n in range(65530, 65536) if assembler.awaits(n)] == [65535]
    assert [n for n in range(6) if assembler.awaits(n)] == [1]  # beyond what was seen, nothing is known to be missing


def test_what_is_not_there_in_time_is_awaited_no_longer() -> None:
    now = [0.0]
    assembler, packets = FrameAssembler(lambda: now[0]), stream([1, 1, 1])
    feed(assembler, [packets[0], packets[2]])
    assert assembler.awaits(1)
    now[0] = PATIENCE
    assert not assembler.awaits(1)  # though no packet came that would have ended the wait


def test_duplicates_change_nothing() -> None:
    packets = stream([2, 2, 1])
    frames, _ = feed(FrameAssembler(), [p for one in packets for p in (one, one)] + packets)
    assert data(frames) == contents([2, 2, 1])


def test_a_gap_is_given_up_after_a_while_and_a_keyframe_asked_for() -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    packets = stream([1, 2, 2, 1, 1])
    frames, asked = feed(assembler, [packets[0], packets[2], packets[3]])  # 1.0 is lost
    assert (data(frames), asked) == ([b"0.0;"], 0)
    clock.now += PATIENCE + 0.01
    frames, asked = feed(assembler, packets[4:])
    assert asked == 1
    assert data(frames) == contents([1, 2, 2, 1, 1])[2:]
    assert [frame.after_gap for frame in frames] == [True, False, False]


def test_the_wait_for_a_second_gap_begins_anew() -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    packets = stream([1] * 8)
    feed(assembler, [packets[0], packets[2]])
    clock.now += PATIENCE * 0.9
    feed(assembler, [packets[1], packets[4]])  # the first gap is filled, a second opens
    clock.now += PATIENCE * 0.9
    assert feed(assembler, [packets[5]])[1] == 0
    clock.now += PATIENCE * 0.2
    assert feed(assembler, [packets[6]])[1] == 1


def test_a_packet_that_comes_after_its_gap_was_given_up_is_ignored() -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    packets = stream([1, 1, 1, 1, 1, 1])
    feed(assembler, [packets[0], packets[2]])
    clock.now += PATIENCE + 0.01
    assert feed(assembler, [packets[3]])[1] == 1
    frames, _ = feed(assembler, [packets[1], packets[4], packets[5]])
    assert data(frames)[-2:] == [b"4.0;", b"5.0;"]
    assert b"1.0;" not in data(frames)


# ---- bounds ----


def kept(assembler: FrameAssembler) -> int:
    return len(assembler._packets)


def test_behind_a_gap_only_so_many_packets_wait() -> None:
    assembler = FrameAssembler(Clock())
    packets = stream([1] * (3 * CAPACITY))
    del packets[1]
    asked = most = 0
    for one in packets:
        asked += feed(assembler, [one])[1]
        most = max(most, kept(assembler))
    assert most <= CAPACITY
    assert asked == 1
    frames, _ = feed(assembler, [packet(3 * CAPACITY, 10**9, b"next", True)])
    assert data(frames)[-1] == b"next"


def test_a_frame_that_never_ends_is_given_up_too() -> None:
    assembler = FrameAssembler(Clock())
    asked = most = 0
    for seq in range(3 * CAPACITY):
        asked += feed(assembler, [packet(seq, 0, b"x" * 10)])[1]
        most = max(most, kept(assembler))
    assert most <= CAPACITY
    assert asked >= 1
    frames, _ = feed(assembler, stream([1], seq=3 * CAPACITY, timestamp=90_000))
    assert data(frames)[-1] == b"0.0;"
    assert frames[-1].after_gap


@pytest.mark.parametrize("jump", [-30_000, -5_000, 5_000, 30_000])
def test_a_sender_that_starts_again_elsewhere_is_followed(jump: int) -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    feed(assembler, stream([1] * 10, seq=40_000))
    frames: list[EncodedFrame] = []
    for one in stream([1] * 60, seq=40_010 + jump, timestamp=10**6):
        clock.now += 0.033
        frames += feed(assembler, [one])[0]
    assert data(frames)[-10:] == contents([1] * 60)[-10:]
    assert frames[0].after_gap


# ---- any order ----


@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=30),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_any_order_within_the_window_gives_the_same_frames(
    sizes: list[int], seq: int, timestamp: int, window: int, chance: random.Random
) -> None:
    first, *rest = stream(sizes, seq, timestamp)
    late = sorted(range(len(rest)), key=lambda place: place + chance.random() * window)
    frames, asked = feed(FrameAssembler(Clock()), [first, *(rest[place] for place in late)])
    assert data(frames) == contents(sizes)
    assert [(frame.timestamp - timestamp) for frame in frames] == [n * FRAME_TICKS for n in range(len(sizes))]
    assert asked == 0


@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=3), st.floats(0, 1)),
        max_size=200,
    )
)
def test_no_sequence_of_packets_breaks_it(noise: list[tuple[int, int, bool, bytes, float]]) -> None:
    clock = Clock()
    assembler = FrameAssembler(clock)
    for seq, timestamp, marker, content, pause in noise:
        clock.now += pause
        feed(assembler, [packet(seq, timestamp, content, marker)])
        assert kept(assembler) <= CAPACITY
