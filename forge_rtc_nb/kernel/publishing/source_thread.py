"""A thread that takes from a source while somebody watches or listens: its beginning, pauses and end (runs in the kernel)."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from .source import Source


class Owner(Protocol):
    """The publication that things are taken for; all is called in the thread that takes them."""

    name: str

    def complain(self, error: BaseException) -> None:
        """The user's code failed, or gave what cannot be sent."""

    def over(self) -> None:
        """No more will come."""


Host = TypeVar("Host", bound=Owner)


class SourceThread(ABC, Generic[Host]):
    """Begins when it is needed for the first time, and ends with `stop` or with the source."""

    def __init__(self, source: Source, host: Host) -> None:
        self._source = source
        self._host = host
        self._changed = threading.Condition()
        self._watched = False
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def _needed(self) -> bool:
        """It is to take from the source now."""
        return self._watched

    @abstractmethod
    def _run(self) -> None:
        """The thread; it calls `_close` at its end."""

    def watch(self, watched: bool) -> None:
        """Take from now on, or pause."""
        with self._changed:
            self._watched = watched
            if self._needed and self._thread is None and not self._stopped:
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

    def _close(self) -> None:
        try:
            self._source.close()
        except BaseException as error:  # what a generator's `finally` raises
            self._host.complain(error)
