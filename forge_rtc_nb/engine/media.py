"""Decoded pictures into the rings of those who read them (engine process, called from decoder threads)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

import av

from ..ring import Writer
from .conversion import Converter


class Closable(Protocol):
    """One ring that a kernel reads."""

    def close(self) -> None: ...


class View:
    """One ring that a kernel reads, in one pixel format. ``notify`` is called, in any thread, when it must be told."""

    def __init__(self, writer: Writer, pixel_format: str, notify: Callable[[], None], fail: Callable[[str], None]) -> None:
        self._writer = writer
        self._format = pixel_format
        self._converter = Converter(pixel_format)
        self._notify = notify
        self._fail = fail

    def write(self, picture: av.VideoFrame, captured: float, index: int) -> None:
        """Convert the picture straight into the next slot."""
        try:
            # Odd sizes have no yuv420p array; the last row or column is left out.
            even = self._format == "yuv420p"
            height, width = (picture.height & ~1, picture.width & ~1) if even else (picture.height, picture.width)
            pixels = self._writer.begin(height, width, self._format)
        except MemoryError as error:
            self._fail(str(error))
            return
        self._converter.convert(picture, pixels)
        del pixels
        if self._writer.end(captured, index):
            self._notify()

    def close(self) -> None:
        self._writer.close()


V = TypeVar("V", bound=Closable)


class Viewed(Generic[V]):
    """Who reads a stream: the base of what takes its pictures, or its sound."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[int, V] = {}

    def open(self, number: int, view: V) -> None:
        with self._lock:
            self._views[number] = view

    def close(self, number: int) -> None:
        with self._lock:
            view = self._views.pop(number, None)
            if view is not None:
                view.close()

    def forget(self) -> None:
        """Nobody reads: nothing is kept for those who will."""

    @property
    def view_numbers(self) -> list[int]:
        with self._lock:
            return list(self._views)


class StreamSink(Viewed[View]):
    """Takes the pictures of one stream; converts them only for the views that are open.

    Keeps the newest picture, so that a view that opens between two pictures has one at once.
    """

    kind: Literal["video"] = "video"

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[av.VideoFrame, float, float] | None = None
        self._index = 0

    def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None:
        with self._lock:
            self._last = (picture, captured, time.monotonic())
            index, self._index = self._index, self._index + 1
            if fresh:
                for view in self._views.values():
                    view.write(picture, captured, index)

    def open(self, number: int, view: View) -> None:
        with self._lock:
            self._views[number] = view
            # A picture from before a pause is not "the newest": it would be shown as live.
            if self._last is not None and time.monotonic() - self._last[2] < 0.5:
                view.write(self._last[0], self._last[1], max(self._index - 1, 0))

    def forget(self) -> None:
        with self._lock:
            self._last = None
