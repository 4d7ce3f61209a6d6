"""The streams that this engine reads from one room, and who reads them (engine process)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..protocol import MediaKind
from .media import StreamSink, View
from .sound import SoundView, StreamSound

Sink = StreamSink | StreamSound

LINGER = 5.0
"""Seconds that a stream stays subscribed after its last view closed: asking for it again costs a keyframe."""


class RemoteStream:
    """One stream of one participant: subscribed to while it has views, and a little longer."""

    def __init__(self, kind: MediaKind, subscribe: Callable[[Sink], None], unsubscribe: Callable[[], None]) -> None:
        self.sink: Sink = StreamSink() if kind == "video" else StreamSound()
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self._subscribed = False
        self._timer: asyncio.TimerHandle | None = None

    def use(self) -> None:
        """A view opens."""
        self._cancel_timer()
        if not self._subscribed:
            self._subscribed = True
            self._subscribe(self.sink)

    def open(self, number: int, view: View | SoundView) -> None:
        """Have it written to the view; `ValueError` where that is for something else."""
        match self.sink, view:
            case StreamSink() as pictures, View():
                pictures.open(number, view)
            case StreamSound() as sound, SoundView():
                sound.open(number, view)
            case _:
                raise ValueError("pictures are not sound")

    def release(self) -> None:
        """A view closed."""
        if not self.sink.view_numbers and self._subscribed and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER, self._let_go)

    def _let_go(self) -> None:
        self._timer = None
        self._subscribed = False
        self._unsubscribe()
        self.sink.forget()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> list[int]:
        """The stream is gone; returns the views that it still has."""
        self._cancel_timer()
        return self.sink.view_numbers
