"""What waits to be sent over signaling: in turn for each receiver, and no faster than the server takes it (engine process)."""

from __future__ import annotations

import asyncio
from collections import deque

from .. import protocol, sdp
from ..errors import InvalidMessage
from ..protocol import Answer, Limits, Message, Offer
from .pace import Pace

SHARE = 0.8
"""Of the server's limits: its clock and ours do not agree on when a second begins."""
ROOM_FOR_SENDER = 128
"""Bytes that the server adds to a message that it passes on."""
MAX_WAITING = 64
"""Messages for one receiver; what comes beyond is dropped, and peers say again what still holds (`Peer.resubscribe`)."""


class Outbox:
    """Bounded: `put` drops what is beyond `MAX_WAITING` for a receiver, and a newer answer or offer replaces one that waits.

    Others' messages decide how much an engine has to answer. Each receiver has a queue of its own, so that one who
    makes us say much delays only itself; messages to the server itself go first.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[str, str]]] = {}
        """Receiver, "" for the server -> (type, text) of each message."""
        self._filled = asyncio.Event()
        self._limits: tuple[int, float] | None = None
        self.limit(100, 50.0, protocol.MAX_MESSAGE)

    def limit(self, burst: int, rate: float, message_bytes: int) -> None:
        """The server's limits, as its welcome tells them; forgets what was meant for the connection before."""
        if self._limits != (burst, rate):  # the server counts on, whatever connection this is
            self._limits = (burst, rate)
            self._pace = Pace(max(1.0, SHARE * burst), SHARE * rate)
        self._message_bytes = message_bytes
        self._queues.clear()
        self._filled.clear()

    def obey(self, limits: Limits) -> None:
        self.limit(limits.burst, limits.messages_per_second, limits.message_bytes)

    def put(self, message: Message) -> bool:
        """False where there is no room. `InvalidMessage` or `InvalidSDP` for what the server would refuse."""
        text = self._checked(message)
        kind, queue = type(message).__name__, self._queues.setdefault(message.to or "", deque())
        if isinstance(message, Answer | Offer):
            older = [waiting for waiting in queue if waiting[0] == kind]
            for waiting in older:
                queue.remove(waiting)
        if len(queue) >= MAX_WAITING:
            return False
        queue.append((kind, text))
        self._filled.set()
        return True

    async def get(self) -> str:
        """The next message, once it may be sent."""
        while True:
            await self._filled.wait()
            if (delay := self._pace.delay()) > 0:
                await asyncio.sleep(delay)
            elif (text := self._next()) is not None:
                self._pace.take()
                return text

    def _next(self) -> str | None:
        receiver = "" if "" in self._queues else next(iter(self._queues), None)
        if receiver is None:
            self._filled.clear()
            return None
        queue = self._queues.pop(receiver)
        _, text = queue.popleft()
        if queue:
            self._queues[receiver] = queue  # at the end: the others have their turn
        return text

    def _checked(self, message: Message) -> str:
        if isinstance(message, Answer | Offer):
            sdp.check_sdp(message.sdp.sdp)
        text = protocol.encode(message)
        size = len(text.encode())
        if size > self._message_bytes - ROOM_FOR_SENDER:
            raise InvalidMessage(f"a {type(message).__name__} of {size} bytes is more than the server passes on")
        return text
