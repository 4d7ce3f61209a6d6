"""Sound on its way to listeners: Opus, the clock that it is played by, and who gets it (test process)."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from forge_rtc_nb.engine.aiortc_compat.assembly import EncodedFrame
from forge_rtc_nb.engine.aiortc_compat.packets import Packets
from forge_rtc_nb.engine.aiortc_compat.sound import SoundDecoder
from forge_rtc_nb.engine.publishing.listeners import MOST_WAITING, Listener, Listeners
from forge_rtc_nb.engine.publishing.opus import BLOCK, RATE, OpusEncoder, Resampler
from forge_rtc_nb.engine.publishing.player import Player
from forge_rtc_nb.ring import create_memory
from forge_rtc_nb.samples import SampleReader, SampleWriter
from tests.engine.tones import frequency_of, tone
from tests.support import await_for


def decoded(packets: list[bytes]) -> NDArray[np.float32]:
    decoder = SoundDecoder()
    frames = [EncodedFrame(data, number * BLOCK) for number, data in enumerate(packets)]
    return np.concatenate([decoder.decode(frame)[1] for frame in frames])


# ---- Opus ----


@pytest.mark.parametrize("channels", [1, 2])
def test_each_block_is_one_packet_and_the_sound_is_kept(channels: int) -> None:
    encoder = OpusEncoder(channels, 64_000 * channels)
    sound = np.stack([tone(500, RATE), tone(1500, RATE)][:channels], axis=1)
    packets = [encoder.encode(sound[start : start + BLOCK]) for start in range(0, RATE, BLOCK)]
    heard = decoded(packets)
    assert len(heard) == RATE
    assert frequency_of(heard[:, 0]) == pytest.approx(500, abs=2)
    assert frequency_of(heard[:, 1]) == pytest.approx((500, 1500)[channels - 1], abs=2)
    assert np.abs(heard[RATE // 2 :]).max() == pytest.approx(0.5, abs=0.05)


def test_what_is_too_loud_is_clipped() -> None:
    encoder = OpusEncoder(1, 64_000)
    loud = decoded([encoder.encode(10 * tone(300, BLOCK, n * BLOCK)[:, None]) for n in range(20)])
    assert np.abs(loud).max() <= 1.0


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 192000])
def test_other_rates_become_48_khz_block_by_block(rate: int) -> None:
    resampler = Resampler(rate, 1)
    sound = (0.5 * np.sin(2 * np.pi * 700 * np.arange(rate) / rate)).astype(np.float32)[:, None]
    edges = [number * rate // 50 for number in range(51)]
    blocks = [resampler.convert(sound[start:end]) for start, end in itertools.pairwise(edges)]
    assert {block.shape for block in blocks} == {(BLOCK, 1)}
    assert frequency_of(np.concatenate(blocks)[4800:, 0]) == pytest.approx(700, abs=3)


# ---- listeners ----


def packet(number: int) -> Packets:
    return Packets([bytes([number])], number * BLOCK, keyframe=True)


async def test_all_listeners_get_the_same_packets_from_their_first_call_on() -> None:
    counts: list[int] = []
    listeners = Listeners(counts.append)
    first, second = listeners.viewer(), listeners.viewer()
    assert counts == []
    waiting = [asyncio.create_task(each.next_frame("opus")) for each in (first, second)]
    await await_for(lambda: listeners.count == 2, what="both listen")
    listeners.send(packet(1))
    assert await asyncio.gather(*waiting) == [packet(1)] * 2
    first.close()
    first.close()
    assert await first.next_frame("opus") is None
    assert counts == [1, 2, 1]


async def test_who_is_slow_misses_the_oldest_and_holds_up_nobody() -> None:
    listeners = Listeners(lambda count: None)
    slow = listeners.viewer()
    listeners.add(slow)
    for number in range(MOST_WAITING + 3):
        listeners.send(packet(number))
    assert listeners.dropped == 3
    assert await slow.next_frame("opus") == packet(3)


# ---- the player ----


class Stage:
    """A writer, as the kernel has it, and the player of what it writes."""

    def __init__(self, memory: int, rate: int = RATE) -> None:
        self.reader = SampleReader(memory, 0, 1)
        self.writer = SampleWriter(memory, 0, rate, 1)
        self.listeners = Listeners(lambda count: self.player.wake())
        self.player = Player(self.reader, rate, None, self.listeners)

    def write(self, samples: NDArray[np.float32]) -> None:
        self.writer.write(samples[:, None], 0.0)
        self.player.wake()


@pytest.fixture
def memory() -> Iterator[int]:
    fd = create_memory()
    yield fd
    os.close(fd)


@pytest.fixture
async def stage(memory: int) -> AsyncIterator[Stage]:
    stage = Stage(memory)
    yield stage
    await stage.player.close()


async def heard(listener: Listener, count: int) -> list[Packets]:
    packets = [await listener.next_frame("opus") for _ in range(count)]
    return [each for each in packets if each is not None]


async def test_sound_is_played_at_its_pace_and_the_writer_learns_of_it(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    listener = stage.listeners.viewer()
    stage.write(tone(800, RATE))
    begun = loop.time()
    packets = await heard(listener, 40)
    assert loop.time() - begun > 0.7
    assert {b.timestamp - a.timestamp for a, b in itertools.pairwise(packets)} == {BLOCK}
    assert frequency_of(decoded([each.payloads[0] for each in packets])[9600:, 0]) == pytest.approx(800, abs=4)
    assert stage.writer.taken >= 39 * BLOCK


async def test_who_listens_to_nothing_hears_silence(stage: Stage) -> None:
    packets = await heard(stage.listeners.viewer(), 10)
    assert not decoded([each.payloads[0] for each in packets]).any()


async def test_without_listeners_it_is_played_but_not_encoded_and_then_the_clock_rests(stage: Stage) -> None:
    stage.write(tone(800, RATE // 5))
    await await_for(lambda: stage.writer.taken == RATE // 5, what="it was played")
    assert stage.player.played.packets == 0
    listener = stage.listeners.viewer()
    stage.write(tone(800, RATE // 5))
    (first,) = await heard(listener, 1)
    assert len(first.payloads) == 1


async def test_what_was_overwritten_is_left_out(stage: Stage) -> None:
    stage.write(tone(500, 1 << 20))
    stage.writer.write(tone(900, RATE, 0)[:, None], 0.0)
    packets = await heard(stage.listeners.viewer(), 5)
    assert len(packets) == 5
    assert stage.writer.taken >= RATE
