"""A stream as the source of a publication (runs in the kernel)."""

from __future__ import annotations

import time

from ...errors import RTCError
from ..frames import Frame
from .complaints import Report
from .pixels import Pixels
from .relay import Relay
from .runner import Host


class Tap:
    """A `relay.Sink` while somebody watches: pictures go to the engine in the thread that they were made in."""

    def __init__(self, relay: Relay, fps: float, host: Host) -> None:
        self._relay = relay
        self._period = 1.0 / fps
        self._host = host
        self._due = 0.0

    @property
    def report(self) -> Report:
        return self._host.report

    def watch(self, watched: bool) -> None:
        (self._relay.add if watched else self._relay.remove)(self)

    def stop(self) -> None:
        self._relay.remove(self)

    def join(self, timeout: float) -> None:
        self._relay.join(timeout)

    def wants(self) -> bool:
        # Half a picture of patience: a stream of just this rate is not even.
        return time.monotonic() > self._due - self._period / 2

    def take(self, pixels: Pixels, frame: Frame) -> None:
        self._due = max(self._due + self._period, time.monotonic())
        try:
            self._host.show(pixels, frame.time)
        except RTCError:
            self.stop()  # the engine is gone, and the room tells so
        except Exception as error:
            self._host.complain(error)

    def fail(self, error: RTCError | None, final: bool) -> None:
        if error is not None:
            self._host.complain(error)
        if final:
            self._host.over()
