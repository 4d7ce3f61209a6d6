"""Messages of one channel that arrived and were not read, and waiting for them (runs in the kernel)."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import RTCError, RTCTimeout
from .participants import Participant
from .reading import Deadline


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as the engine gave it."""

    sender: Participant
    header: bytes
    size: int
    body: bytes | memoryview


Taken = Callable[[int, int], None]
"""Told how many messages, of how many bytes altogether, have left the queue."""


class Arrivals:
    """Thread-safe. Where ``keep`` names a number of messages and bytes, the oldest beyond are dropped (the newest stays), and
    with ``latest`` of each sender all but the newest; else the engine lets no more come than there is room for."""

    def __init__(self, taken: Taken, keep: tuple[int, int] | None, latest: bool = False) -> None:
        self._taken = taken
        self._keep = keep
        self._latest = latest
        self._changed = threading.Condition()
        self._queue: deque[Arrived] = deque()
        self._size = 0
        self._listeners: set[Callable[[], None]] = set()
        self._over: RTCError | None = None

    @property
    def over(self) -> RTCError | None:
        """Why no more will come."""
        return self._over

    def put(self, message: Arrived) -> None:
        with self._changed:
            if self._over is not None:
                return
            if self._latest:
                self._drop_earlier(message.sender.id)
            self._queue.append(message)
            self._size += message.size
            if self._keep is not None:
                self._drop_oldest(*self._keep)
            self._changed.notify()
        if self._keep is not None:
            self._taken(1, message.size)  # the engine need not wait: it is we who drop
        self._wake()

    def take(self, deadline: Deadline) -> Arrived:
        """The oldest; waits for it. Errors: `RTCTimeout`, and why no more will come."""
        while (message := self.poll()) is None:  # also where another thread was faster
            with self._changed:
                if not self._changed.wait_for(lambda: self._queue or self._over, deadline.left):
                    raise RTCTimeout(f"no message within {deadline.timeout:g} s")
        return message

    async def atake(self, deadline: Deadline) -> Arrived:
        """`take` for coroutines."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        self.listen(wake)
        try:
            while (message := self.poll()) is None:
                await asyncio.wait_for(event.wait(), deadline.left)
                event.clear()
            return message
        except TimeoutError:
            raise RTCTimeout(f"no message within {deadline.timeout:g} s") from None
        finally:
            self.unlisten(wake)

    def poll(self) -> Arrived | None:
        """The oldest, or None. Errors: why no more will come."""
        with self._changed:
            if self._over is not None:
                raise self._over.again()
            if not self._queue:
                return None
            message = self._queue.popleft()
            self._size -= message.size
        if self._keep is None:
            self._taken(1, message.size)
        return message

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when a message comes, and at the end, in the engine's reader thread."""
        with self._changed:
            self._listeners.add(wake)

    def unlisten(self, wake: Callable[[], None]) -> None:
        with self._changed:
            self._listeners.discard(wake)

    def end(self, over: RTCError) -> None:
        """No more will come, and what waits is dropped; idempotent."""
        with self._changed:
            if self._over is not None:
                return
            self._over = over
            self._queue.clear()
            self._changed.notify_all()
        self._wake()

    def abandon(self, over: RTCError) -> None:
        """In a forked child of the kernel. The lock may be one that a lost thread holds."""
        self._changed = threading.Condition()
        self._over = over

    def _drop_earlier(self, sender: str) -> None:
        self._queue = deque(message for message in self._queue if message.sender.id != sender)
        self._size = sum(message.size for message in self._queue)

    def _drop_oldest(self, messages: int, size: int) -> None:
        while len(self._queue) > 1 and (len(self._queue) > messages or self._size > size):
            self._size -= self._queue.popleft().size

    def _wake(self) -> None:
        with self._changed:
            listeners = list(self._listeners)
        for wake in listeners:
            wake()
