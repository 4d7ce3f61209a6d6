"""Says that this kernel is alive while its pictures are watched: whoever watches is told when it is not (runs in the kernel).

A thread that runs twice a second. Where it does not run no other thread does either: something holds the interpreter (a long
call into C, a stopped process), and no source gives pictures. A source that just has none is no such case.
"""

from __future__ import annotations

import threading
from typing import Protocol

PERIOD = 0.5
"""Seconds; the engine becomes suspicious after `engine.published.SILENCE`."""


class Alive(Protocol):
    """A publication that is watched."""

    def pulse(self) -> None: ...


class Pulse:
    """Has a thread while somebody is watched."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: set[Alive] = set()
        self._thread: threading.Thread | None = None

    def watch(self, publication: Alive, watched: bool) -> None:
        """Idempotent."""
        with self._changed:
            if watched:
                self._watched.add(publication)
            else:
                self._watched.discard(publication)
            if self._watched and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forge-rtc-pulse", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def forget(self) -> None:
        """In a forked child: thread and lock are the parent's."""
        self._changed, self._watched, self._thread = threading.Condition(), set(), None

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._watched:
                    self._thread = None
                    return
                present = list(self._watched)
            for publication in present:
                publication.pulse()
            with self._changed:
                if self._watched:
                    self._changed.wait(PERIOD)


pulse = Pulse()
"""One for the process: what it tells is the process's own."""
