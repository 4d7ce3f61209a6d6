"""The thread that takes pictures from a source, at most so many a second, while somebody watches (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from ...errors import RTCError
from .complaints import Report
from .pixels import Pixels, look
from .source import NOTHING_NEW, Ended, Source

MAX_PAUSE = 1.0
"""Seconds between two tries of a source that fails again and again."""


class Host(Protocol):
    """The publication that pictures are for; all is called in the thread that makes them."""

    name: str
    report: Report

    def show(self, pixels: Pixels, captured: float) -> bool:
        """Captured at that Unix second; false where it is over."""

    def complain(self, error: BaseException) -> None:
        """The user's code failed, or gave what is no picture."""

    def over(self) -> None:
        """No more pictures will come."""


class Runner:
    """Begins a thread when somebody watches for the first time, which ends with `stop` or with the source."""

    def __init__(self, source: Source, fps: float, host: Host) -> None:
        self._source = source
        self._period = 1.0 / fps
        self._host = host
        self._changed = threading.Condition()
        self._watched = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._failures = 0
        """Without a good picture in between."""

    def watch(self, watched: bool) -> None:
        """Take pictures from now on, or pause."""
        with self._changed:
            self._watched = watched
            if watched and self._thread is None and not self._stopped:
                name = f"forge-rtc-publish-{self._host.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread as soon as the user's code comes back; idempotent."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify_all()
        self._source.interrupt()
        if self._thread is None:
            self._close()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread after `stop`, unless this is the thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

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
                if self._watched and left <= 0:
                    return True
                self._changed.wait(left if self._watched else None)
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

    def _close(self) -> None:
        try:
            self._source.close()
        except BaseException as error:  # what a generator's `finally` raises
            self._host.complain(error)
