"""Sound in shared memory: what was written comes out whole and in order, or is known to be gone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_rtc_nb.ring import REGIONS, create_memory
from forge_rtc_nb.samples import CAPACITY, SampleReader, SampleWriter

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
FIXTURES = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def memory() -> Iterator[int]:
    fd = create_memory()
    yield fd
    os.close(fd)


def ramp(start: int, count: int, channels: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Sample number ``n`` has the value ``n``, negative in the second channel."""
    numbers = np.arange(start, start + count, dtype=np.float32)
    return np.stack([numbers, -numbers][:channels], axis=1)


@settings(max_examples=int(30 * FUZZ), deadline=None, suppress_health_check=FIXTURES)
@given(st.lists(st.integers(0, 5000), max_size=20), st.integers(1, 2), st.integers(0, REGIONS - 1))
def test_what_is_written_comes_out(memory: int, sizes: list[int], channels: int, region: int) -> None:
    writer = SampleWriter(memory, region, 48000, channels)
    reader = SampleReader(memory, region)
    assert (reader.rate, reader.channels, reader.head) == (48000, channels, 0)
    for size in sizes:
        writer.write(ramp(writer.head, size, channels), 100.0 + writer.head / 48000)
    assert reader.head == sum(sizes)
    whole = reader.copy(0, reader.head)
    assert whole is not None
    assert (whole == ramp(0, sum(sizes), channels)).all()
    if sizes:
        assert reader.time_of(480) == pytest.approx(100.01)
    writer.close()
    reader.close()


def test_the_circle_closes_and_what_is_overwritten_is_known_to_be_gone(memory: int) -> None:
    writer, reader = SampleWriter(memory, 0, 48000, 1), SampleReader(memory, 0)
    step = CAPACITY // 3
    for _ in range(4):
        writer.write(ramp(writer.head, step), 0.0)
    assert reader.first == 4 * step - CAPACITY
    assert reader.copy(reader.first - 1, 10) is None
    across = reader.copy(CAPACITY - 5, 10)
    assert across is not None
    assert (across == ramp(CAPACITY - 5, 10)).all()
    assert reader.copy(reader.head - 5, 10) is None  # not there yet


def test_more_at_once_than_there_is_room_for_leaves_the_newest(memory: int) -> None:
    writer, reader = SampleWriter(memory, 0, 48000, 1), SampleReader(memory, 0)
    writer.write(ramp(0, 7), 0.0)
    writer.write(ramp(7, CAPACITY + 100), 0.0)
    assert reader.first == 107
    newest = reader.copy(reader.head - 50, 50)
    assert newest is not None
    assert (newest == ramp(CAPACITY + 57, 50)).all()
    assert reader.copy(107, CAPACITY) is not None


def test_the_reader_is_told_once_until_it_has_looked(memory: int) -> None:
    writer, reader = SampleWriter(memory, 0, 48000, 1), SampleReader(memory, 0)
    assert writer.write(ramp(0, 1), 0.0)
    assert not writer.write(ramp(1, 1), 0.0)
    reader.acknowledge()
    assert writer.write(ramp(2, 1), 0.0)


def test_the_writer_learns_what_was_taken_and_a_region_begins_anew(memory: int) -> None:
    writer, reader = SampleWriter(memory, 5, 44100, 2), SampleReader(memory, 5)
    writer.write(ramp(0, 100, 2), 0.0)
    reader.take(60)
    assert writer.taken == 60
    reader.close()
    writer.close()
    writer, reader = SampleWriter(memory, 5, 8000, 1), SampleReader(memory, 5)
    assert (reader.head, reader.taken, reader.rate, reader.channels) == (0, 0, 8000, 1)
    assert reader.copy(0, 0) is not None
