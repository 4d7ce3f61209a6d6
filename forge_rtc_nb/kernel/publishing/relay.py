"""The newest frames of a stream, changed by a function, for all who want them (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import RTCError, StreamNotFound
from ..frames import Frame
from ..views import LatestCursor, View
from .complaints import Complaints, Report
from .pixels import Pixels, look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..streams import PixelFormat, VideoStream

OPEN_TIMEOUT = 1.0
"""Seconds between two tries to find a stream that is not there; who wants nothing any more is let go as late."""

Change = Callable[[Any], Any]


class Sink(Protocol):
    """Whoever wants the pictures. All but `wants` and `take` of the last one may still be called after `Relay.remove`."""

    @property
    def report(self) -> Report | None:
        """Where errors of the function are shown, too."""

    def wants(self) -> bool:
        """Whether it would use a picture now."""

    def take(self, pixels: Pixels, frame: Frame) -> None:
        """One picture, which is not changed any more before this returns, and the frame that it was made of."""

    def fail(self, error: RTCError | None, final: bool) -> None:
        """Nothing comes: the stream is not there, or stopped (None); ``final`` where it will not come again."""


class Relay:
    """Has a thread while it has a sink. The function runs there, once a frame, and only where a sink wants the picture."""

    def __init__(self, stream: VideoStream, pixel_format: PixelFormat, change: Change | None, what: str) -> None:
        self._stream = stream
        self._format = pixel_format
        self._change = change
        self._complaints = Complaints(what)
        self._lock = threading.Lock()
        self._sinks: tuple[Sink, ...] = ()
        self._thread: threading.Thread | None = None
        self._news = threading.Event()

    @property
    def change(self) -> Change | None:
        """Array to array; None leaves the pictures as they are."""
        return self._change

    @change.setter
    def change(self, change: Change) -> None:
        self._change = change
        self._complaints.forget()

    def add(self, sink: Sink) -> None:
        """Give it pictures from now on; idempotent."""
        with self._lock:
            if sink not in self._sinks:
                self._sinks = (*self._sinks, sink)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forge-rtc-relay", daemon=True)
                self._thread.start()

    def remove(self, sink: Sink) -> None:
        """Idempotent."""
        with self._lock:
            self._sinks = tuple(other for other in self._sinks if other is not sink)
        self._news.set()

    def join(self, timeout: float) -> None:
        """Wait until the function does not run any more, where no sink is left."""
        thread = self._thread
        if not self._sinks and thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while self._go_on():
            if (view := self._open()) is not None:
                with self._reading(view) as cursor:
                    self._follow(view, cursor)
                if view.ended:
                    self._fail(None if view.error is None else view.error.again(), final=False)

    def _go_on(self) -> bool:
        with self._lock:
            if not self._sinks:
                self._thread = None
            return bool(self._sinks)

    def _open(self) -> View | None:
        try:
            return self._stream.view(self._format, OPEN_TIMEOUT)
        except StreamNotFound as error:
            self._fail(error, final=False)
        except RTCError as error:
            self._fail(error, final=True)
        return None

    def _fail(self, error: RTCError | None, final: bool) -> None:
        for sink in self._sinks:
            sink.fail(error, final)
            if final:
                self.remove(sink)

    @contextmanager
    def _reading(self, view: View) -> Iterator[LatestCursor]:
        view.hold()
        view.subscribe(self._news.set)
        cursor = LatestCursor(view, self._stream.skipped)
        try:
            yield cursor
        finally:
            view.unsubscribe(self._news.set)
            view.let_go()

    def _follow(self, view: View, cursor: LatestCursor) -> None:
        while self._sinks and not view.ended:
            # First the flag, then the frame: one that comes in between is seen in the next round.
            self._news.clear()
            if any(sink.wants() for sink in self._sinks) and (picture := cursor.poll()) is not None:
                self._give(view.frame(picture))
            elif self._sinks and not view.ended:
                self._news.wait()

    def _give(self, frame: Frame) -> None:
        change, sinks = self._change, self._sinks
        try:
            pixels = Pixels(frame.array, frame.format) if change is None else look(change(frame.array))
        except BaseException as error:  # an exit() too: its thread is no place to end a kernel from
            reports = {self._stream.report, *(sink.report for sink in sinks)}
            self._complaints.tell(error, [report for report in reports if report is not None])
            return
        for sink in sinks:
            sink.take(pixels, frame)
