"""Sound that a kernel publishes, heard in another kernel: as it went in, at its own pace (test process)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import forge_rtc_nb as rtc
from tests.engine.tones import tone
from tests.python_process import PythonProcess
from tests.support import wait_for

_numbers = itertools.count(1)


def name() -> str:
    return f"sound {next(_numbers)}"


def long_tone(frequency: float, seconds: float = 30, rate: int = 48000) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


LISTEN = """
def heard(name):
    stream = room.audio("ann", name)
    sound = stream.read(0.3, timeout=20)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))[:, None], axis=0))
    return [list(sound.shape), (spectrum.argmax(axis=0) / 0.3).tolist(), float(np.abs(sound).max())]
"""


@pytest.fixture(scope="module")
def listener(bob: PythonProcess) -> PythonProcess:
    bob.run("import numpy as np" + LISTEN)
    return bob


def hears(listener: PythonProcess, stream: str, *frequencies: float) -> None:
    """Until the channels, or both of them, have these."""
    wanted = frequencies if len(frequencies) == 2 else frequencies * 2

    def right() -> bool:
        shape, found, loudest = listener.run(f"heard({stream!r})")
        assert shape == [14400, 2]
        return loudest > 0.1 and bool(np.abs(np.subtract(found, wanted)).max() < 10)

    wait_for(right, 30, f"{stream} is {wanted} Hz")


def is_silent(listener: PythonProcess, stream: str) -> None:
    wait_for(lambda: listener.run(f"heard({stream!r})")[2] < 0.01, 20, f"{stream} is silent")


# ---- sources ----


@pytest.mark.parametrize("rate", [48000, 44100, 11025])
def test_an_array_is_heard_whatever_its_rate(room: rtc.Room, listener: PythonProcess, rate: int) -> None:
    with room.publish(long_tone(600, rate=rate), name=(stream := name()), rate=rate) as publication:
        assert (publication.rate, publication.channels, publication.state) == (rate, 1, "live")
        hears(listener, stream, 600)
        wait_for(lambda: publication.viewers == 1, 10, "the listener is counted")


def test_both_channels_are_kept_and_int16_is_scaled(room: rtc.Room, listener: PythonProcess) -> None:
    both = np.stack([long_tone(500), long_tone(900)], axis=1)
    with room.publish((both * 32767).astype(np.int16), name=(stream := name()), rate=48000) as publication:
        assert publication.channels == 2
        hears(listener, stream, 500, 900)


def test_a_function_is_called_only_while_somebody_listens(room: rtc.Room, listener: PythonProcess) -> None:
    position = 0

    def play(count: int) -> NDArray[np.float32]:
        nonlocal position
        position += count
        return tone(700, count, position - count)

    with room.publish(play, name=(stream := name()), rate=48000) as publication:
        with room.publish(long_tone(400), name=(other := name()), rate=48000):
            hears(listener, other, 400)
        assert position == 0
        hears(listener, stream, 700)
        assert publication.waiting < 0.5
        listener.run(f"room.audio('ann', {stream!r}).stop()")
        wait_for(lambda: publication.viewers == 0, 20, "nobody listens")
        before = position
        with room.publish(long_tone(400), name=(other := name()), rate=48000):
            hears(listener, other, 400)
        assert position <= before + 4800
        hears(listener, stream, 700)


def blocks() -> Iterator[NDArray[np.float32]]:
    for number in range(80):
        yield tone(300, 2400, number * 2400)


async def later_blocks() -> AsyncIterator[NDArray[np.float32]]:
    for block in blocks():
        await asyncio.sleep(0)
        yield block


@pytest.mark.parametrize("source", [blocks, later_blocks], ids=["generator", "async generator"])
def test_a_generator_plays_at_its_pace_and_ends_its_publication(room: rtc.Room, listener: PythonProcess, source: Any) -> None:
    publication = room.publish(source(), name=(stream := name()), rate=48000)
    hears(listener, stream, 300)
    began = time.monotonic()
    listening = listener.start(f"sum(len(block) for block in room.audio('ann', {stream!r}))")
    wait_for(lambda: publication.state == "ended", 30, "it has ended")
    assert time.monotonic() - began > 1  # of the four seconds that it has
    assert listening.result(20) > 48000
    wait_for(lambda: stream not in listener.run("[s.name for s in room.streams]"), 10, "the others know")


def test_a_stream_goes_back_into_the_room(room: rtc.Room, listener: PythonProcess, bob: PythonProcess) -> None:
    bob.run("tone = (0.4 * np.sin(2 * np.pi * 800 * np.arange(48000 * 60) / 48000)).astype(np.float32)")
    bob.run("published = room.publish(tone, name='from bob', rate=48000)")
    half = room.audio("bob", "from bob").map(lambda block: block * 0.5)
    with room.publish(half, name=(stream := name())) as publication:
        assert bob.run("published.viewers") == 0  # nobody hears what becomes of it
        hears(listener, stream, 800)
        assert publication.rate == 48000
        assert listener.run(f"heard({stream!r})")[2] == pytest.approx(0.2, abs=0.05)
    bob.run("published.stop()")


# ---- write ----


def test_writing_waits_for_the_sound(room: rtc.Room, listener: PythonProcess, pool: ThreadPoolExecutor) -> None:
    with room.publish(np.zeros(0, np.float32), name=(stream := name()), rate=48000) as publication:
        is_silent(listener, stream)
        began = time.monotonic()
        publication.write(long_tone(650, 2))
        assert time.monotonic() - began > 1.2  # half a second may wait
        assert publication.waiting <= 0.6
        publication.wait(timeout=10)
        assert time.monotonic() - began > 1.8
        writer = pool.submit(publication.write, long_tone(750, 20))
        hears(listener, stream, 750)
        with pytest.raises(rtc.RTCTimeout):
            publication.wait(timeout=0.1)
        assert publication.stats().packets > 10
        assert publication.stats().played > 2
    tries: list[Callable[[], None]] = [lambda: writer.result(5), lambda: publication.write(np.zeros(10))]
    for late in tries:
        with pytest.raises(rtc.RTCError, match="stopped"):
            late()


def test_time_passes_without_listeners_too(room: rtc.Room) -> None:
    with room.publish(long_tone(400, 1), name=name(), rate=48000) as publication:
        publication.wait(timeout=10)
        assert publication.stats().packets == 0


# ---- faults ----


def test_a_source_that_raises_is_told_once_and_there_is_silence(
    room: rtc.Room, listener: PythonProcess, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    errors: list[BaseException] = []
    room.on("error", errors.append)
    position = 0

    def play(count: int) -> Any:
        nonlocal position
        if broken.is_set():
            raise ZeroDivisionError("a test")
        position += count
        return tone(700, count, position - count)

    with caplog.at_level(logging.ERROR), room.publish(play, name=(stream := name()), rate=48000) as publication:
        hears(listener, stream, 700)
        broken.set()
        is_silent(listener, stream)
        assert publication.state == "live"
        broken.clear()
        hears(listener, stream, 700)
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert caplog.text.count("ZeroDivisionError: a test") == 1


@pytest.mark.parametrize(
    ("source", "options", "error", "words"),
    [
        (np.zeros(10), {}, TypeError, "rate=48000"),
        (np.zeros(10), {"rate": 100}, ValueError, "8000 to 192000"),
        (np.zeros(10), {"rate": 48000.5}, TypeError, "whole number"),
        (np.zeros(10), {"rate": 48000, "fps": 30}, TypeError, "leave them out"),
        (np.zeros(10), {"rate": 48000, "bitrate": 10}, ValueError, "6000 to 510000"),
        (np.zeros((2, 100)), {"rate": 48000}, ValueError, "transpose"),
        (np.zeros(10, int), {"rate": 48000}, TypeError, "int16"),
        ([0.0], {"rate": 48000}, TypeError, "np.array"),
        (None, {"rate": 48000}, TypeError, "publish with a rate takes"),
    ],
)
def test_what_cannot_be_played_is_an_error_that_says_what_to_do(
    room: rtc.Room, source: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        room.publish(source, name=name(), **options)


def test_a_name_stays_with_its_kind(room: rtc.Room) -> None:
    stream = name()
    with room.publish(np.zeros(10), name=stream, rate=48000), pytest.raises(rtc.RTCError, match="take another name"):
        room.publish(np.zeros((20, 20)), name=stream)


def test_what_a_source_gives_cannot_be_written_to(room: rtc.Room) -> None:
    publication = room.publish(lambda count: np.zeros(count), name=name(), rate=48000)
    with publication, pytest.raises(TypeError, match="from its source"):
        publication.write(np.zeros(10))


def test_a_name_in_use_is_replaced_and_listeners_stay(room: rtc.Room, listener: PythonProcess) -> None:
    stream = name()
    first = room.publish(long_tone(500), name=stream, rate=48000)
    hears(listener, stream, 500)
    with room.publish(long_tone(950), name=stream, rate=48000) as second:
        hears(listener, stream, 950)
        assert first.state == "ended"
        wait_for(lambda: second.viewers == 1, 10, "the listener is counted")


def test_many_publications_leave_nothing(room: rtc.Room) -> None:
    before = threading.active_count()
    for _ in range(20):
        room.publish(long_tone(500, 1), name="again and again", rate=48000).stop()
    wait_for(lambda: threading.active_count() == before, 10, "the threads are gone")
