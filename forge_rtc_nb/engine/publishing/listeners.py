"""Those who hear a publication: each gets every packet, encoded once for all (engine process, event loop)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..aiortc_compat.packets import Packets

MOST_WAITING = 10
"""Packets that wait for a listener's connection, 0.2 s; the oldest goes, since late sound is of no use."""


class Listener:
    """The source of one sender's packets (`packet_sender.FrameSource`)."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._waiting: deque[Packets] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()
        self._closed = False

    async def next_frame(self, codec: str) -> Packets | None:
        """Waits for a packet; None when the listener is closed. Listens from the first call on."""
        if not self._closed:
            self._listeners.add(self)
        while not self._waiting and not self._closed:
            self._news.clear()
            await self._news.wait()
        return None if self._closed else self._waiting.popleft()

    def offer(self, packet: Packets) -> None:
        if len(self._waiting) == MOST_WAITING:
            self._listeners.dropped += 1
        self._waiting.append(packet)
        self._news.set()

    def ask_keyframe(self) -> None:
        """Every packet of sound is one."""

    def report_bitrate(self, bitrate: float) -> None:
        """Sound is small: its bitrate stays."""

    def report_loss(self, lost: int, highest: int) -> None:
        """What is lost is not sent again; each packet holds a copy of the one before."""

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        self._news.set()
        self._listeners.remove(self)


class Listeners:
    """``audience`` is told their number whenever it changes."""

    def __init__(self, audience: Callable[[int], None]) -> None:
        self._audience = audience
        self._present: set[Listener] = set()
        self.dropped = 0
        """Packets that listeners did not get as their connection was too slow, over all of them."""

    def viewer(self) -> Listener:
        """One more, from its first `Listener.next_frame` to its `close`."""
        return Listener(self)

    @property
    def count(self) -> int:
        return len(self._present)

    def add(self, listener: Listener) -> None:
        if listener not in self._present:
            self._present.add(listener)
            self._audience(self.count)

    def remove(self, listener: Listener) -> None:
        if listener in self._present:
            self._present.discard(listener)
            self._audience(self.count)

    def send(self, packet: Packets) -> None:
        for listener in self._present:
            listener.offer(packet)

    def close(self) -> None:
        for listener in list(self._present):
            listener.close()
