"""The sound of one ring as its readers in the kernel see it: each from a position of its own (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..samples import CAPACITY, SampleReader
from .activity import activity
from .ring_view import RingView

MARGIN = CAPACITY // 16
"""Samples that whoever is too late is given to catch up in, before he is too late again."""


class SoundView(RingView[SampleReader]):
    """Samples of one stream."""

    def __init__(self, number: int, memory: int, closed: Callable[[RingView[SampleReader]], None]) -> None:
        super().__init__(number, closed)
        self._memory = memory

    def _open(self, region: int) -> SampleReader:
        return SampleReader(self._memory, region)

    def copy(self, position: int, count: int) -> tuple[NDArray[np.float32], float] | None:
        """Samples (count, channels) from there on, and the Unix second of the first; None where they are gone, or not here."""
        with self._changed:
            samples = self._reader.copy(position, count) if self._reader is not None else None
            if samples is None or self._reader is None:
                return None
            return samples, self._reader.time_of(position)

    @property
    def first(self) -> int:
        """The oldest sample that is still there, and will be for a while."""
        with self._changed:
            if self._reader is None or self._reader.first == 0:
                return 0
            return self._reader.first + MARGIN


class Cursor(Protocol):
    """Where one reader is."""

    view: SoundView
    skipped: int
    """Samples that were gone before they were read."""

    def has(self, count: int) -> bool:
        """Whether that many are here, or are where `poll` finds them."""

    def poll(self, count: int) -> tuple[NDArray[np.float32], float] | None:
        """The next ``count`` samples and the time of the first; None where they are not all here yet."""


class SoundCursor:
    """A `Cursor` of what came; several threads get one part each."""

    def __init__(self, view: SoundView) -> None:
        self.view = view
        self.skipped = 0
        self._lock = threading.Lock()
        self._position = view.head

    @property
    def available(self) -> int:
        """Samples that are here."""
        return self.view.head - self._position

    def has(self, count: int) -> bool:
        return self.available >= count

    def poll(self, count: int) -> tuple[NDArray[np.float32], float] | None:
        with self._lock:
            while self.has(count):
                taken = self.view.copy(self._position, count)
                if taken is not None:
                    self._position += count
                    activity.note()
                    return taken
                if self.view.ended or (first := self.view.first) <= self._position:
                    break
                self.skipped += first - self._position
                self._position = first
        return None
