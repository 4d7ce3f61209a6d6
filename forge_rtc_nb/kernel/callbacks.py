"""Runs a room's callbacks one after the other in a thread of their own (runs in the kernel)."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("forge_rtc_nb")

EVENTS = ("joined", "left", "updated", "stream", "stream-ended", "state", "error")

MAX_WAITING = 1024
"""Events that wait for a slow callback; beyond that the oldest are dropped, and the log says so once."""

Event = tuple[str, tuple[Any, ...]]
Work = Callable[[], None]


class Callbacks:
    """An ordered worker: an exception in a callback is logged with its traceback and raised as an ``"error"`` event."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._functions: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self._waiting: deque[Event | Work] = deque()
        """In order. Work is not dropped, however long it waits; whoever gives it bounds it."""
        self._events = 0
        """How many of those that wait are events."""
        self._thread: threading.Thread | None = None
        self._closed = False
        self._warned = False

    def on(self, event: str, function: Callable[..., Any]) -> None:
        if event not in EVENTS:
            raise ValueError(f"no event {event!r}: use one of {', '.join(EVENTS)}")
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        with self._changed:
            self._functions[event].append(function)
            self._start()

    def run(self, work: Work) -> None:
        """Do this in the thread, after all that waits there; called in any thread, never blocks.

        Work that has more to do asks for another turn at its end: events have theirs between.
        """
        with self._changed:
            self._start()
            if not self._closed:
                self._waiting.append(work)
                self._changed.notify()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="forge-rtc-callbacks", daemon=True)
            self._thread.start()

    def emit(self, event: str, *arguments: Any) -> None:
        """Queue an event; called in any thread, never blocks."""
        with self._changed:
            if self._thread is None or self._closed:
                return
            full = self._events == MAX_WAITING
            if full:
                self._drop_oldest()
            self._waiting.append((event, arguments))
            self._events += 1
            self._changed.notify()
            warn, self._warned = full and not self._warned, full or self._warned
        if warn:
            logger.warning("callbacks of this room are too slow: the oldest of %d waiting events are dropped", MAX_WAITING)

    def _drop_oldest(self) -> None:
        oldest = next(place for place, waiting in enumerate(self._waiting) if isinstance(waiting, tuple))
        del self._waiting[oldest]
        self._events -= 1

    def close(self) -> None:
        """End the thread after what is queued already; called in any thread, never blocks."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout: float = 5.0) -> None:
        """Wait for the end after `close`; may be called from a callback, which then does not wait for itself.

        Never from the engine's reader thread: a callback may wait for the engine's answer.
        """
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while self._next_turn():
            pass

    def _next_turn(self) -> bool:
        """One piece of work or one event; false at the end. What it was about is not kept while the next one is awaited."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return False
            turn = self._waiting.popleft()
            if not isinstance(turn, tuple):
                functions, event, arguments = [turn], "message", ()
            else:
                event, arguments = turn
                functions = list(self._functions.get(event, ()))
                self._events -= 1
        for function in functions:
            self._call(event, function, arguments)
        return True

    def _call(self, event: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            function(*arguments)
        except BaseException as error:  # an exit() in a callback must not end the thread, and all callbacks with it
            logger.exception("a callback for %r failed", event)
            if event != "error":  # or it would fail for ever
                self.emit("error", error)
