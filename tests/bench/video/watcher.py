"""Looks into the shared memory of a kernel that cannot look itself, because it is busy (bench process)."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from forge_rtc_nb import ring
from tests.bench.video.stamps import drawn

POLL = 0.02
"""Seconds; eight slots hold a quarter of a second at 30 fps."""


class Watcher(ring.Reader):
    """Notes each picture that the engine writes for the kernel's first view; a context manager with a thread.

    The memory is mapped read-only: neither kernel nor engine can notice.
    """

    def __init__(self, kernel: int) -> None:
        memory = os.open(_memory(kernel), os.O_RDONLY)
        try:
            # The first view of an engine gets region 0.
            self._map = mmap.mmap(memory, ring.REGION_BYTES, prot=mmap.PROT_READ)
        finally:
            os.close(memory)
        self._header = np.frombuffer(self._map, ring._HEADER, count=1)
        self._slots = np.frombuffer(self._map, ring._SLOT, count=ring.SLOTS, offset=ring._SLOTS_OFFSET)
        self.arrivals: list[tuple[float, float | None]] = []
        """Unix seconds: the engine's stamp of arrival, and when the picture was drawn."""
        self.missed = 0
        """Pictures that were overwritten before we saw them."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bench-watcher", daemon=True)

    def _watch(self) -> None:
        seen = self.head
        while not self._ending.wait(POLL):
            for number in range(seen, self.head):
                picture = self.copy(number, "rgb24")
                if picture is None:
                    self.missed += 1
                else:
                    self.arrivals.append((picture.arrival, drawn(picture.array)))
                seen = number + 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        self.close()


def _memory(kernel: int) -> str:
    for descriptor in Path(f"/proc/{kernel}/fd").iterdir():
        if "memfd:forge_rtc_nb" in os.readlink(descriptor):
            return str(descriptor)
    raise AssertionError(f"process {kernel} has no shared memory of ours")
