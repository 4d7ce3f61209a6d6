"""The shared memory in which messages cross between kernel and engine: one nameless sparse file, cut into extents.

Each of the two allocates in a half of its own, and tells the other where an extent begins. An extent is free again when
nobody has a view of it any more, on either side: its owner keeps it (`Arena.lend`) until the other gave it back. Its pages go
back to the system, at once or, where the next message may want them (`kept.py`), a moment later.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .errors import EngineDied
from .kept import LEAST, SECONDS, Kept, Span
from .memory import commit, create_file

HALF = 64 << 30
"""Bytes that each side can have in use at once. Sparse: only what was written takes memory."""
STEP = 256 << 10
"""Bytes of an extent that get their pages at once: what is written needs a few times that, what is only declared nothing."""
REMOVED_AT_ONCE = 4 << 20
"""Bytes whose pages go back to the system at once, which nothing else of Python can run beside: `mmap` keeps the GIL."""
FEW = 16 << 20
"""Extents of so many bytes together are removed where their last view ends; where there are more, a thread does it."""
END_TIMEOUT = 5.0
PAGE = mmap.ALLOCATIONGRANULARITY

Side = Literal["kernel", "engine"]


def create_arena() -> int:
    """A descriptor of the memory of both halves; `MemoryError` where the system refuses a file of that size."""
    return create_file(2 * HALF)


class Extent:
    """Memory for one message. Views of it keep it; with the last one it is given back."""

    def __init__(self, arena: Arena, span: Span, end: Callable[[Span], None]) -> None:
        self._arena = arena
        self._end = end
        self._span = span
        self.offset = span.offset
        self.size = span.size

    @property
    def __array_interface__(self) -> dict[str, Any]:
        # numpy keeps a reference to whoever has this: its arrays and their views are what an extent lives by.
        return {"version": 3, "shape": (self.size,), "typestr": "|u1", "data": (self._arena.address + self.offset, False)}

    @property
    def memory(self) -> memoryview:
        """The bytes, writable; the view keeps the extent."""
        array: Any = np.asarray(self)
        return memoryview(array)

    def commit(self, start: int, end: int) -> None:
        """Have pages for bytes ``start`` to ``end``, and some around them; `MemoryError` where there are none. Call it before
        writing there."""
        missing = [step for step in range(start // STEP, -(-end // STEP)) if step not in self._span.steps]
        for first, last in _runs(missing):  # few calls: after each, a kernel that computes takes 5 ms to come back to us
            begin = first * STEP
            self._arena.commit(self.offset + begin, min((last + 1) * STEP, self.size) - begin)
        self._span.steps.update(missing)

    def __del__(self) -> None:
        self._end(self._span)


class Arena:
    """One process's view of the whole file. Thread-safe."""

    def __init__(self, fd: int, side: Side) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._side = side
        self._map: mmap.mmap | None = None
        self.address = 0
        self._lock = threading.Lock()
        self._file = threading.Lock()
        """Whoever uses the descriptor has it: once closed, its number may be another file's."""
        self._start = start = 0 if side == "kernel" else HALF
        self._free = [(start, start + HALF)]
        """What is free of our half, as (start, end) in order, none adjacent."""
        self._used = 0
        self._ended: deque[tuple[int, int]] = deque()
        """Offset and size of extents that have no view any more, but pages."""
        self._removed: deque[tuple[int, int]] = deque()
        """Start and end of those that have none, and are as good as free."""
        self._remover: threading.Thread | None = None
        self._work: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """False ends the thread."""
        self._lent: dict[int, tuple[Extent, int]] = {}
        self._kept = Kept()
        """By the remover, which gives it back in the end; there is none without it."""

    def allocate(self, size: int) -> Extent:
        """An extent of our half: with no pages yet, or with those and what is in them of an earlier one of this size.

        `MemoryError` where none is free.
        """
        self._check_open()
        self._mapping()
        with self._lock:
            kept = self._kept.take(size)
        if kept is not None:
            return Extent(self, kept, self._give_back)
        rounded = -(-max(size, 1) // PAGE) * PAGE
        start = self._take(rounded)
        if start is None:
            self._leave_kept()
            start = self._take(rounded)
        if start is None:
            raise MemoryError(f"no shared memory for {size} bytes: {HALF >> 30} GiB of messages are in use")
        if self._used > FEW or size >= LEAST:
            self._start_remover()
        return Extent(self, Span(start, size, set()), self._give_back)

    def _take(self, rounded: int) -> int | None:
        with self._lock:
            self._settle()
            for place, (start, end) in enumerate(self._free):
                if end - start >= rounded:
                    self._free[place : place + 1] = [(start + rounded, end)] if end - start > rounded else []
                    self._used += rounded
                    return start
        return None

    def borrowed(self, offset: int, size: int, end: Callable[[int], None]) -> Extent:
        """An extent of the other's half; ``end`` is called with its offset when its last view is gone."""
        self._mapping()
        return Extent(self, Span(offset, size, set()), lambda span: self._end_borrowed(span, end))

    def lend(self, extent: Extent) -> int:
        """Keep an extent of ours until the other gives it back (`returned`); its offset."""
        with self._lock:
            _, times = self._lent.get(extent.offset, (extent, 0))
            self._lent[extent.offset] = extent, times + 1
        return extent.offset

    def lent(self, offset: int) -> Extent:
        """One of ours that the other has."""
        with self._lock:
            return self._lent[offset][0]

    def owns(self, offset: int) -> bool:
        """Whether an extent that begins there is of our half."""
        return (offset < HALF) == (self._start == 0)

    def returned(self, offset: int) -> None:
        """The other has no view any more of what was lent once."""
        with self._lock:
            extent, times = self._lent.pop(offset)
            if times > 1:
                self._lent[offset] = extent, times - 1
        del extent  # outside of the lock, which its end wants

    def commit(self, offset: int, size: int) -> None:
        with self._file:
            self._check_open()
            try:
                commit(self._fd, offset, size)
            except MemoryError:
                if not self._kept:
                    raise
                self._leave_kept()
                commit(self._fd, offset, size)

    def _check_open(self) -> None:
        if self._fd < 0:
            raise EngineDied("the engine is gone, and the memory for messages with it; join again")

    def _mapping(self) -> None:
        """Mapped when it is first needed: most rooms never send data, and address space may be limited."""
        if self._map is not None:
            return
        with self._file:
            if self._map is not None:
                return
            self._check_open()  # of no file, mmap would make memory that nobody else has
            try:
                mapped = mmap.mmap(self._fd, 2 * HALF)
            except OSError as error:
                reason = f"{error.strerror}; is the address space limited? `ulimit -v` shows it"
                raise MemoryError(f"{2 * HALF >> 30} GiB of shared memory, sparse, cannot be mapped ({reason})") from None
            self.address = np.frombuffer(mapped, np.uint8, 1).ctypes.data
            self._map = mapped

    def _end_borrowed(self, span: Span, end: Callable[[int], None]) -> None:
        if self._fd >= 0:
            end(span.offset)
        elif self._side == "kernel" and self._pid == os.getpid() and self._map is not None:
            _remove(self._map, span.offset, span.size)  # the engine is gone, and gives nothing back any more

    def _give_back(self, span: Span) -> None:
        """Called wherever the last view ends, by the garbage collector too, which may run while this thread has a lock."""
        if self._pid != os.getpid() or (self._fd < 0 and self._side == "engine"):
            return  # a forked child, whose parent goes on with it; or an engine that ends, and the kernel reads on
        is_watched = self._remover is not None and self._fd >= 0
        if not (is_watched and self._kept.keep(span)):
            self._ended.append((span.offset, span.size))
        if self._remover is not None:
            self._work.put(True)
        if not is_watched:
            self._remove_ended()

    def _start_remover(self) -> None:
        """Not by the garbage collector, which may run within whatever starts a thread."""
        if self._remover is not None:
            return
        with self._lock:
            if self._remover is None and self._fd >= 0:
                remover = threading.Thread(target=self._remove_all, name="forge-rtc-memory", daemon=True)
                with contextlib.suppress(RuntimeError):  # no more threads: it is done where views end
                    remover.start()
                    self._remover = remover

    def _remove_all(self) -> None:
        while self._has_work():
            self._leave_kept(SECONDS)
        self._leave_kept()

    def _has_work(self) -> bool:
        """Wait until something is to be removed, or may be; false at the end."""
        try:
            return self._work.get(timeout=SECONDS if self._kept else None)
        except queue.Empty:
            return True

    def _leave_kept(self, seconds: float = 0.0) -> None:
        with self._lock:
            over = self._kept.leave(seconds)
        self._ended += [(span.offset, span.size) for span in over]
        self._remove_ended()

    def _remove_ended(self) -> None:
        """In any thread, several at once too. Nothing is free before its pages are gone."""
        mapped = self._map
        assert mapped is not None
        while self._ended:
            try:
                offset, size = self._ended.popleft()
            except IndexError:
                break
            self._removed.append((offset, _remove(mapped, offset, size)))
        while self._removed and self._lock.acquire(blocking=False):  # else whoever has it, or the next to allocate, does it
            try:
                self._settle()
            finally:
                self._lock.release()

    def _settle(self) -> None:
        while self._removed:
            start, end = self._removed.popleft()
            self._insert(start, end)
            self._used -= end - start

    def _insert(self, start: int, end: int) -> None:
        at = bisect_left(self._free, (start, end))
        if at < len(self._free) and self._free[at][0] == end:
            end = self._free.pop(at)[1]
        if at and self._free[at - 1][1] == start:
            at -= 1
            start = self._free.pop(at)[0]
        self._free.insert(at, (start, end))

    @property
    def in_use(self) -> int:
        """Bytes of our half that messages have, or had a moment ago (`kept.py`)."""
        with self._lock:
            self._settle()
            return self._used

    def close(self) -> None:
        """Close our descriptor: the other one has ended, or we are about to. What is mapped stays for the views that there are,
        ours and the kernel's."""
        ours = self._pid == os.getpid()
        if not ours:
            self._file = threading.Lock()  # a lost thread may hold the parent's
        with self._file:
            fd, self._fd = self._fd, -1
            if fd < 0:
                return
            os.close(fd)
        if ours:
            self._end_remover()

    def _end_remover(self) -> None:
        with self._lock:  # nobody is about to start it
            remover = self._remover
        if remover is not None:
            self._work.put(False)
            if self._side == "engine":
                remover.join(END_TIMEOUT)  # what it has not done by then, nobody would


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """First and last of each row without a gap."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs


def _remove(mapped: mmap.mmap, offset: int, size: int) -> int:
    """Give the pages of an extent back to the system, with turns of other threads between; returns where they end."""
    end = offset + -(-max(size, 1) // PAGE) * PAGE
    for start in range(offset, end, REMOVED_AT_ONCE):
        if start > offset:
            time.sleep(0)
        _remove_step(mapped, start, min(REMOVED_AT_ONCE, end - start))
    return end


def _remove_step(mapped: mmap.mmap, offset: int, length: int) -> None:
    if hasattr(mmap, "MADV_REMOVE"):  # where it is not, or fails, pages are kept for the next extent there
        with contextlib.suppress(OSError):
            mapped.madvise(mmap.MADV_REMOVE, offset, length)
