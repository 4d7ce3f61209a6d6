"""What a large message costs in memory on either side, above the arrays that the users hold (test process)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kernel.others import another_kernel
from tests.python_process import PythonProcess
from tests.support import JupyterProcess

MIB = 1 << 20

MEASURE = """
import gc
from tests.kernel.rooms import engine_pids
def pss():
    total = 0
    for pid in (os.getpid(), *engine_pids()):
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
class Peak(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.over = 0, threading.Event()
    def run(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, pss())
    def end(self):
        self.over.set()
        self.join()
        return max(self.most, pss())
def pattern(count):
    return np.random.default_rng(7).integers(0, 2**63, count, np.int64)
"""


@pytest.fixture
def ann_and_bob(jupyter: JupyterProcess, room_id: str) -> Iterator[tuple[PythonProcess, PythonProcess]]:
    """Two kernels with a channel, that have sent something before."""
    with another_kernel(jupyter, room_id, "ann") as ann, another_kernel(jupyter, room_id, "bob") as bob:
        for one in (ann, bob):
            one.run("import os; ch = room.channel('large', maxbytes=2**31)")
            one.run(MEASURE)
        for one in (ann, bob):
            one.run("wait_for(lambda: ch.participants)")
        reading = bob.start("int(ch.recv(60).sum())")
        ann.run("ch.send(np.ones(2**20, np.uint8))")
        assert reading.result(60) == 2**20
        yield ann, bob


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="it is Linux that tells the proportional set size")
@pytest.mark.parametrize(
    "size", [64 * MIB, pytest.param(1024 * MIB, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])], ids=["64 MiB", "1 GiB"]
)
def test_a_large_array_arrives_equal_and_costs_little_more_than_itself(
    ann_and_bob: tuple[PythonProcess, PythonProcess], size: int
) -> None:
    ann, bob = ann_and_bob
    count = size // 8
    ann.run("x = pattern(count); gc.collect(); before = pss(); peak = Peak(); peak.start()", count=count)
    bob.run("gc.collect(); before = pss(); peak = Peak(); peak.start()")
    reading = bob.start("y = ch.recv(600); y.nbytes")
    ann.run("ch.send(x, timeout=600, progress=False)", timeout=600)
    assert reading.result(600) == size
    # Above what ann holds herself (x, from before); and on bob's side what he holds is the very memory that it came in.
    sender = ann.run("peak.end() - before")
    receiver = bob.run("peak.end() - before")
    print(f"{size >> 20} MiB: sender {sender / size:.2f}, receiver {receiver / size:.2f} of its size")
    assert 0.9 * size < sender <= 1.3 * size
    assert 0.9 * size < receiver <= 1.3 * size
    assert bob.run("bool((y == pattern(len(y))).all())", timeout=120)
    ann.run("wait_for(lambda: pss() < before + count, what='the copy is given back')")
    bob.run("del y; wait_for(lambda: pss() < before + count, what='the memory is given back')", count=count)
