"""Publishing and stopping again and again, seen and heard each time, leaves nothing in any of the processes (test process)."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.engine_client import engines
from tests.kernel.rooms import engine_pids
from tests.kernel.test_leaks import held
from tests.python_process import PythonProcess
from tests.support import wait_for

MB = 1 << 20
CYCLES = [20, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
POOL = min(32, (os.cpu_count() or 1) + 4)
"""Threads of an engine's pool, which asyncio starts when several have work at once, and keeps."""
MOST_GROWTH = 48
"""MB of a process over all cycles: allocators keep some, and codecs have caches. A ring that stays has 22 each time."""

WATCH = "def watch(name): room.video('ann', name).latest(timeout=20); room.video('ann', name).stop()"
LISTEN = "def listen(name): room.audio('ann', name).read(0.1, timeout=20); room.audio('ann', name).stop()"
HELD = "import os, threading; held = lambda: [threading.active_count(), len(os.listdir('/proc/self/fd'))]"


_numbers = itertools.count(1)


def pictures(room: rtc.Room, viewer: PythonProcess) -> None:
    name = f"again and again {next(_numbers)}"  # of the one before the viewer may not know yet that it has ended
    with room.publish(lambda: np.full((720, 1280, 3), 100, np.uint8), name=name):
        viewer.run(f"watch({name!r})")


def sound(room: rtc.Room, viewer: PythonProcess) -> None:
    name = f"again and again {next(_numbers)}"
    with room.publish(lambda count: np.zeros(count), name=name, rate=48000):
        viewer.run(f"listen({name!r})")


class Everything:
    """What kernel, engine and viewer hold."""

    def __init__(self, viewer: PythonProcess) -> None:
        (pid,) = engine_pids()
        self._engine, self._kernel, self._viewer = psutil.Process(pid), psutil.Process(), viewer

    def counts(self) -> list[Any]:
        return [held(), self._engine.num_fds(), self._viewer.run("held()")]

    def threads(self) -> int:
        """Of the engine, with those of asyncio's pool, which grows for a while."""
        return self._engine.num_threads()

    def sizes(self) -> list[int]:
        """MB of kernel, engine, and the shared memory that both have; without what the kernel's allocator keeps for each thread
        that there was."""
        with contextlib.suppress(AttributeError):  # glibc's
            ctypes.CDLL(None).malloc_trim(0)
        client = engines._client
        assert client is not None
        shared = os.fstat(client.memory).st_blocks * 512
        return [self._kernel.memory_info().rss // MB, self._engine.memory_info().rss // MB, shared // MB]


@pytest.mark.parametrize("cycles", CYCLES)
@pytest.mark.parametrize("cycle", [pictures, sound])
def test_cycles_leave_nothing(
    room: rtc.Room, bob: PythonProcess, cycle: Callable[[rtc.Room, PythonProcess], None], cycles: int
) -> None:
    bob.run(f"{HELD}\n{WATCH}\n{LISTEN}")
    for _ in range(10):  # caches, m-lines, threads of pools
        cycle(room, bob)
    everything = Everything(bob)
    settled(everything)
    counts, sizes, threads = everything.counts(), everything.sizes(), everything.threads()
    for _ in range(cycles):
        cycle(room, bob)
    wait_for(lambda: everything.counts() == counts, 30, f"what is held is as before:\n{counts}\n{everything.counts()}")
    wait_for(lambda: everything.threads() - threads <= min(POOL, cycles // 2), 30, "the engine's threads end")
    now = everything.sizes()
    print(f"{cycle.__name__}, {cycles} cycles: kernel, engine, shared memory in MB {sizes} -> {now}")
    assert [after - before <= MOST_GROWTH for before, after in zip(sizes, now, strict=True)] == [True] * 3


def settled(everything: Everything) -> None:
    """Until what the last cycle began has ended."""
    last: list[Any] = []

    def same() -> bool:
        before, last[:] = list(last), everything.counts()
        return before == last

    wait_for(same, 30, "nothing changes any more")
