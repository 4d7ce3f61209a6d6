"""Synthetic streams, and rooms of the session's server, that end with their test (test process)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.engine_client import engines
from forge_rtc_nb.kernel.joining import joined
from forge_rtc_nb.kernel.streams import VideoStream
from tests.kernel.others import another_kernel
from tests.kernel.rooms import Join, engine_pids
from tests.python_process import PythonProcess
from tests.support import JupyterProcess, wait_for

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


@pytest.fixture(scope="module")
def room(jupyter: JupyterProcess) -> Iterator[rtc.Room]:
    """A room of the module's own, as ann's kernel has it, which is this process."""
    with rtc.join(f"room-{secrets.token_hex(4)}", server=jupyter.url, token=jupyter.token, name="ann") as room:
        yield room


@pytest.fixture(scope="module")
def bob(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[PythonProcess]:
    """Another kernel in that room."""
    with another_kernel(jupyter, room.id) as bob:
        room.wait_for("bob")
        yield bob


@pytest.fixture
def room_id() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
def no_room_is_left() -> Iterator[None]:
    """Rooms are left at the end of the test; it begins without an engine, which a stream that was read lately keeps a while."""
    wait_for(lambda: not engine_pids(), 30, "the engine of the tests before ends")
    yield
    for room in joined.rooms():
        room.leave()


@pytest.fixture
def join(jupyter: JupyterProcess) -> Join:
    """`rtc.join` on the session's server."""
    return lambda room_id, **options: rtc.join(room_id, server=jupyter.url, token=jupyter.token, **options)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def open_views() -> int:
    """Rings that this kernel reads."""
    return len(engines._client._views) if engines._client is not None else 0
