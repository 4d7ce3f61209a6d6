"""Joining, reading and leaving many times leaves nothing behind, nor does an engine that is killed in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.errors import EngineDied
from forge_rtc_nb.kernel.engine_client import engines
from tests.kernel.tabs import running_tab
from tests.support import JupyterProcess, wait_for

ROUNDS = 20


def held() -> dict[str, object]:
    """What this process holds that the operating system knows of."""
    gc.collect()
    me = psutil.Process()
    folder = f"/proc/{me.pid}/fd"
    kinds: Counter[str] = Counter()
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            kinds[os.readlink(f"{folder}/{fd}").split(":")[0]] += 1
    with open(f"/proc/{me.pid}/maps") as maps:
        rings = sum("forge_rtc_nb" in line and "memfd" in line for line in maps)
    return {
        "children": sorted(child.pid for child in me.children(recursive=True)),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": kinds,
        "rings": rings,
        "shared memory": sorted(os.listdir("/dev/shm")),
    }


def assert_back_at(start: dict[str, object]) -> None:
    try:
        wait_for(lambda: held() == start, 10, "everything is given back")
    except AssertionError as error:
        raise AssertionError(f"{error}\nat the start {start}\nnow          {held()}") from None


@pytest.fixture
def room_id() -> str:
    return f"leak-{secrets.token_hex(4)}"


@pytest.fixture
def url(jupyter: JupyterProcess) -> str:
    return f"{jupyter.url}?token={jupyter.token}"


@pytest.fixture
def start(url: str) -> Iterator[dict[str, object]]:
    """What is held after one round: caches and lazily started threads are no leak."""
    one_round(url, f"warm-{secrets.token_hex(4)}")
    yield held()
    assert engines._client is None or not engines._client.alive


def one_round(url: str, room_id: str) -> None:
    room = rtc.join(room_id, server=url)
    room.on("joined", print)
    stream = rtc.synthetic((240, 320), 60)
    frames, _ = stream.take(3)
    assert frames.shape == (3, 240, 320, 3)
    asyncio.run(stream.aread())
    for frame in stream.frames("drop_oldest", format="gray"):
        assert frame.array.shape == (240, 320)
        break
    stream.stop()
    room.leave()


def test_join_frames_leave(url: str, room_id: str, start: dict[str, object]) -> None:
    for _ in range(ROUNDS):
        one_round(url, room_id)
    assert_back_at(start)


def test_streams_that_nobody_stops(url: str, room_id: str, start: dict[str, object]) -> None:
    for _ in range(3):
        with rtc.join(room_id, server=url):
            frames = iter(rtc.synthetic((240, 320), 60))
            next(frames)
            del frames
    assert_back_at(start)


def test_joining_again_and_again_without_leaving(url: str, room_id: str, start: dict[str, object]) -> None:
    rooms = [rtc.join(room_id, server=url) for _ in range(ROUNDS)]
    assert len({room.me.id for room in rooms[-1:]}) == 1
    rooms[-1].leave()
    assert_back_at(start)


def test_an_engine_that_is_killed_while_it_is_read(url: str, room_id: str, start: dict[str, object]) -> None:
    for _ in range(10):
        room = rtc.join(room_id, server=url)
        stream = rtc.synthetic((240, 320), 60)
        frames = iter(stream)
        next(frames)
        assert engines._client is not None
        os.kill(engines._client.pid, signal.SIGKILL)
        with pytest.raises(EngineDied):
            for _ in frames:
                pass
        wait_for(lambda: room.state == "closed", what="the room is closed")  # noqa: B023
        stream.stop()
        room.leave()
    assert_back_at(start)


def test_video_over_a_connection(jupyter: JupyterProcess, url: str, room_id: str, start: dict[str, object]) -> None:
    with running_tab(jupyter, room_id) as tab:

        def one_frame() -> None:
            with rtc.join(room_id, server=url) as room:
                assert room.video(tab.id).latest().array.shape == (240, 320, 3)

        one_frame()
        wait_for(lambda: tab.connections == 0, what="the tab closes its side")
        during = held()
        for _ in range(5):
            one_frame()
        wait_for(lambda: tab.connections == 0, what="the tab closes its side")
        assert_back_at(during)
    assert_back_at(start)


def test_refused_joins(jupyter: JupyterProcess, room_id: str, start: dict[str, object]) -> None:
    for _ in range(5):
        with pytest.raises(rtc.RTCError):
            rtc.join(room_id, server=f"{jupyter.url}?token=wrong")
        with pytest.raises(rtc.RTCError):
            rtc.join(room_id, server="http://127.0.0.1:1/")
    assert_back_at(start)
