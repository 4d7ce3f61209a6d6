"""Engines that are killed in the middle of a message, on either side (test process)."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.arena import Arena
from tests.kernel.others import IN_USE, another_kernel, open_everywhere
from tests.python_process import PythonProcess, RemoteError
from tests.support import JupyterProcess, wait_for

LARGE = 30_000_000
"""Bytes that take seconds."""


def kill_engine_of(pid: int) -> None:
    for child in psutil.Process(pid).children():
        if "forge_rtc_nb.engine" in child.cmdline():
            child.kill()


def in_use(arena: Arena) -> int:
    """Bytes of memory that a kernel and its engine share, and that have pages."""
    return 512 * os.fstat(arena._fd).st_blocks


@pytest.fixture
def room(jupyter: JupyterProcess, room_id: str) -> Iterator[rtc.Room]:
    with rtc.join(room_id, server=jupyter.url, token=jupyter.token, name="ann") as room:
        yield room


@pytest.fixture
def bob(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[PythonProcess]:
    """The one whose engine is killed."""
    with another_kernel(jupyter, room.id) as bob:
        bob.run(IN_USE)
        yield bob


def come_back(bob: PythonProcess, channel: rtc.Channel) -> None:
    bob.run("room = rtc.join(room_id, server=server, token=token, name='bob again')")
    bob.run(f"ch = room.channel({channel.name!r}); wait_for(lambda: any(p.name == 'ann' for p in ch.participants))")
    wait_for(lambda: any(p.name == "bob again" for p in channel.participants), what="bob is back")


def test_a_sender_whose_engine_dies_is_told_and_the_receiver_keeps_nothing(room: rtc.Room, bob: PythonProcess) -> None:
    arena = room._data.client.arena
    channel = open_everywhere(room, bob)
    sending = bob.start(f"ch.send(np.ones({LARGE}, np.uint8), progress=False)")
    wait_for(lambda: in_use(arena) > 1_000_000, what="the message is on its way")
    kill_engine_of(bob.pid)
    with pytest.raises(RemoteError, match="EngineDied"):
        sending.result(10)
    come_back(bob, channel)
    bob.run("ch.send('the next one', to='ann')")
    assert channel.recv() == "the next one"
    wait_for(lambda: in_use(arena) < 100_000, 30, what="what had come of it is given back")


@pytest.mark.soak
def test_a_receiver_whose_engine_dies_is_named_and_the_others_have_it(
    jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess
) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        channel = open_everywhere(room, bob, carol)

        def kill() -> None:
            bob.run("wait_for(lambda: in_use() > 1_000_000, what='the message is on its way')")
            kill_engine_of(bob.pid)

        killing = threading.Thread(target=kill)
        killing.start()
        reading = carol.start("int(ch.recv(60).sum())")
        with pytest.raises(rtc.SendTimeout, match="by 'bob'") as raised:
            channel.send(np.ones(LARGE, np.uint8), timeout=12, progress=False)
        killing.join()
        assert "carol" not in str(raised.value)
        assert reading.result(30) == LARGE
        with contextlib.suppress(RemoteError):
            bob.run("room.leave()")
        come_back(bob, channel)
        channel.send("to both", to=["bob again", "carol"])
        assert bob.run("ch.recv()") == carol.run("ch.recv()") == "to both"
