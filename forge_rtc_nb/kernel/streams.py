"""Video streams: newest frames, iteration, policies and formats (runs in the kernel)."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsIndex, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import StreamNotFound
from .frames import Frame
from .reading import Collector, Deadline, FrameIterator, StreamEnd, await_frame, wait_frame
from .views import LatestCursor, Tally, View

if TYPE_CHECKING:
    from .publishing.mapped import MappedStream

Policy = Literal["latest", "drop_oldest", "block"]
PixelFormat = Literal["rgb24", "bgr24", "gray", "yuv420p"]
POLICIES = get_args(Policy)
FORMATS = get_args(PixelFormat)


class Source(Protocol):
    """Where a stream's frames come from."""

    @property
    def report(self) -> Callable[[BaseException], None] | None:
        """Raises an ``"error"`` event of the stream's room, where it has one."""

    def open(self, pixel_format: str, timeout: float | None) -> View:
        """A new view; waits for the stream to be there. Errors: `StreamNotFound`, `NotInRoom`, `EngineDied`."""

    def describe(self) -> str:
        """A few words for `repr`."""


class VideoStream:
    """Live video as numpy arrays. Reading starts it: nothing is sent, decoded or converted that nobody reads.

    You get one from ``room.camera``, ``room.video(who)`` or ``rtc.synthetic()``; getting it never waits, reading does.
    Frames are skipped, never queued, where you read slower than they come (policy ``"latest"``).

    >>> cam = rtc.synthetic(size=(480, 640))
    >>> cam.latest().array.shape
    (480, 640, 3)
    >>> for frame in cam:
    ...     if frame.array.mean() > 100: break
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.RLock()
        self._views: dict[str, View] = {}
        self._cursor: LatestCursor | None = None
        self._cursor_view: View | None = None
        self._last: Frame | None = None
        self._newest: Frame | None = None
        self.skipped = Tally()
        """See `dropped`."""

    def latest(self, timeout: float | None = 10.0) -> Frame:
        """The newest frame; the same one again where no newer has come.

        Waits up to ``timeout`` seconds (None: for ever) for the stream and its first frame. Errors: `StreamNotFound` where
        there is no such stream by then, `ConnectionFailed` where no connection to its sender came about, `RTCTimeout` where
        it sends nothing, `EngineDied`, `NotInRoom`.
        """
        deadline = Deadline(timeout)
        view, cursor, fresh = self._implicit(deadline)
        if not fresh and (picture := cursor.poll()) is not None:
            return self._remember_newest(view.frame(picture))
        if not fresh and self._newest is not None and not view.ended:
            return self._newest
        return self._wait(view, cursor, deadline)

    def read(self, timeout: float | None = 10.0) -> Frame:
        """The next frame that neither `read` nor `latest` has returned; errors as `latest`, `StreamNotFound` at its end."""
        deadline = Deadline(timeout)
        view, cursor, _ = self._implicit(deadline)
        return self._wait(view, cursor, deadline)

    async def aread(self, timeout: float | None = 10.0) -> Frame:
        """`read` for coroutines."""
        deadline = Deadline(timeout)
        view, cursor, _ = await asyncio.to_thread(self._implicit, deadline)
        try:
            return self._remember_newest(await await_frame(view, cursor, deadline))
        except StreamEnd:
            raise _stopped() from None

    def frames(self, policy: Policy = "latest", maxsize: int = 8, format: PixelFormat = "rgb24") -> FrameIterator:
        """Iterate with a choice of what happens when you are slower than the stream.

        ``"latest"``: each time the newest unseen frame. ``"drop_oldest"``: a queue of ``maxsize`` frames that lets its oldest
        go. ``"block"``: a queue that takes no more while it is full, so that what you get is consecutive. For both ``for``
        and ``async for``; ends when the stream stops, the room is left, or the loop does. ``format``: see `Frame.array`.
        """
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}: use one of {', '.join(POLICIES)}")
        if format not in FORMATS:
            raise ValueError(f"format {format!r}: use one of {', '.join(FORMATS)}")
        if not isinstance(maxsize, SupportsIndex) or operator.index(maxsize) < 1:
            raise ValueError(f"maxsize is a number of frames, at least 1, not {maxsize!r}")
        return FrameIterator(self.view, policy, operator.index(maxsize), format, self.skipped)

    def __iter__(self) -> FrameIterator:
        return self.frames()

    def __aiter__(self) -> FrameIterator:
        return self.frames()

    def take(self, n: int, timeout: float | None = 10.0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """``n`` consecutive frames: an array (n, height, width, 3) uint8 and their times (n,) float64 in Unix seconds.

        ``timeout`` is per frame. Where the picture's size changes, the later ones are scaled to the first, with a warning.
        """
        collector = Collector(n)
        with closing(self.frames("block", maxsize=n).within(timeout)) as frames:
            for frame in frames:
                if collector.add(self._remember(frame)):
                    break
        return collector.result()

    async def atake(self, n: int, timeout: float | None = 10.0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """`take` for coroutines."""
        collector = Collector(n)
        with closing(self.frames("block", maxsize=n).within(timeout)) as frames:
            async for frame in frames:
                if collector.add(self._remember(frame)):
                    break
        return collector.result()

    def map(self, fn: Callable[[NDArray[np.uint8]], Any]) -> MappedStream:
        """What ``fn`` makes of the frames, live: a stream to read or to publish. It runs only while somebody does.

        ``fn`` gets each frame's array, (height, width, 3) uint8, and returns a picture of any size; see `MappedStream`.

        >>> room.publish(room.camera.map(lambda picture: 255 - picture), name="negative")
        """
        from .publishing.mapped import MappedStream

        return MappedStream(self, fn)

    def stop(self) -> None:
        """Stop reading: loops over the stream end, and its sender stops sending. Reading again starts it again."""
        with self._lock:
            views, self._views = list(self._views.values()), {}
            self._cursor = self._cursor_view = None
        for view in views:
            view.close()

    @property
    def dropped(self) -> int:
        """Frames that came and were left out because something newer was there, in all loops, `latest` and `read`."""
        return self.skipped.total

    @property
    def fps(self) -> float:
        """Frames a second that came lately; 0.0 while nobody reads."""
        with self._lock:
            return max((view.fps for view in self._views.values() if not view.ended), default=0.0)

    @property
    def latency(self) -> float:
        """`Frame.latency` of the last frame that `latest`, `read` or `take` returned, in seconds; nan before the first."""
        return self._last.latency if self._last is not None else float("nan")

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of that frame; None before the first."""
        return None if self._last is None else (self._last.array.shape[0], self._last.array.shape[1])

    def __repr__(self) -> str:
        return f"<VideoStream {self._source.describe()}>"

    # What follows is for the kernel's other parts.

    @property
    def report(self) -> Callable[[BaseException], None] | None:
        """See `Source.report`."""
        return self._source.report

    def view(self, pixel_format: str, timeout: float | None) -> View:
        """The open view in this format; all readers of a format share one."""
        with self._lock:
            view = self._views.get(pixel_format)
        if view is None or not view.touch():
            opened = self._source.open(pixel_format, timeout)
            with self._lock:
                view = self._views.setdefault(pixel_format, opened)
                if view.ended:
                    view.close()
                    view = self._views[pixel_format] = opened
            if view is not opened:
                opened.close()  # another thread was faster
        return view

    def _implicit(self, deadline: Deadline) -> tuple[View, LatestCursor, bool]:
        """The cursor behind `latest` and `read`, and whether it is new: then no earlier frame counts."""
        view = self.view("rgb24", deadline.left)
        with self._lock:
            if self._cursor is not None and self._cursor_view is view:
                return view, self._cursor, False
            self._cursor, self._cursor_view = LatestCursor(view, self.skipped), view
            self._newest = None
            return view, self._cursor, True

    def _wait(self, view: View, cursor: LatestCursor, deadline: Deadline) -> Frame:
        try:
            return self._remember_newest(wait_frame(view, cursor, deadline))
        except StreamEnd:
            raise _stopped() from None

    def _remember(self, frame: Frame) -> Frame:
        self._last = frame
        return frame

    def _remember_newest(self, frame: Frame) -> Frame:
        """What `latest` repeats; of several threads the one with the newest frame counts."""
        with self._lock:
            if self._newest is None or frame.index > self._newest.index:
                self._newest = frame
        return self._remember(frame)


def _stopped() -> StreamNotFound:
    return StreamNotFound("the stream has stopped; read again to wait for the next one")
