"""Servers that end idle kernels: one that takes frames is not idle, one that only sits in a room is (test process)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.kernel.tabs import running_tab
from tests.remote_kernel import RemoteKernel
from tests.server.client import eventually_listed
from tests.support import JupyterProcess, wait_for

IDLE = 6
"""Seconds after which the server ends a kernel; enough for one to start on a busy machine."""

READ = """
import threading
import forge_rtc_nb as rtc
import forge_rtc_nb.kernel.activity
forge_rtc_nb.kernel.activity.INTERVAL = 1
cam = rtc.synthetic(size=(96, 128))
def read():
    for frame in cam: pass
threading.Thread(target=read, daemon=True).start()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JupyterProcess]:
    culling = {"cull_idle_timeout": IDLE, "cull_interval": 1, "cull_connected": True}
    with JupyterProcess(tmp_path, arguments=tuple(f"--MappingKernelManager.{k}={v}" for k, v in culling.items())) as server:
        yield server


def last_activity(server: JupyterProcess, kernel: RemoteKernel) -> float | None:
    """Unix seconds; None where the kernel has ended."""
    times = [entry["last_activity"] for entry in server.kernels() if entry["id"] == kernel.id]
    return datetime.fromisoformat(times[0]).timestamp() if times else None


def is_culled(server: JupyterProcess, kernel: RemoteKernel) -> None:
    wait_for(lambda: last_activity(server, kernel) is None, 3 * IDLE, "an idle kernel is ended")


def test_who_reads_is_active_and_who_only_sits_in_a_room_is_not(server: JupyterProcess, room_id: str) -> None:
    with (
        running_tab(server, room_id) as tab,
        RemoteKernel(server.url, server.token) as reading,
        RemoteKernel(server.url, server.token) as sitting,
    ):
        reading.run(READ)
        start = last_activity(server, reading)
        assert start is not None
        sitting.run(f"import forge_rtc_nb as rtc; room = rtc.join({room_id!r})")
        sitting.run(f"frame = room.video({tab.id!r}).latest(timeout=20)")
        is_culled(server, sitting)
        eventually_listed(server, room_id, 1)

        def outlived() -> bool:
            now = last_activity(server, reading)
            assert now is not None, "a kernel that reads was ended"
            return now > start + 2 * IDLE

        wait_for(outlived, 3 * IDLE, "the server hears of a reading kernel")
        reading.run("cam.stop()")
        is_culled(server, reading)
