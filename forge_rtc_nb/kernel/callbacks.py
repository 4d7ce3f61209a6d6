"""Runs a room's callbacks one after the other in a thread of their own (runs in the kernel)."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("forge_rtc_nb")

EVENTS = ("joined", "left", "updated", "stream", "stream-ended", "state", "error")

MAX_WAITING = 1024
"""Events that wait for a slow callback; beyond that the oldest are dropped, and the log says so once."""


class Callbacks:
    """An ordered worker: an exception in a callback is logged with its traceback and raised as an ``"error"`` event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self._queue: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(MAX_WAITING)
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """Work that is not dropped, however long it waits; an event ``""`` stands for it in the queue."""
        self._thread: threading.Thread | None = None
        self._closed = False
        self._warned = False

    def on(self, event: str, function: Callable[..., Any]) -> None:
        if event not in EVENTS:
            raise ValueError(f"no event {event!r}: use one of {', '.join(EVENTS)}")
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        with self._lock:
            self._functions[event].append(function)
            self._start()

    def run(self, work: Callable[[], None]) -> None:
        """Do this in the thread; called in any thread, never blocks. Whoever calls bounds how much waits."""
        with self._lock:
            self._start()
        self._work.put(work)
        self.emit("")

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="forge-rtc-callbacks", daemon=True)
            self._thread.start()

    def emit(self, event: str, *arguments: Any) -> None:
        """Queue an event; called in any thread, never blocks."""
        if self._thread is None or self._closed:
            return
        while True:
            try:
                self._queue.put_nowait((event, arguments))
                return
            except queue.Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._queue.get_nowait()
        if not self._warned:
            self._warned = True
            logger.warning("callbacks of this room are too slow: the oldest of %d waiting events are dropped", MAX_WAITING)

    def close(self) -> None:
        """End the thread after what is queued already; called in any thread, never blocks."""
        with self._lock:
            started, self._closed = self._thread is not None and not self._closed, True
        if started:
            self._put_end()

    def join(self, timeout: float = 5.0) -> None:
        """Wait for the end after `close`; may be called from a callback, which then does not wait for itself.

        Never from the engine's reader thread: a callback may wait for the engine's answer.
        """
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _put_end(self) -> None:
        while True:
            try:
                self._queue.put_nowait(None)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):  # the thread took it meanwhile
                    self._queue.get_nowait()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            event, arguments = item
            self._do_work()
            with self._lock:
                functions = list(self._functions.get(event, ()))
            for function in functions:
                self._call(event, function, arguments)

    def _do_work(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._work.get_nowait()()

    def _call(self, event: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            function(*arguments)
        except Exception as error:
            logger.exception("a callback for %r failed", event)
            if event != "error":  # or it would fail for ever
                self.emit("error", error)
