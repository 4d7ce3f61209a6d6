"""The room's shared mapping: this engine's replica, its data channels to other kernels, and the kernel (engine process)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from .. import control
from ..arena import Extent
from ..control import Control
from ..protocol import Participant
from .bodies import Bodies
from .data.assembly import Memory
from .data.inlet import Inlet
from .data.outlet import Outlet, Parcel
from .data.replica import Change, Replica
from .data.violation import Violation
from .datalink import DataLink, Port
from .shared_news import SharedNews

LABEL = "shared"


class SharedMap:
    """``announce`` is told whether this participant holds anything, ``seen`` every change; the rest as for `Channels`."""

    def __init__(
        self,
        room: str,
        me: str,
        limit: int,
        bodies: Bodies,
        post: Callable[[Control], None],
        link_of: Callable[[str], DataLink],
        changed: Callable[[str], None],
        announce: Callable[[bool], None],
        seen: Callable[[Change], None],
    ) -> None:
        self._me = me
        self._bodies = bodies
        self._post = post
        self._link_of = link_of
        self._changed = changed
        self._announce = announce
        self._seen = seen
        self._limit = limit
        self._ports: dict[str, Port] = {}
        self._replica = Replica(me, limit, self._tell)
        self._kernel = SharedNews(room, bodies, post)
        self._told = False
        """Whether the kernel wants to know."""
        self._pumping = False
        self._news = asyncio.Event()
        """Something has come, or somebody has left."""

    def refresh(self, participants: Mapping[str, Participant]) -> None:
        """Have a data channel to every other kernel, where one of the two holds anything."""
        wanted = {p.id for p in participants.values() if p.kind == "kernel" and (p.shared or self._replica.holds)}
        for participant_id in self._ports.keys() - {p.id for p in participants.values()}:
            del self._ports[participant_id]
            self._replica.disconnect(participant_id)
        for participant_id in wanted - self._ports.keys():
            port = self._ports[participant_id] = self._port(participant_id)
            self._link_of(participant_id).open(port)
            self._changed(participant_id)
        self._news.set()

    async def open(self, participants: Mapping[str, Participant], timeout: float) -> None:
        """Tell the kernel what is there; returns when all that the others have is, or after ``timeout`` seconds."""
        self._told = True
        for change in self._replica.entries():
            self._kernel.put(change)
        holders = [p.id for p in participants.values() if p.kind == "kernel" and p.shared]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not self._replica.synced(one for one in holders if one in participants):
                    self._news.clear()
                    await self._news.wait()
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kernel.after_all(lambda: None if told.done() else told.set_result(None))
        await told

    def rename(self, me: str) -> None:
        """This participant has another id now; what it wrote keeps the name of the earlier one."""
        self._me = self._replica.me = me

    def seen(self) -> None:
        """The kernel has taken a change over."""
        self._kernel.seen()

    def end(self) -> None:
        """The room is over: nothing is held any more."""
        self.refresh({})
        self._kernel.clear()
        self._replica = Replica(self._me, self._limit, self._tell)

    def write(self, request: control.SetShared) -> None:
        """The `Reply` comes after the change was told. Errors: `ValueError`, `KeyError`, each with what to say."""
        if request.header is None:
            self._replica.delete(request.key, request.time)
        else:
            body = self._bodies.borrow(request.body, request.size)
            self._replica.write(request.key, request.header, request.size, body, request.time)
        self._kernel.after(request.key, lambda: self._post(control.Reply(request.req)))
        self._announce(self._replica.holds)
        self.pump()

    def pump(self) -> None:
        """Any peer may have to be told something."""
        for participant_id in list(self._ports):
            self._link_of(participant_id).pump()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pumping = False
        self._news.set()
        self._announce(self._replica.holds)
        self.pump()

    def _port(self, peer: str) -> Port:
        outlet = Outlet()
        store = SharedStore(self, peer)

        def refill() -> None:
            message = self._replica.next_message(peer)
            if message is not None:
                outlet.put(Parcel(message[0], self._bodies.view(cast("Extent | bytes", message[1])), lambda: None))

        return Port(
            LABEL,
            outlet,
            Inlet(store),
            refill=refill,
            opened=lambda: self._opened(peer, outlet),
            closed=lambda: self._replica.disconnect(peer),
        )

    def _opened(self, peer: str, outlet: Outlet) -> None:
        outlet.close()  # what was under way is said anew, as it is now
        self._replica.connect(peer)

    def _tell(self, change: Change) -> None:
        self._seen(change)
        if self._told:
            self._kernel.put(change)

    # What the inlets of its data channels need.

    def check(self, peer: str, header: bytes, size: int) -> bool:
        """Whether the body of that message is needed. `ValueError` where it must not be."""
        return self._replica.check(peer, header, size)

    def allocate(self, size: int) -> Extent | None:
        return self._bodies.allocate(size)

    def receive(self, peer: str, header: bytes, size: int, body: Extent | bytes) -> None:
        try:
            self._replica.receive(peer, header, size, body)
        except ValueError as error:
            raise Violation(str(error)) from None
        self._pump_soon()


@dataclass(frozen=True, slots=True)
class SharedStore:
    """The mapping as the inlet of one peer sees it (`receiving.Store`): what is needed has its room, for the replica asks for
    no more than there is."""

    shared: SharedMap
    peer: str

    def check(self, header: bytes, size: int) -> str | None:
        return "" if self.shared.check(self.peer, header, size) else None

    def admit(self, size: int) -> bool:
        return True

    def allocate(self, size: int) -> Extent | None:
        return self.shared.allocate(size)

    def deliver(self, header: bytes, size: int, body: Memory | bytes) -> None:
        # Places are what `allocate` gave.
        self.shared.receive(self.peer, header, size, cast("Extent | bytes", body))

    def give_up(self, size: int, place: Memory | None) -> None:
        """Nothing was reserved."""
