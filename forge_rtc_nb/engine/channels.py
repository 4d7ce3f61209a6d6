"""The channels of a room that this kernel has open: who gets what is sent, and how much may come (engine process)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .. import control
from ..control import Control
from ..errors import ChannelClosed, PeerNotFound
from ..protocol import Channel, Participant
from .bodies import Bodies
from .data.inlet import Inlet
from .data.lossy import LossyInlet
from .data.outlet import Body, Outlet, Parcel
from .datalink import DataLink, Port
from .incoming import ChannelQueue, SenderStore

PROGRESS_INTERVAL = 0.1


@dataclass
class Sending:
    """One message on its way to its receivers."""

    request: control.SendData
    parcels: dict[str, Parcel] = field(default_factory=dict)
    """Participant -> what it has not taken yet."""
    told_at: float = field(default_factory=time.monotonic)


class OpenChannel:
    """One channel: a port toward each participant that has it open too."""

    def __init__(self, options: Channel, queue: ChannelQueue) -> None:
        self.options = options
        self.queue = queue
        self.ports: dict[str, Port] = {}

    @property
    def waits(self) -> bool:
        """Whether a send ends only when it was taken."""
        return self.options.reliable and self.options.policy == "block"

    def port(self, sender: str) -> Port:
        """A new port for the data channel with a participant."""
        options, store = self.options, SenderStore(self.queue, sender)
        keep = None if self.waits else (options.maxsize if options.reliable else 1, options.maxbytes)
        return Port(
            "c/" + options.name,
            Outlet(options.reliable, keep),
            (Inlet if options.reliable else LossyInlet)(store, options.ordered),
            ordered=options.ordered,
            reliable=options.reliable,
        )


class Channels:
    """All of one room. ``link_of`` gives the data channels of a participant, ``changed`` says that one of them may need a
    connection now, ``sent`` is told of every message."""

    def __init__(
        self,
        room: str,
        bodies: Bodies,
        post: Callable[[Control], None],
        link_of: Callable[[str], DataLink],
        changed: Callable[[str], None],
        sent: Callable[[control.SendData, Body], None],
    ) -> None:
        self._room = room
        self._sent = sent
        self._bodies = bodies
        self._post = post
        self._link_of = link_of
        self._changed = changed
        self._open: dict[str, OpenChannel] = {}
        self._sending: dict[int, Sending] = {}
        self._turn = 0
        self._due: set[str] = set()
        """Channels that are about to `_advance`."""

    def open(self, options: Channel, limit: int) -> None:
        """``limit`` is the largest message in bytes that may come."""
        queue = ChannelQueue(self._room, options, limit, self._bodies, self._post, lambda: self._advance_soon(options.name))
        self._open[options.name] = OpenChannel(options, queue)

    def close(self, name: str) -> None:
        channel = self._open.pop(name, None)
        for number in [number for number, sending in self._sending.items() if sending.request.channel == name]:
            del self._sending[number]
            self._post(control.Reply(number, error="channel-closed", message=f"channel {name!r} was closed"))
        for participant_id in channel.ports if channel is not None else ():
            self._link_of(participant_id).close("c/" + name)

    def end(self) -> None:
        for name in list(self._open):
            self.close(name)

    def refresh(self, participants: Mapping[str, Participant]) -> None:
        """Have a port for each participant that has the channel open, and no other."""
        for name, channel in self._open.items():
            there = {p.id for p in participants.values() if any(theirs.name == name for theirs in p.channels)}
            for participant_id in channel.ports.keys() - there:
                del channel.ports[participant_id]
                if participant_id in participants:
                    self._link_of(participant_id).close("c/" + name)
            for participant_id in there - channel.ports.keys():
                port = channel.ports[participant_id] = channel.port(participant_id)
                self._link_of(participant_id).open(port)
                self._changed(participant_id)

    def send(self, request: control.SendData, body: Body) -> None:
        """The `Reply` comes when every receiver has taken it. Errors: `ChannelClosed`, `PeerNotFound`."""
        channel = self._open.get(request.channel)
        if channel is None:
            raise ChannelClosed(f"channel {request.channel!r} is closed")
        receivers = list(channel.ports if request.to is None else self._named(channel, request.to))
        self._sent(request, body)
        sending = Sending(request)
        for participant_id in receivers:
            sending.parcels[participant_id] = self._parcel(sending, participant_id, body)
        if channel.waits and receivers:
            self._sending[request.req] = sending
        else:
            self._post(control.Reply(request.req))
        for participant_id, parcel in list(sending.parcels.items()):
            channel.ports[participant_id].outlet.put(parcel)
            self._link_of(participant_id).pump()

    def cancel(self, number: int) -> None:
        """Stop a send; its reply names those who have not taken it."""
        sending = self._sending.pop(number, None)
        if sending is None:
            return  # it was answered already
        channel = self._open.get(sending.request.channel)
        slow = list(sending.parcels)
        for participant_id, parcel in list(sending.parcels.items()):
            if channel is not None and (port := channel.ports.get(participant_id)) is not None:
                port.outlet.withdraw(parcel)
                self._link_of(participant_id).pump()
        self._post(control.Reply(number, slow, "send-timeout", "not every receiver took the message"))

    def taken(self, message: control.Taken) -> None:
        """The kernel has read messages: there is room for others."""
        if (channel := self._open.get(message.channel)) is not None:
            channel.queue.taken(message.count, message.size)

    def _named(self, channel: OpenChannel, to: Iterable[str]) -> Iterable[str]:
        for participant_id in dict.fromkeys(to):
            if participant_id not in channel.ports:
                raise PeerNotFound(f"{participant_id} does not have channel {channel.options.name!r} open")
            yield participant_id

    def _parcel(self, sending: Sending, participant_id: str, body: Body) -> Parcel:
        request = sending.request

        def done() -> None:
            sending.parcels.pop(participant_id, None)
            if not sending.parcels and self._sending.pop(request.req, None) is not None:
                self._post(control.Reply(request.req))

        if request.size <= control.INLINE:
            return Parcel(request.header, body, done)
        return Parcel(request.header, body, done, lambda sent: self._progress(sending))

    def _progress(self, sending: Sending) -> None:
        now = time.monotonic()
        if now - sending.told_at >= PROGRESS_INTERVAL and sending.request.req in self._sending:
            sending.told_at = now
            self._post(control.SendProgress(sending.request.req, min(p.sent for p in sending.parcels.values())))

    def _advance_soon(self, name: str) -> None:
        """A turn of the loop later: whoever frees room may be an inlet in the middle of its work."""
        if name not in self._due:
            self._due.add(name)
            asyncio.get_running_loop().call_soon(self._advance, name)

    def _advance(self, name: str) -> None:
        """There is room in a channel's queue: for each sender in turn, beginning with another one each time."""
        self._due.discard(name)
        channel = self._open.get(name)
        if channel is None:
            return
        ports = deque(channel.ports.items())
        self._turn += 1
        ports.rotate(self._turn)
        for participant_id, port in ports:
            self._link_of(participant_id).advance(port)
