"""A forked child of the kernel: clear errors, nothing of its parent's disturbed, and an engine of its own if it wants one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator

import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb import control
from forge_rtc_nb.kernel.engine_client import EngineClient, engines
from forge_rtc_nb.kernel.joining import joined
from forge_rtc_nb.kernel.streams import VideoStream
from tests.support import JupyterProcess


@pytest.fixture
def client() -> Iterator[EngineClient]:
    client = engines.acquire()
    yield client
    client.release()


@pytest.fixture
def stream() -> Iterator[VideoStream]:
    stream = rtc.synthetic((96, 128), 60)
    yield stream
    stream.stop()


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` returns in a forked child; the parent's threads are not there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            os.write(write, text.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def test_a_forked_child_gets_a_clear_error_and_the_parent_reads_on(client: EngineClient, stream: VideoStream) -> None:
    frames = iter(stream)
    next(frames)

    def use() -> str:
        client.request(lambda req: control.Leave(req, "r"), 5)
        return "answered"

    assert in_child(use).startswith("RTCError: a forked child process cannot use")
    assert in_child(lambda: str(next(frames))).startswith("RTCError: a forked child process cannot use")

    def leave() -> str:
        frames.close()
        stream.stop()
        client.close()
        client.release()
        return "done"

    assert in_child(leave) == "done"
    assert next(frames).array.any()
    assert client.alive


def test_a_forked_child_is_in_none_of_its_parents_rooms(jupyter: JupyterProcess) -> None:
    with rtc.join(f"fork-{secrets.token_hex(4)}", server=f"{jupyter.url}?token={jupyter.token}") as room:
        room.on("left", print)
        for use in (
            lambda: str(room.participants),
            lambda: room.me.name,
            lambda: str(room.wait_for(1)),
            lambda: str(room.camera),
            lambda: str(room.on("joined", print)),
        ):
            assert in_child(use).startswith("RTCError: a forked child process cannot use")

        def leave() -> str:
            room.leave()
            return str(joined.rooms())

        assert in_child(leave) == "[]"
        assert room.wait_for(1)[0].id == room.me.id
        assert room.state == "joined"


def test_a_forked_child_may_start_an_engine_of_its_own(client: EngineClient) -> None:
    def use() -> str:
        own = rtc.synthetic((96, 128), 60)
        shape = own.latest().array.shape
        assert engines._client is not None
        pid = engines._client.pid
        own.stop()
        return f"{shape} {pid != client.pid} {psutil.pid_exists(pid)}"

    assert in_child(use) == "(96, 128, 3) True False"
    assert client.alive
