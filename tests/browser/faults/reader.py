"""Reads a stream in a thread and remembers when what came (runs in a notebook's kernel)."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from typing import Any

import forge_rtc_nb as rtc


class Reader:
    """``for frame in stream`` from now on, in the background; and the room's events, where they are wanted."""

    def __init__(self, room: rtc.Room, stream: Any = None, events: bool = True) -> None:
        self.arrivals: deque[float] = deque(maxlen=4000)
        """Unix seconds at which the last frames came: two minutes of them."""
        self.taken = 0
        self.last: rtc.Frame | None = None
        self.events: deque[list[str]] = deque(maxlen=1000)
        self.end = ""
        """The type of the error that ended the loop; "stopped" where none did."""
        self._stream = room.camera if stream is None else stream
        if events:
            self._listen(room)
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def _listen(self, room: rtc.Room) -> None:
        for event in ("joined", "left"):
            room.on(event, lambda person, event=event: self.events.append([event, person.id]))
        room.on("updated", lambda person: self.events.append([person.state, person.id]))
        room.on("error", lambda error: self.events.append(["error", type(error).__name__]))

    def _read(self) -> None:
        try:
            for frame in self._stream:
                self.last = frame
                self.taken += 1
                self.arrivals.append(time.time())
            self.end = "stopped"
        except rtc.RTCError as error:
            self.end = type(error).__name__

    def count(self, since: float) -> int:
        """How many frames came after a moment, in Unix seconds."""
        return sum(arrival > since for arrival in tuple(self.arrivals))

    def gap(self, since: float) -> float:
        """The longest time without a frame between that moment and now."""
        moments = [since, *(arrival for arrival in tuple(self.arrivals) if arrival > since), time.time()]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def said(self, *events: str) -> list[str]:
        """The arguments of these events, in their order."""
        return [argument for event, argument in tuple(self.events) if event in events]
