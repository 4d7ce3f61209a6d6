"""Two engines in one process, and the signaling between them (test process)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.outlet import Outlet, Parcel
from forge_rtc_nb.engine.datalink import Port
from forge_rtc_nb.engine.peer import Peer
from forge_rtc_nb.engine.published import PublishedStream
from forge_rtc_nb.protocol import Message, Negotiate, Subscribe, Unsubscribe
from tests.unit.data_channels import Queue


class Side:
    """One engine: its peer, what it has to say to the other one, and what arrived."""

    def __init__(self, me: str, other: str) -> None:
        self.me = me
        self.sent: list[Message] = []
        self.faults: list[str] = []
        self.lose: Callable[[Message], bool] = lambda message: False
        self.queue = Queue(named=False)
        self.outlet = Outlet()
        self.published: dict[str, PublishedStream] = {}
        self.peer = Peer(other, self._send, self._ice, self.faults.append, published=self.published.get, offers=me < other)
        self.there: Side | None = None

    def want(self) -> None:
        """Have the data channel ``x``."""
        self.peer.data.open(Port("x", self.outlet, Inlet(self.queue)))
        self.peer.need()

    def say(self, text: str) -> None:
        self.outlet.put(Parcel(f'"{text}"'.encode(), b"", lambda: None))
        self.peer.data.pump()

    @property
    def heard(self) -> list[str]:
        return [header.decode() for header, _ in self.queue.messages]

    def of(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.sent if isinstance(message, kind)]

    def _send(self, message: Message) -> None:
        self.sent.append(message)
        if self.there is None or self.lose(message):
            return
        arrived: Any = msgspec.structs.replace(message, from_=self.me)
        if isinstance(arrived, Negotiate):
            self.there.peer.negotiate(arrived)
        elif isinstance(arrived, Subscribe | Unsubscribe):
            self.there.peer.asked_for(arrived)
        else:
            self.there.peer.receive(arrived)

    async def _ice(self) -> list[Any]:
        return []


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Side, Side]]:
    """The one that offers, and the other."""
    low, high = Side("a", "b"), Side("b", "a")
    low.there, high.there = high, low
    try:
        yield low, high
    finally:
        await low.peer.close()
        await high.peer.close()
