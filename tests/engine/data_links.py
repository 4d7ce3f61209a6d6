"""Two data links joined by real connections in one process, with queues that keep what arrives (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCPeerConnection

from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet
from forge_rtc_nb.engine.datalink import DataLink, Port
from tests.engine.pairs import new_connection
from tests.support import await_for
from tests.unit.data_channels import Queue, parcel


class End:
    """One participant's link, and what happened there."""

    def __init__(self, opens: bool) -> None:
        self.opens = opens
        self.faults: list[tuple[str, str]] = []
        self.link = DataLink(lambda label, why: self.faults.append((label, why)))
        self.queues: dict[str, Queue] = {}
        self.ports: dict[str, Port] = {}
        self.pc: RTCPeerConnection = new_connection()

    def open(self, label: str, *, ordered: bool = True, reliable: bool = True, **limits: Any) -> Port:
        queue = self.queues[label] = Queue(**limits)
        inlet = (Inlet if reliable else LossyInlet)(queue, ordered)
        port = self.ports[label] = Port(label, Outlet(reliable), inlet, ordered=ordered, reliable=reliable)
        self.link.open(port)
        return port

    def send(self, label: str, name: str, size: int = 0) -> list[str]:
        """A message of that name; the list is where its end is noted."""
        message, ends = parcel(name, size)
        self.ports[label].outlet.put(message)
        self.link.pump()
        return ends

    def names(self, label: str) -> list[str]:
        """Those that arrived."""
        return [header.decode() for header, _ in self.queues[label].messages]


class Ends:
    """Two of them. One opens the data channels, the other takes them."""

    def __init__(self) -> None:
        self.opener, self.taker = End(opens=True), End(opens=False)

    async def connect(self) -> None:
        """A new connection, in the place of the one before."""
        ends = (self.opener, self.taker)
        before = [end.pc for end in ends]
        for end in ends:
            end.pc = new_connection()
            end.pc.createDataChannel("control", negotiated=True, id=0)
            end.link.attach(end.pc, end.opens)
        await asyncio.gather(*(pc.close() for pc in before))
        offerer, answerer = (end.pc for end in ends)
        await offerer.setLocalDescription(await offerer.createOffer())
        await answerer.setRemoteDescription(offerer.localDescription)
        await answerer.setLocalDescription(await answerer.createAnswer())
        await offerer.setRemoteDescription(answerer.localDescription)
        await await_for(lambda: all(end.pc.sctp and end.pc.sctp.state == "connected" for end in ends), what="a connection")

    async def opened(self, label: str) -> None:
        await await_for(
            lambda: all(end.ports[label].is_open for end in (self.opener, self.taker)), what=f"an open data channel {label}"
        )

    async def close(self) -> None:
        for end in (self.opener, self.taker):
            end.link.dispose()
            await end.pc.close()


@asynccontextmanager
async def joined(*labels: str) -> AsyncIterator[Ends]:
    """Connected ends with these labels open."""
    ends = Ends()
    try:
        for label in labels:
            ends.opener.open(label)
            ends.taker.open(label)
        await ends.connect()
        for label in labels:
            await ends.opened(label)
        yield ends
    finally:
        await ends.close()
