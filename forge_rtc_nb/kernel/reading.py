"""Waiting for frames, blocking and async, and iteration over them (runs in the kernel)."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Callable
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ..errors import RTCError, RTCTimeout, StreamNotFound
from .frames import Frame
from .views import Cursor, LatestCursor, QueueCursor, Tally, View

OpenView = Callable[[str, float | None], View]
"""Opens (or finds) the view in a pixel format, waiting at most that many seconds for the stream to be there."""


class Deadline:
    """What is left of a timeout in seconds; None is for ever."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout

    @property
    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())


class StreamEnd(Exception):
    """The stream stopped, without a fault."""


def wait_frame(view: View, cursor: Cursor, deadline: Deadline) -> Frame:
    """Block until the cursor has a frame. Errors: `StreamEnd`, what ended the view, `ConnectionFailed`, `RTCTimeout`."""
    while True:
        if (picture := cursor.poll()) is not None:
            return view.frame(picture)
        _check_end(view)
        if not view.wait(lambda: cursor.ready, deadline.left):
            raise _silence(view, deadline)


async def await_frame(view: View, cursor: Cursor, deadline: Deadline) -> Frame:
    """`wait_frame` for coroutines."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    view.subscribe(wake)
    try:
        while True:
            event.clear()
            if (picture := cursor.poll()) is not None:
                return view.frame(picture)
            _check_end(view)
            await asyncio.wait_for(event.wait(), deadline.left)
    except TimeoutError:
        raise _silence(view, deadline) from None
    finally:
        view.unsubscribe(wake)


def _check_end(view: View) -> None:
    if view.ended:
        raise view.error.again() if view.error is not None else StreamEnd


def _silence(view: View, deadline: Deadline) -> RTCError:
    return (
        view.fault.again()
        if view.fault is not None
        else RTCTimeout(
            f"no frame within {deadline.timeout:g} s: the sender is connected but sends nothing "
            "(its tab may be frozen in the background, or the network blocks media: see Troubleshooting in the README)"
        )
    )


class FrameIterator:
    """Frames of one stream, for ``for`` and ``async for``; each iterator has a cursor of its own.

    The view opens at the first step, and is let go at the end of the stream, at any error (an interrupt too: its traceback
    would keep the iterator alive), by `close`, or when the iterator is dropped.
    """

    def __init__(self, open_view: OpenView, policy: str, maxsize: int, pixel_format: str, skipped: Tally) -> None:
        self._open_view = open_view
        self._policy = policy
        self._maxsize = maxsize
        self._format = pixel_format
        self._skipped = skipped
        self._timeout: float | None = None
        self._view: View | None = None
        self._cursor: Cursor | None = None
        self._done = False

    def within(self, timeout: float | None) -> FrameIterator:
        """Raise `RTCTimeout` where a frame takes longer than this many seconds."""
        self._timeout = timeout
        return self

    def __iter__(self) -> FrameIterator:
        return self

    def __next__(self) -> Frame:
        if self._done:
            raise StopIteration
        try:
            view, cursor = self._opened() or self._start(self._open_view(self._format, self._opening_timeout))
            return wait_frame(view, cursor, Deadline(self._timeout))
        except StreamEnd:
            self.close()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> FrameIterator:
        return self

    async def __anext__(self) -> Frame:
        if self._done:
            raise StopAsyncIteration
        try:
            opened = self._opened()
            if opened is None:
                opened = self._start(await asyncio.to_thread(self._open_view, self._format, self._opening_timeout))
            return await await_frame(*opened, Deadline(self._timeout))
        except StreamEnd:
            self.close()
            raise StopAsyncIteration from None
        except BaseException:
            self.close()
            raise

    @property
    def _opening_timeout(self) -> float:
        return 10.0 if self._timeout is None else self._timeout

    def _opened(self) -> tuple[View, Cursor] | None:
        if self._view is None or self._cursor is None:
            return None
        return self._view, self._cursor

    def _start(self, view: View) -> tuple[View, Cursor]:
        view.hold()
        cursor: Cursor
        if self._policy == "latest":
            cursor = LatestCursor(view, self._skipped)
        else:
            cursor = QueueCursor(view, self._policy, self._maxsize, self._skipped)
        self._view, self._cursor = view, cursor
        return view, cursor

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._done = True
        view, cursor = self._view, self._cursor
        self._view = self._cursor = None
        if view is not None and cursor is not None:
            cursor.close()
            view.let_go()

    def __del__(self) -> None:
        self.close()


class Collector:
    """Gathers ``n`` frames of one size for `VideoStream.take`, straight into the array that it returns."""

    def __init__(self, n: int) -> None:
        if not isinstance(n, SupportsIndex) or operator.index(n) < 1:
            raise ValueError(f"take(n) needs a number of frames, at least one, not {n!r}")
        self._n = operator.index(n)
        self._count = 0
        self._frames: NDArray[np.uint8] | None = None
        self._times = np.empty(self._n, np.float64)
        self._warned = False

    def add(self, frame: Frame) -> bool:
        """True when it is complete. `MemoryError` at the first frame where so many do not fit."""
        if self._frames is None:
            self._frames = np.empty((self._n, *frame.array.shape), np.uint8)
        self._frames[self._count] = self._fitted(frame.array, self._frames.shape[1:])
        self._times[self._count] = frame.time
        self._count += 1
        return self._count >= self._n

    def result(self) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        if self._frames is None or self._count < self._n:
            raise StreamNotFound(f"the stream stopped after {self._count} of {self._n} frames")
        return self._frames, self._times

    def _fitted(self, array: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        if array.shape == shape:
            return array
        self._warn()
        return _scaled(array, shape)

    def _warn(self) -> None:
        if not self._warned:
            import warnings

            warnings.warn("the picture's size changed: later frames are scaled to the first", RuntimeWarning, stacklevel=4)
            self._warned = True


def _scaled(array: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    from PIL import Image

    image: Any = Image.fromarray(array).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8)
