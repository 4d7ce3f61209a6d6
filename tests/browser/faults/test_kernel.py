"""What happens to the kernel: a cell that takes long, an engine that is killed, a reader that is slow (test process)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.faults.conftest import Live
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

BUSY = """
first = cam.latest(timeout=20)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    sum(range(1000))
asked = time.time()
frame = cam.latest(timeout=10)
answer = {{"took": time.time() - asked, "age": asked - frame.time, "newer": frame.index - first.index}}
"""
MEMORY = """
import psutil
from forge_rtc_nb.kernel.engine_client import engines
def memory():
    return [psutil.Process(pid).memory_full_info().pss / 2**20 for pid in (os.getpid(), engines._client.pid)]
"""
READERS = """
def consume(frames):
    for frame in frames:
        taken.append(frame.index)
        time.sleep({seconds})
taken = []
kinds = [("latest", "rgb24"), ("drop_oldest", "rgb24"), ("block", "rgb24"), ("latest", "gray")]
for policy, pixels in kinds:
    threading.Thread(target=consume, args=[room.camera.frames(policy, format=pixels)], daemon=True).start()
"""


@pytest.fixture
def observer(jupyter: JupyterProcess, room_id: str) -> Iterator[RemoteKernel]:
    """Another kernel in the room, that remembers what is said of the others."""
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        kernel.run(f"import forge_rtc_nb as rtc\nevents = []\nroom = rtc.join({room_id!r})")
        for event in ("joined", "left", "updated"):
            kernel.run(f"room.on({event!r}, lambda person: events.append([{event!r}, person.id, person.state]))")
        yield kernel


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.soak)])
def test_a_busy_kernel_stays_in_the_room_and_has_fresh_frames_at_once(
    live: Live, observer: RemoteKernel, seconds: float
) -> None:
    people = observer.evaluate("[p.id for p in room.participants]")
    observer.run("events.clear()")
    live.notebook.execute("import time\ncam = room.camera")
    live.notebook.execute(BUSY.format(seconds=seconds), timeout=seconds + 40)
    answer: dict[str, Any] = live.ask("answer")
    print(f"\nafter {seconds} s of work: a frame {answer['age'] * 1000:.0f} ms old after {answer['took'] * 1000:.1f} ms")
    assert answer["took"] < 1
    assert answer["age"] < 1
    assert answer["newer"] > 5 * seconds
    assert observer.evaluate("events") == []
    assert observer.evaluate("[p.id for p in room.participants]") == people
    assert live.ask("room.state") == "joined"


def test_after_a_killed_engine_reading_says_so_and_the_next_join_goes_on_with_the_tab(live: Live) -> None:
    engine = "__import__('forge_rtc_nb.kernel.engine_client', fromlist=['x']).engines._client.pid"
    live.notebook.execute(f"import os, signal; os.kill({engine}, signal.SIGKILL)")
    wait_for(lambda: live.ask("reader.end") == "EngineDied", 10, "the loop ends and says why")
    assert live.ask("room.state") == "closed"
    live.notebook.run_cell(1)
    wait_for(lambda: live.ask("room.state") == "joined", 20, "the second join")
    live.read_anew()
    assert live.notebook.room_joined() == live.tab
    assert live.notebook.camera().get_attribute("aria-pressed") == "true"
    assert live.notebook.errors == []


@pytest.mark.parametrize(("frames", "seconds"), [(60, 0.1), pytest.param(300, 0.2, marks=pytest.mark.soak)])
def test_slow_readers_take_no_memory(live: Live, frames: int, seconds: float) -> None:
    live.notebook.execute("import os, threading, time" + MEMORY + READERS.format(seconds=seconds))
    wait_for(lambda: live.ask("len(taken)") > 80, 30, "every queue is full")
    before, start = live.ask("memory()"), time.monotonic()
    wait_for(lambda: live.ask("len(taken)") > 80 + 4 * frames, 20 + 8 * frames * seconds, f"{frames} frames each")
    after = live.ask("memory()")
    print(f"\nPSS of kernel and engine after {time.monotonic() - start:.0f} s: {before} -> {after} MiB")
    for earlier, later in zip(before, after, strict=True):
        assert later - earlier < 16
    assert live.ask("reader.end") == ""
