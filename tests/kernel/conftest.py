"""Synthetic streams that end with their test (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.engine_client import engines
from forge_rtc_nb.kernel.streams import VideoStream

Make = Callable[..., VideoStream]


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[None]:
    """Starting an engine takes a third of a second: all tests of a module share one."""
    client = engines.acquire()
    yield
    client.release()


@pytest.fixture
def make() -> Iterator[Make]:
    """`rtc.synthetic`, small and quick, stopped at the end of the test."""
    streams: list[VideoStream] = []

    def synthetic(size: tuple[int, int] = (96, 128), fps: float = 60) -> VideoStream:
        streams.append(rtc.synthetic(size, fps))
        return streams[-1]

    yield synthetic
    for stream in streams:
        stream.stop()


def open_views() -> int:
    """Rings that this kernel reads."""
    return len(engines._client._views) if engines._client is not None else 0
