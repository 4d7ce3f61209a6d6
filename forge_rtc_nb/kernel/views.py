"""The pictures of one ring as their readers in the kernel see them: the newest, or a queue (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from ..ring import SLOTS, Picture, Reader
from .activity import activity
from .frames import Frame
from .ring_view import RingView


class Pictures(Protocol):
    """The newest pictures of a stream, as `ring.Reader` has them."""

    @property
    def head(self) -> int: ...

    def acknowledge(self) -> None: ...

    def copy(self, number: int, pixel_format: str) -> Picture | None: ...

    def close(self) -> None: ...


class View(RingView[Pictures]):
    """Frames of one stream in one pixel format."""

    def __init__(self, number: int, pixel_format: str, memory: int, closed: Callable[[RingView[Pictures]], None]) -> None:
        super().__init__(number, closed)
        self.format = pixel_format
        self._memory = memory
        self._queues: set[QueueCursor] = set()
        self._arrivals: deque[float] = deque(maxlen=60)

    def _open(self, region: int) -> Pictures:
        return Reader(self._memory, region)

    def _noticed(self, reader: Pictures, start: int) -> None:
        self._arrivals.extend([time.monotonic()] * min(self._head - start, 1))
        for number in range(max(start, self._head - SLOTS), self._head):
            if self._queues and (picture := reader.copy(number, self.format)) is not None:
                for place, queue in enumerate(self._queues):
                    # Each reader may write to its frame.
                    queue.put(picture if place == 0 else replace(picture, array=picture.array.copy()))

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

    def frame(self, picture: Picture) -> Frame:
        """One of its pictures as users see it."""
        return Frame(picture, self.format)

    @property
    def fps(self) -> float:
        """Frames a second over the last 60 that were noticed."""
        with self._changed:
            arrivals = list(self._arrivals)
        span = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
        return (len(arrivals) - 1) / span if span > 0 else 0.0

    def add_queue(self, queue: QueueCursor) -> None:
        with self._changed:
            self._queues.add(queue)

    def remove_queue(self, queue: QueueCursor) -> None:
        with self._changed:
            self._queues.discard(queue)


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
