"""The thread that takes pictures from a source, at most so many a second, while somebody watches (runs in the kernel)."""

from __future__ import annotations

import time
from typing import Protocol

from ...errors import RTCError
from .complaints import Report
from .pixels import Pixels, look
from .source import NOTHING_NEW, Ended, Source
from .source_thread import Owner, SourceThread

MAX_PAUSE = 1.0
"""Seconds between two tries of a source that fails again and again."""


class Host(Owner, Protocol):
    """The publication that pictures are for."""

    report: Report

    def show(self, pixels: Pixels, captured: float) -> bool:
        """Captured at that Unix second; false where it is over."""


class Runner(SourceThread[Host]):
    def __init__(self, source: Source, fps: float, host: Host) -> None:
        super().__init__(source, host)
        self._period = 1.0 / fps
        self._failures = 0
        """Without a good picture in between."""

    def _run(self) -> None:
        due = time.monotonic()
        while self._wait(due):
            began = time.monotonic()
            if not self._step():
                break
            due += self._period
            if due < began:  # late by more than a picture: these are left out
                due = began + self._period
            if self._failures:
                due = time.monotonic() + min(MAX_PAUSE, self._period * 2 ** min(self._failures, 20))
        self._close()
        if not self._stopped:
            self._host.over()

    def _wait(self, due: float) -> bool:
        """Until it is time for the next picture, and somebody watches; false at the end."""
        with self._changed:
            while not self._stopped:
                left = due - time.monotonic()
                if self._needed and left <= 0:
                    return True
                self._changed.wait(left if self._needed else None)
        return False

    def _step(self) -> bool:
        """One picture; false where there will be no more."""
        try:
            value = self._source.take()
        except Ended:
            return False
        except BaseException as error:  # an exit() too: its thread is no place to end a kernel from
            if self._stopped:
                return False
            self._failures += 1
            self._host.complain(error)
            return self._source.lasts
        return value is NOTHING_NEW or self._show(value)

    def _show(self, value: object) -> bool:
        try:
            alive = self._host.show(look(value), time.time())
        except RTCError:
            return False  # the engine is gone, and the room tells so
        except Exception as error:
            self._failures += 1
            self._host.complain(error)
            return True
        self._failures = 0
        return alive
