"""One publication as the notebook's user holds it: what is the same for pictures and for sound (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from ... import control
from ...errors import RTCError
from .complaints import Complaints, Report
from .outlet import Outlet

STOP_TIMEOUT = 2.0
"""Seconds that `Handle.stop` waits for the user's function or generator to come back."""

Out = TypeVar("Out", bound=Outlet[Any])


class Feed(Protocol):
    """What takes pictures or sound from the source."""

    def watch(self, watched: bool) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float) -> None: ...


class Handle(Generic[Out]):
    """The base of `Publication` and `AudioPublication`. Usable in ``with``."""

    def __init__(self, name: str, report: Report, closed: Callable[[], None], instead: str) -> None:
        self.name = name
        """As the others see it; unique among what this kernel publishes in the room."""
        self.report = report
        self._closed = closed
        self._complaints = Complaints(f"the source of publication {name!r}", instead)
        self._lock = threading.Lock()
        self._feed: Feed | None = None
        self._outlet: Out | None = None
        self._seen = control.PublicationState("", 0, 0)
        self._over: RTCError | None = None

    @property
    def state(self) -> Literal["live", "ended"]:
        """``ended`` after `stop`, the end of its source or of the room, or another publication of that name."""
        return "live" if self._over is None else "ended"

    @property
    def viewers(self) -> int:
        """How many watch, or listen, at the moment; a source that is asked for more gives nothing while it is 0."""
        return self._seen.viewers if self._over is None else 0

    def stop(self) -> None:
        """End the stream; idempotent. Waits a moment for a function or a generator that is at work, which then is not called
        any more."""
        self.end(RTCError(f"publication {self.name!r} was stopped: publish again"))
        self.halt()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        viewers = f", {self.viewers} viewer{'' if self.viewers == 1 else 's'}" if self._over is None else ""
        return f"<{type(self).__name__} {self.name!r}: {self.state}{viewers}>"

    # What follows is for the room, and for the source's thread (`runner.Host`).

    def begin(self, outlet: Out, feed: Feed | None) -> None:
        """The engine has taken it."""
        with self._lock:
            over = self._over
            if over is None:
                self._outlet, self._feed = outlet, feed
        if over is not None:  # the room was left meanwhile
            outlet.close()
            raise over.again()
        self._watch()

    def on_engine(self, message: control.PublicationState | control.PublicationFault | control.PublicationEnded) -> None:
        """In the engine's reader thread."""
        match message:
            case control.PublicationState():
                self._seen = message
                self._watch()
            case control.PublicationFault(message=text):
                self.complain(RTCError(f"publication {self.name!r}: {text}"))
            case control.PublicationEnded(message=text):
                self.end(RTCError(f"publication {self.name!r} has ended: {text or 'another one took its name'}"))

    def _watch(self) -> None:
        if self._feed is not None and self._over is None:
            self._feed.watch(self._seen.viewers > 0)

    def complain(self, error: BaseException) -> None:
        self._complaints.tell(error, [self.report])

    def over(self) -> None:
        self.end(RTCError(f"publication {self.name!r} has ended, as its source has: publish again"))

    def halt(self) -> None:
        """Take no more; another publication is about to take the name, and maybe the source."""
        if self._feed is not None:
            self._feed.stop()
            self._feed.join(STOP_TIMEOUT)

    def end(self, over: RTCError) -> None:
        """No more comes; in any thread, never blocks for long. Once."""
        with self._lock:
            if self._over is not None:
                return
            self._over = over
        if self._feed is not None:
            self._feed.stop()
        if self._outlet is not None:
            self._outlet.close()
        self._closed()

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel."""
        self._lock = threading.Lock()
        self._over = over
        self._feed = None
        if self._outlet is not None:
            self._outlet.abandon()
