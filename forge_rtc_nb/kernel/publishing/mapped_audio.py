"""`AudioStream.map`: a live transform of sound, which is a stream itself (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import BLOCK, RATE, AudioStream
from ..ring_view import IDLE
from ..sound_view import Cursor, SoundView
from .complaints import Complaints
from .sounds import look_sound

Change = Callable[[NDArray[np.float32]], Any]
SIZE = round(BLOCK * RATE)
KEPT = 1000
"""Blocks that are kept for who reads slowly: 20 s, as of the sound itself."""


class MappedAudioStream(AudioStream):
    """What a function makes of sound; made by `AudioStream.map`. Read it, map it, publish it.

    The function gets blocks of 20 ms in order, (960, channels) float32, each an array of its own, and returns as many samples:
    (960,) or (960, 1 or 2). It is called once a block, in the thread of whoever reads first, and only while somebody does.
    Where it fails there is silence, and the notebook shows the error once.

    >>> half = room.microphone.map(lambda block: block / 2)
    >>> half.fn = np.tanh        # from the next block on
    """

    def __init__(self, stream: AudioStream, fn: Change) -> None:
        super().__init__(stream._source)
        self._stream = stream
        self._fn = _callable(fn)
        self._complaints = Complaints(f"the function of {stream!r}.map", "there is silence instead")
        self._blocks: _Blocks | None = None
        self._beginning = threading.Lock()

    @property
    def fn(self) -> Change:
        """The function; assign another one while it runs."""
        return self._fn

    @fn.setter
    def fn(self, fn: Change) -> None:
        self._fn = _callable(fn)
        self._complaints.forget()

    def __repr__(self) -> str:
        return f"<AudioStream mapped from {self._stream!r}>"

    def view(self, timeout: float | None) -> SoundView:
        return self._stream.view(timeout)

    def cursor(self, view: SoundView) -> Cursor:
        with self._beginning:
            if self._blocks is None or self._blocks.view is not view or self._blocks.idle:
                self._blocks = _Blocks(self._stream.cursor(view), self._change)
            return _BlockCursor(self._blocks)

    def _change(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        count = len(block)
        try:
            changed = look_sound(self._fn(block))
            if len(changed) != count:
                raise ValueError(f"the function got {count} samples and returned {len(changed)}: return as many")
            return changed
        except BaseException as error:  # an exit() too, as for pictures
            self._complaints.tell(error, [] if self.report is None else [self.report])
            return np.zeros((count, 1), np.float32)


def _callable(fn: object) -> Change:
    if not callable(fn):
        raise TypeError(f"map takes a function of an array that returns an array, not {fn!r}")
    return fn


class _Blocks:
    """What the function made, for all who read. Whoever needs a block that is not there makes it."""

    def __init__(self, cursor: Cursor, change: Change) -> None:
        self._cursor = cursor
        self._change = change
        self._lock = threading.Lock()
        self._made: deque[tuple[NDArray[np.float32], float]] = deque(maxlen=KEPT)
        self._polled = time.monotonic()
        self.head = 0
        """Blocks made."""

    @property
    def view(self) -> SoundView:
        return self._cursor.view

    @property
    def idle(self) -> bool:
        """Whether nobody has read for a while: what has come since is old."""
        return time.monotonic() - self._polled > IDLE

    def has(self, number: int) -> bool:
        """Whether all blocks before that one are here, or can be made."""
        return number <= self.head or self._cursor.has((number - self.head) * SIZE)

    def get(self, number: int) -> tuple[NDArray[np.float32], float] | None:
        with self._lock:
            self._polled = time.monotonic()
            while self.head <= number:
                taken = self._cursor.poll(SIZE)
                if taken is None:
                    return None
                self._made.append((self._change(taken[0]), taken[1]))
                self.head += 1
            return self._made[number - self.head] if self.head - number <= len(self._made) else None

    @property
    def first(self) -> int:
        return self.head - len(self._made)


class _BlockCursor:
    """A `Cursor` in what the function made; of whole blocks, what is left of one waits."""

    def __init__(self, blocks: _Blocks) -> None:
        self.view = blocks.view
        self.skipped = 0
        self._blocks = blocks
        self._lock = threading.Lock()
        self._next = blocks.head
        self._rest: list[NDArray[np.float32]] = []
        self._size = 0
        self._time = 0.0
        """Of the first sample of the rest."""

    def has(self, count: int) -> bool:
        return self._blocks.has(self._next - (self._size - count) // SIZE)

    def poll(self, count: int) -> tuple[NDArray[np.float32], float] | None:
        with self._lock:
            while self._size < count:
                if not self._take():
                    return None
            return self._cut(count)

    def _take(self) -> bool:
        block = self._blocks.get(self._next)
        if block is None:
            if (first := self._blocks.first) <= self._next:
                return False
            self.skipped += (first - self._next) * SIZE
            self._next = first
            return True
        samples, captured = block
        if not self._size:
            self._time = captured
        self._rest.append(samples)
        self._size += len(samples)
        self._next += 1
        return True

    def _cut(self, count: int) -> tuple[NDArray[np.float32], float]:
        channels = max(part.shape[1] for part in self._rest)
        whole = np.concatenate([np.broadcast_to(part, (len(part), channels)) for part in self._rest])
        begun, rest = self._time, whole[count:]
        self._rest, self._size, self._time = [rest] if len(rest) else [], len(rest), begun + count / RATE
        return whole[:count], begun
