"""A tab's microphone as a notebook reads it: real server, real engine, real Opus; aiortc in the place of Chromium."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import forge_rtc_nb as rtc
from tests.engine.tones import frequency_of
from tests.kernel.tabs import RunningTab, running_tab
from tests.support import JupyterProcess, wait_for

TONE = 800.0


@pytest.fixture(scope="module")
def room(jupyter: JupyterProcess) -> Iterator[rtc.Room]:
    with rtc.join(f"audio-{secrets.token_hex(4)}", server=f"{jupyter.url}?token={jupyter.token}", name="kernel") as room:
        yield room


@pytest.fixture(scope="module")
def tab(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[RunningTab]:
    """A tab of this kernel's notebook with its camera and its microphone on."""
    with running_tab(jupyter, room.id, owners=[room.me.id], tone=TONE) as tab:
        room.wait_for(tab.id)
        room.microphone.read(0.1)  # the first packets of a connection may be lost
        yield tab


def is_tone(samples: NDArray[np.float32], frequency: float = TONE) -> bool:
    return abs(frequency_of(samples[:, 0]) - frequency) < 30


def test_the_microphone_by_name_and_as_ones_own(room: rtc.Room, tab: RunningTab) -> None:
    for stream in (room.microphone, room.audio("tab"), room.audio(tab.id, "microphone")):
        samples = stream.read(0.2)
        assert (samples.shape, samples.dtype.name) == ((9600, 1), "float32")
        assert is_tone(samples)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=0.1)
    assert room.microphone is room.microphone


def test_reads_follow_each_other_without_a_gap(room: rtc.Room, tab: RunningTab) -> None:
    stream = room.microphone
    parts = [stream.read(seconds) for seconds in (0.1, 0.033, 0.2, 0.007)]
    whole = np.concatenate(parts)[:, 0]
    assert [len(part) for part in parts] == [4800, 1584, 9600, 336]
    # A tone that is whole has no sample far from what the two before it say.
    expected = 2 * np.cos(2 * np.pi * TONE / stream.rate) * whole[1:-1] - whole[:-2]
    assert np.abs(expected - whole[2:]).max() < 0.02
    assert stream.dropped == 0
    assert 0 <= stream.latency < 2
    assert abs(time.time() - stream.time) < 5


def test_blocks_are_consecutive_in_loops_of_both_kinds(room: rtc.Room, tab: RunningTab) -> None:
    blocks = list(itertools.islice(room.microphone, 10))
    assert [block.shape for block in blocks] == [(960, 1)] * 10
    assert is_tone(np.concatenate(blocks))

    async def listen() -> NDArray[np.float32]:
        heard = []
        async for block in room.microphone:
            heard.append(block)
            if len(heard) == 10:
                break
        return np.concatenate([*heard, await room.microphone.aread(0.1)])

    assert is_tone(asyncio.run(listen()))


def test_what_is_asked_for_must_be_a_time(room: rtc.Room, tab: RunningTab) -> None:
    with pytest.raises(TypeError, match="seconds"):
        room.microphone.read("1")  # type: ignore[arg-type]
    for seconds in (0, -1, 1e9):
        with pytest.raises(ValueError, match="seconds"):
            room.microphone.read(seconds)


def test_who_is_not_there_is_an_error_that_says_what_to_do(room: rtc.Room, tab: RunningTab) -> None:
    with pytest.raises(rtc.StreamNotFound, match="'nobody'"):
        room.audio("nobody").read(0.1, timeout=0)
    with pytest.raises(rtc.StreamNotFound, match="no audio stream 'flute'.*microphone"):
        room.audio("tab", "flute").read(0.1, timeout=0)


def test_without_a_microphone_the_error_names_the_button(jupyter: JupyterProcess, room: rtc.Room) -> None:
    with rtc.join(f"{room.id}-2", server=jupyter.url, token=jupyter.token) as other:
        with pytest.raises(rtc.StreamNotFound, match="Microphone"):
            other.microphone.read(0.1, timeout=0)
        with running_tab(jupyter, other.id, owners=[other.me.id]) as silent:
            other.wait_for(silent.id)
            with pytest.raises(rtc.StreamNotFound, match="no microphone is on: click Microphone"):
                other.microphone.read(0.1, timeout=0)


# ---- map ----


def test_a_function_makes_other_sound_of_it(room: rtc.Room, tab: RunningTab) -> None:
    mapped = room.microphone.map(lambda block: block * 0.5)
    samples = mapped.read(0.2)
    assert samples.shape == (9600, 1)
    assert is_tone(samples)
    assert np.abs(samples).max() == pytest.approx(0.25, abs=0.05)
    mapped.fn = lambda block: np.hstack([block, block * 0])
    wait_for(lambda: mapped.read(0.1).shape == (4800, 2), what="the other function")
    assert len(list(itertools.islice(mapped.map(lambda block: block.mean(axis=1)), 5))) == 5


def test_a_block_is_made_once_for_all_who_read(room: rtc.Room, tab: RunningTab) -> None:
    starts: list[float] = []

    def note(block: NDArray[np.float32]) -> NDArray[np.float32]:
        starts.append(float(block[0, 0]))
        return block

    mapped = room.microphone.map(note)
    first, second = iter(mapped), iter(mapped)
    for _ in range(10):
        assert len(next(first)) == len(next(second)) == 960
    assert len(starts) <= 12


def test_a_function_that_fails_is_told_once_and_there_is_silence(
    room: rtc.Room, tab: RunningTab, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException] = []
    room.on("error", errors.append)
    mapped = room.microphone.map(lambda block: 1 / 0)
    with caplog.at_level(logging.ERROR):
        assert not mapped.read(0.2).any()
    wait_for(lambda: errors, what="it is told")
    mapped.fn = lambda block: block[:-1]
    assert not mapped.read(0.1).any()
    wait_for(lambda: len(errors) == 2, what="it is told")
    assert [type(error) for error in errors] == [ZeroDivisionError, ValueError]
    assert "return as many" in str(errors[1])
    assert caplog.text.count("ZeroDivisionError") == 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [(np.zeros((2, 960)), "transpose"), (np.zeros(960, int), "int16"), (np.full(960, np.nan), "finite"), (None, "floats")],
)
def test_what_is_no_sound_is_an_error_that_says_so(room: rtc.Room, tab: RunningTab, bad: Any, words: str) -> None:
    errors: list[BaseException] = []
    room.on("error", errors.append)
    room.microphone.map(lambda block: bad).read(0.02)
    wait_for(lambda: errors, what="it is told")
    assert words in str(errors[0])


# ---- everybody ----


def strongest(samples: NDArray[np.float32], frequency: float) -> float:
    """How loud one frequency is in the left channel, from 0 to 1."""
    at = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / 48000)
    return float(2 * abs((samples[:, 0] * at).mean()))


def test_everybody_is_heard_in_the_mix_and_who_comes_and_goes(jupyter: JupyterProcess, room: rtc.Room, tab: RunningTab) -> None:
    everybody = room.audio()
    assert room.audio() is everybody
    samples = everybody.read(0.5)
    assert samples.shape == (24000, 2)
    wait_for(lambda: strongest(everybody.read(0.2), TONE) > 0.3, 10, "the first is heard")
    with running_tab(jupyter, room.id, tone=1900) as other:
        room.wait_for(other.id)

        def both() -> bool:
            heard = everybody.read(0.2)
            return strongest(heard, TONE) > 0.3 and strongest(heard, 1900) > 0.3

        wait_for(both, 20, "both are heard")
        assert np.abs(everybody.read(0.2)).max() <= 1.0
    wait_for(lambda: strongest(everybody.read(0.2), 1900) < 0.01, 20, "the second is gone")
    wait_for(lambda: strongest(everybody.read(0.2), TONE) > 0.3, 10, "the first is heard still")
    with pytest.raises(ValueError, match="say who"):
        room.audio(stream="microphone")


def test_the_mix_of_nobody_is_silence_and_ends_with_the_room(jupyter: JupyterProcess) -> None:
    with rtc.join(f"alone-{secrets.token_hex(4)}", server=jupyter.url, token=jupyter.token) as alone:
        everybody = alone.audio()
        assert not everybody.read(0.1).any()
    with pytest.raises(rtc.NotInRoom):
        everybody.read(0.1)
    wait_for(lambda: "forge-rtc-mix" not in [thread.name for thread in threading.enumerate()], 10, "its thread ends")


# ---- the end ----


def test_stopping_ends_loops_and_leaving_ends_the_tab(jupyter: JupyterProcess, room: rtc.Room) -> None:
    with running_tab(jupyter, room.id, tone=300) as other:
        room.wait_for(other.id)
        stream = room.audio(other.id)
        heard: list[int] = []
        loop = threading.Thread(target=lambda: heard.extend(len(block) for block in stream))
        loop.start()
        wait_for(lambda: heard, what="sound")
        stream.stop()
        loop.join(10)
        assert not loop.is_alive()
        assert is_tone(stream.read(0.1), 300)
        threading.Timer(0.2, other.leave).start()
        with pytest.raises(rtc.StreamNotFound):
            stream.read(60, timeout=0.2)
        with pytest.raises(rtc.StreamNotFound):
            stream.read(0.1, timeout=0)
