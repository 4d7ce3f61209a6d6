"""Nothing is left behind: processes, threads, descriptors, shared memory, sockets (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.lab import NotebookPage
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

OpenNotebook = Callable[..., NotebookPage]

COUNT = """
import gc, os, threading, psutil
def count():
    gc.collect()
    me = psutil.Process()
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
    return {"children": len(me.children(recursive=True)), "threads": threading.active_count(),
            "descriptors": len(links), "memory": sum("memfd:forge" in link for link in links),
            "maps": sum("forge_rtc_nb (deleted)" in line for line in open("/proc/self/maps")),
            "shm": sum("chromium" not in name for name in os.listdir("/dev/shm"))}  # which other tests have, too
"""
ROUND = """
room = rtc.join({room_id!r}, name="reader")
frame = room.video({tab!r}).latest(timeout=20)
assert frame.array.shape == (720, 1280, 3)
room.leave()
"""


@pytest.fixture
def tab(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> str:
    """A tab in the room with its camera on; its participant id."""
    notebook = open_notebook(context, ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r})\nroom"])
    notebook.run_all()
    participant = notebook.room_joined()
    notebook.switch_camera_on()
    return participant


@pytest.fixture
def kernel(jupyter: JupyterProcess) -> Iterator[RemoteKernel]:
    with RemoteKernel(jupyter.url, jupyter.token) as running:
        running.run("import forge_rtc_nb as rtc")
        running.run(COUNT)
        yield running


def participants(jupyter: JupyterProcess, room_id: str) -> int:
    return len(jupyter.request("GET", f"forge-rtc/api/rooms/{room_id}")["participants"])


def often(few: int, many: int) -> pytest.MarkDecorator:
    """So often in CI, and as often as promised in `make soak`."""
    return pytest.mark.parametrize("times", [few, pytest.param(many, marks=pytest.mark.soak)])


@often(20, 50)
def test_many_times_join_frames_leave(
    kernel: RemoteKernel, jupyter: JupyterProcess, tab: str, room_id: str, times: int
) -> None:
    play = ROUND.format(room_id=room_id, tab=tab)
    kernel.run(play)  # what is imported once is no leak
    before, others = kernel.evaluate("count()"), participants(jupyter, room_id)
    server_before = _descriptors(jupyter.pid)
    for _ in range(times):
        kernel.run(play)
    assert wait_for(lambda: kernel.evaluate("count()") == before, what=f"back to {before}: {kernel.evaluate('count()')}")
    assert participants(jupyter, room_id) == others
    wait_for(lambda: _descriptors(jupyter.pid) <= server_before, what=f"the server's {server_before} descriptors")


@often(4, 10)
def test_many_times_a_killed_engine(kernel: RemoteKernel, tab: str, room_id: str, times: int) -> None:
    play = ROUND.format(room_id=room_id, tab=tab)
    kernel.run(play)
    before = kernel.evaluate("count()")
    for _ in range(times):
        kernel.run(f"room = rtc.join({room_id!r}, name='reader'); cam = room.video({tab!r}); cam.latest(timeout=20)")
        died = kernel.run(
            "import signal\nfrom forge_rtc_nb.kernel.engine_client import engines\n"
            "os.kill(engines._client.pid, signal.SIGKILL)\n"
            "try:\n    while True: cam.read(timeout=10)\nexcept rtc.EngineDied as error: print(error)"
        )
        assert "SIGKILL" in died
    kernel.run("del room, cam")
    kernel.run(play)
    wait_for(lambda: kernel.evaluate("count()") == before, what=f"back to {before}: {kernel.evaluate('count()')}")


@often(3, 10)
def test_many_times_a_killed_kernel(jupyter: JupyterProcess, tab: str, room_id: str, times: int) -> None:
    import psutil

    others = participants(jupyter, room_id)
    server = psutil.Process(jupyter.pid)
    processes = len(server.children(recursive=True))
    for _ in range(times):
        with RemoteKernel(jupyter.url, jupyter.token) as kernel:
            kernel.run(f"import forge_rtc_nb as rtc; room = rtc.join({room_id!r}, name='reader')")
            kernel.run(f"room.video({tab!r}).latest(timeout=20)")
            engine = kernel.evaluate("__import__('forge_rtc_nb.kernel.engine_client', fromlist=['x']).engines._client.pid")
            psutil.Process(kernel.evaluate("__import__('os').getpid()")).kill()
            wait_for(lambda: participants(jupyter, room_id) == others, 12, "the killed kernel is gone from the room")
            _wait_gone(engine)
    wait_for(lambda: len(server.children(recursive=True)) <= processes, 30, "the server's processes as before")


def _wait_gone(pid: int) -> None:
    import psutil

    wait_for(lambda: not psutil.pid_exists(pid), 12, "the engine is gone")


def _descriptors(pid: int) -> int:
    import psutil

    return psutil.Process(pid).num_fds()
