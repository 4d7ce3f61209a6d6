"""One ring as its readers in the kernel see it: wake-ups, cursors, the end (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ..errors import RTCError
from ..ring import SLOTS, Picture, Reader
from .activity import activity

Wake = Callable[[], None]

IDLE = 3.0
"""Seconds after which a view that nobody iterates over and nobody asked for a frame is closed."""


class View:
    """Frames of one stream in one pixel format, from the moment it was opened.

    `pump` runs in the client's reader thread, everything else in any thread.
    """

    def __init__(self, number: int, pixel_format: str, memory: int, closed: Callable[[View], None]) -> None:
        self.number = number
        self.format = pixel_format
        self._memory = memory
        self._closed = closed
        self._changed = threading.Condition()
        self._reader: Reader | None = None
        self._head = 0
        self._ended = False
        self._error: RTCError | None = None
        self._listeners: set[Wake] = set()
        self._queues: set[QueueCursor] = set()
        self._arrivals: deque[float] = deque(maxlen=60)
        self._holders = 0
        self._is_closed = False
        self._after_close: Callable[[], None] | None = None
        self._touched = time.monotonic()
        self.origin = ("", "")
        """Room and participant that the frames come from; empty where the engine itself makes them."""
        self.fault: RTCError | None = None
        """Why nothing comes, where that is known; None again with the next frame."""

    def map(self, region: int) -> None:
        """The engine has opened the ring."""
        try:
            with self._changed:
                if not self._is_closed:
                    self._reader = Reader(self._memory, region)
        except MemoryError as error:
            self.end(RTCError(str(error)))
            return
        self.pump()

    def pump(self) -> None:
        """There are new frames: wake whoever waits, and fill the queues.

        Where nobody cares any more, this is where it shows: frames that come are the only cost of an open view.
        """
        if self._close_if_forgotten():
            return
        with self._changed:
            if self._reader is None:
                return
            # First the flag, then the head: a frame that comes in between is announced again.
            self._reader.acknowledge()
            start, self._head = self._head, self._reader.head
            if self._head > start:
                self.fault = None
            self._arrivals.extend([time.monotonic()] * min(self._head - start, 1))
            for number in range(max(start, self._head - SLOTS), self._head):
                if self._queues and (picture := self._reader.copy(number, self.format)) is not None:
                    for place, queue in enumerate(self._queues):
                        # Each reader may write to its frame.
                        queue.put(picture if place == 0 else replace(picture, array=picture.array.copy()))
        self._wake()

    def touch(self) -> bool:
        """Somebody asks for a frame; false where the view has ended, and a new one is needed."""
        with self._changed:
            self._touched = time.monotonic()
            return not self._ended

    def hold(self) -> None:
        """Somebody reads until `let_go`."""
        with self._changed:
            self._holders += 1

    def let_go(self) -> None:
        """One reader less; the last one closes the view, unless `latest` used it a moment ago."""
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

    def newest(self, after: int) -> tuple[int, Picture] | None:
        """The newest frame beyond number ``after``, as (number, picture)."""
        with self._changed:
            for _ in range(SLOTS):  # overwritten while it was copied: there is a newer one
                if self._reader is None or (head := self._reader.head) <= after:
                    break
                picture = self._reader.copy(head - 1, self.format)
                if picture is not None:
                    return head, picture
        return None

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

    @property
    def fps(self) -> float:
        """Frames a second over the last 60 that were noticed."""
        with self._changed:
            arrivals = list(self._arrivals)
        span = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
        return (len(arrivals) - 1) / span if span > 0 else 0.0

    def subscribe(self, wake: Wake) -> None:
        """Call ``wake`` in the reader thread at each new frame, and at the end."""
        with self._changed:
            self._listeners.add(wake)

    def unsubscribe(self, wake: Wake) -> None:
        with self._changed:
            self._listeners.discard(wake)
            self._touched = time.monotonic()

    def add_queue(self, queue: QueueCursor) -> None:
        with self._changed:
            self._queues.add(queue)

    def remove_queue(self, queue: QueueCursor) -> None:
        with self._changed:
            self._queues.discard(queue)

    def end(self, error: RTCError | None) -> None:
        """No more frames will come."""
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
        """In a forked child of the kernel: the frames are its parent's. The lock may be one that a lost thread holds."""
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


class Tally:
    """A number that several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = 0

    def add(self, number: int) -> None:
        if number > 0:
            with self._lock:
                self.total += number


class LatestCursor:
    """Reads the newest unseen frame each time; what came in between is counted as skipped."""

    def __init__(self, view: View, skipped: Tally) -> None:
        self._view = view
        self._skipped = skipped
        self._lock = threading.Lock()
        self._seen = 0
        self._index: int | None = None

    @property
    def ready(self) -> bool:
        return self._view.head > self._seen

    def poll(self) -> Picture | None:
        """The newest unseen frame, None where there is none yet."""
        with self._lock:
            newest = self._view.newest(self._seen)
            if newest is None:
                return None
            self._seen, picture = newest
            if self._index is not None:
                self._skipped.add(picture.index - self._index - 1)
            self._index = picture.index
        activity.note()
        return picture

    def close(self) -> None:
        """Nothing to give back."""


class QueueCursor:
    """A bounded queue of frames in order. Full: ``drop_oldest`` lets the oldest go, ``block`` keeps what is there
    and takes no new ones until there is room, so that what it holds stays consecutive (a camera cannot wait)."""

    def __init__(self, view: View, policy: str, maxsize: int, skipped: Tally) -> None:
        self._view = view
        self._skipped = skipped
        self._drop_oldest = policy == "drop_oldest"
        self._maxsize = maxsize
        self._queue: deque[Picture] = deque()
        self._last: int | None = None
        view.add_queue(self)

    @property
    def ready(self) -> bool:
        return bool(self._queue)

    def put(self, picture: Picture) -> None:
        """Called by the view, under its lock."""
        if self._last is not None:
            self._skipped.add(picture.index - self._last - 1)
        self._last = picture.index
        if len(self._queue) >= self._maxsize:
            self._skipped.add(1)
            if not self._drop_oldest:
                return
            self._queue.popleft()
        self._queue.append(picture)

    def poll(self) -> Picture | None:
        try:
            picture = self._queue.popleft()
        except IndexError:
            return None
        activity.note()
        return picture

    def close(self) -> None:
        self._view.remove_queue(self)
        self._queue.clear()


Cursor = LatestCursor | QueueCursor
