"""Where the pictures or the sound of a publication leave the kernel: a ring that the engine reads (runs in the kernel)."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...control import Control, PictureReady, Unpublish
from ...errors import RTCError
from ...ring import Writer
from ...samples import SampleWriter
from .pixels import Pixels


class Wire(Protocol):
    """What an outlet needs of the engine's client."""

    @property
    def memory(self) -> int:
        """A descriptor of the memory that the rings lie in."""

    @property
    def alive(self) -> bool: ...

    def send(self, message: Control) -> None: ...


class Closable(Protocol):
    """The writing end of a ring."""

    def close(self) -> None: ...


W = TypeVar("W", bound=Closable)


class Outlet(Generic[W]):
    """The kernel's end of a publication's ring, from the engine's answer until `close`: the base. Thread-safe."""

    def __init__(self, wire: Wire, publication: int, writer: W) -> None:
        self._wire = wire
        self._publication = publication
        self._lock = threading.Lock()
        self._writer: W | None = writer
        self._owed = False

    def _tell(self, news: bool) -> None:
        """The engine must be told, if there is ``news`` or it was not told before; under the lock.

        An interrupt (Ctrl-C) before it is told would else leave it waiting for ever.
        """
        if news or self._owed:
            self._owed = True
            self._wire.send(PictureReady(self._publication))
        self._owed = False

    def close(self) -> None:
        """Unmap the ring, then tell the engine, which may use the region again; idempotent."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is None:
                return
            writer.close()
        withdraw(self._wire, self._publication)

    def abandon(self) -> None:
        """In a forked child of the kernel: the pages are its parent's, and the lock may be one that a lost thread holds."""
        self._lock = threading.Lock()
        self._writer = None


class PictureOutlet(Outlet[Writer]):
    """For pictures."""

    def __init__(self, wire: Wire, publication: int, region: int) -> None:
        super().__init__(wire, publication, Writer(wire.memory, region))
        self._count = 0

    def show(self, pixels: Pixels, captured: float) -> bool:
        """Have the engine show this picture, captured at that Unix second; false where it is closed.

        Errors: `MemoryError` where there is no memory for one of that size, `EngineDied`.
        """
        with self._lock:
            if self._writer is None:
                return False
            height, width = pixels.size
            # An exception in between leaves a slot that nobody reads; the next picture begins it anew.
            pixels.write(self._writer.begin(height, width, pixels.pixel_format))
            self._count += 1
            owed, self._owed = self._owed, True
            self._tell(self._writer.end(captured, self._count) or owed)
            return True

    def pulse(self) -> None:
        """Tell the engine that this process is alive."""
        with self._lock:
            if self._writer is not None:
                self._writer.pulse(time.time())

    @property
    def count(self) -> int:
        """Pictures shown up to now."""
        return self._count


class SoundOutlet(Outlet[SampleWriter]):
    """For sound."""

    def __init__(self, wire: Wire, publication: int, region: int, rate: int, channels: int) -> None:
        super().__init__(wire, publication, SampleWriter(wire.memory, region, rate, channels))
        self.rate, self.channels = rate, channels

    def write(self, samples: NDArray[np.float32], captured: float) -> bool:
        """Have the engine play these samples (n, channels) after those before; false where it is closed.

        What does not fit the ring is lost: look at `waiting`. Errors: `EngineDied`.
        """
        with self._lock:
            if self._writer is None:
                return False
            owed, self._owed = self._owed, True
            self._tell(self._writer.write(samples, captured) or owed)
            return True

    @property
    def waiting(self) -> float:
        """Seconds that were written and not played yet."""
        with self._lock:
            return (self._writer.head - self._writer.taken) / self.rate if self._writer is not None else 0.0

    @property
    def played(self) -> float:
        """Seconds."""
        with self._lock:
            return self._writer.taken / self.rate if self._writer is not None else 0.0


def withdraw(wire: Wire, publication: int) -> None:
    """Tell the engine that nothing of a publication is used here any more."""
    if wire.alive:
        with contextlib.suppress(RTCError):  # it is gone, and the publication with it
            wire.send(Unpublish(publication))
