"""What a kernel reads of the shared memory, while somebody reads it: wake-ups, holders, the end (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..errors import RTCError

Wake = Callable[[], None]

IDLE = 3.0
"""Seconds after which a view that nobody iterates over and nobody asked for anything is closed."""


class Mapped(Protocol):
    """One region of the memory."""

    @property
    def head(self) -> int: ...

    def acknowledge(self) -> None: ...

    def close(self) -> None: ...


R = TypeVar("R", bound=Mapped)


class RingView(Generic[R]):
    """The base of views of pictures and of sound, from the moment that each was opened.

    `pump` runs in the client's reader thread, everything else in any thread.
    """

    def __init__(self, number: int, closed: Callable[[RingView[R]], None]) -> None:
        self.number = number
        self._closed = closed
        self._changed = threading.Condition()
        self._reader: R | None = None
        self._head = 0
        self._ended = False
        self._error: RTCError | None = None
        self._listeners: set[Wake] = set()
        self._holders = 0
        self._is_closed = False
        self._after_close: Callable[[], None] | None = None
        self._touched = time.monotonic()
        self.origin = ("", "")
        """Room and participant that it comes from; empty where the engine itself makes it."""
        self.fault: RTCError | None = None
        """Why nothing comes, where that is known; None again when something does."""

    def _open(self, region: int) -> R:
        raise NotImplementedError

    def _noticed(self, reader: R, start: int) -> None:
        """Under the lock: there is more, beginning at that number."""

    def map(self, region: int) -> None:
        """The engine has opened the ring."""
        try:
            with self._changed:
                if not self._is_closed:
                    self._reader = self._open(region)
        except MemoryError as error:
            self.end(RTCError(str(error)))
            return
        self.pump()

    def pump(self) -> None:
        """There is something new: wake whoever waits.

        Where nobody cares any more, this is where it shows: what comes is the only cost of an open view.
        """
        if self._close_if_forgotten():
            return
        with self._changed:
            if self._reader is None:
                return
            # First the flag, then the head: what comes in between is announced again.
            self._reader.acknowledge()
            start, self._head = self._head, self._reader.head
            if self._head > start:
                self.fault = None
            self._noticed(self._reader, start)
        self._wake()

    def touch(self) -> bool:
        """Somebody asks for something; false where the view has ended, and a new one is needed."""
        with self._changed:
            self._touched = time.monotonic()
            return not self._ended

    def hold(self) -> None:
        """Somebody reads until `let_go`."""
        with self._changed:
            self._holders += 1

    def let_go(self) -> None:
        """One reader less; the last one closes the view, unless it was asked for something a moment ago."""
        with self._changed:
            self._holders -= 1
        self._close_if_forgotten()

    def _close_if_forgotten(self) -> bool:
        with self._changed:
            if self._holders or self._listeners or time.monotonic() - self._touched <= IDLE:
                return False
            self._ended = True  # under the lock: whoever touches it from now on sees that it is too late
        self.close()
        return True

    def wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Block until ``ready()`` or the end; false after ``timeout`` seconds."""
        with self._changed:
            self._holders += 1  # who waits has not forgotten it
            try:
                return self._changed.wait_for(lambda: self._ended or ready(), timeout)
            finally:
                self._holders -= 1
                self._touched = time.monotonic()

    @property
    def head(self) -> int:
        return self._head

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def error(self) -> RTCError | None:
        """The fault that ended it, None where the stream just stopped."""
        return self._error

    def subscribe(self, wake: Wake) -> None:
        """Call ``wake`` in the reader thread whenever there is something new, and at the end."""
        with self._changed:
            self._listeners.add(wake)

    def unsubscribe(self, wake: Wake) -> None:
        with self._changed:
            self._listeners.discard(wake)
            self._touched = time.monotonic()

    def end(self, error: RTCError | None) -> None:
        """No more will come."""
        with self._changed:
            if self._ended:
                return
            self._ended, self._error = True, error
        self._wake()

    def close(self) -> None:
        """Unmap the ring, then tell the engine; idempotent."""
        self.end(None)
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        self._closed(self)
        if self._after_close is not None:
            self._after_close()

    def abandon(self, error: RTCError) -> None:
        """In a forked child of the kernel: what comes is its parent's. The lock may be one that a lost thread holds."""
        self._changed = threading.Condition()
        self._ended, self._error, self._reader = True, error, None

    def on_close(self, call: Callable[[], None]) -> None:
        """Call this once, after it was closed."""
        self._after_close = call

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
            listeners = list(self._listeners)
        for wake in listeners:
            wake()
