"""Carries out what the kernel asks: rooms, views, tickets (engine process)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from .. import control
from ..arena import Arena
from ..control import Control
from ..control_stream import Message
from ..errors import NotInRoom, RTCError, RTCTimeout
from .bodies import Bodies
from .publisher import Publisher
from .regions import Regions
from .room import EngineRoom
from .signaling import Entry
from .streams import Sink
from .synthetic import SyntheticStream
from .tasks import Tasks
from .tickets import request_ticket
from .views import Views

logger = logging.getLogger(__name__)


class Service:
    """All that one engine holds. ``post`` sends to the kernel."""

    def __init__(self, memory: int, arena: Arena, post: Callable[[Control], None]) -> None:
        self._post = post
        self._bodies = Bodies(arena, post)
        regions = Regions()
        self._views = Views(memory, regions, post)
        self._publisher = Publisher(memory, regions, post)
        self._rooms: dict[str, EngineRoom] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One lock a room id: two joins at once would be two participants, and a leave would miss a join under way."""
        self._synthetic: dict[int, SyntheticStream] = {}
        self._tasks = Tasks()

    def receive(self, message: Message) -> None:
        """One request of the kernel."""
        match message:
            case control.Join():
                self._answer(message.req, self._in_turn(message.room, self._join(message)))
            case control.Leave():
                self._answer(message.req, self._in_turn(message.room, self._leave(message.room)))
            case control.TicketRequest():
                self._answer(message.req, self._ticket(message))
            case control.OpenView():
                self._open_view(message)
            case control.CloseView(view=view):
                self._close_view(view)
            case control.Publish():
                self._answer(message.req, self._publish(message))
            case control.PictureReady(publication=number):
                self._publisher.look(number)
            case control.Unpublish(publication=number):
                self._tasks.start(self._publisher.unpublish(number))
            case control.Constrain():
                self._answer(message.req, self._constrain(message))
            case control.Mute(room=room_id) if room_id in self._rooms:
                self._rooms[room_id].asking.mute(message)
            case _:
                self._about_data(message)

    def _about_data(self, message: Message) -> None:
        match message:
            case control.GiveBack(offset=offset):
                self._bodies.returned(offset)
            case control.OpenChannel():
                self._answer(message.req, self._open_channel(message))
            case control.OpenShared():
                self._answer(message.req, self._open_shared(message))
            case control.SendData() | control.SetShared():
                self._send(message)
            case control.CancelSend(send=number):
                for room in self._rooms.values():
                    room.data.cancel(number)
            case control.CloseChannel() | control.Taken() | control.SharedSeen():
                self._about_channel(message)

    async def close(self) -> None:
        """Leave every room politely."""
        for synthetic in self._synthetic.values():
            synthetic.close()
        rooms = list(self._rooms.values())
        await asyncio.gather(*(room.close() for room in rooms), return_exceptions=True)
        await self._tasks.close()

    def _answer(self, req: int, work: Awaitable[Any]) -> None:
        self._tasks.start(self._carry_out(req, work))

    async def _carry_out(self, req: int, work: Awaitable[Any]) -> None:
        try:
            self._post(control.Reply(req, value=await work))
        except RTCError as error:
            self._post(control.Reply(req, error=error.code, message=str(error)))
        except MemoryError as error:
            self._post(control.Reply(req, error="memory", message=str(error)))
        except Exception as error:
            logger.exception("a request of the kernel failed")
            self._post(control.Reply(req, error="error", message=f"{type(error).__name__}: {error}"))

    async def _in_turn(self, room_id: str, work: Awaitable[None]) -> None:
        async with self._turns[room_id]:
            await work

    async def _join(self, request: control.Join) -> None:
        room = self._rooms.get(request.room)
        if room is not None and room.is_open and (request.name is None or request.name == room.name):
            room.tell()
            return
        if room is not None:
            await self._leave(request.room)  # the server ended it, or: another name is another participant
        room = EngineRoom(Entry(request.room, request.name), request.ways, self._post, self._views.end, self._bodies)
        try:
            await asyncio.wait_for(room.enter(), request.timeout)
        except TimeoutError:
            await room.close()
            tried = ", ".join(f"{way.how} ({way.url})" for way in request.ways)
            raise RTCTimeout(f"no welcome to room {request.room!r} within {request.timeout:g} s; tried {tried}") from None
        except BaseException:
            await room.close()
            raise
        self._rooms[request.room] = room

    async def _leave(self, room_id: str) -> None:
        room = self._rooms.pop(room_id, None)
        if room is not None:
            await room.close()

    def _room(self, room_id: str) -> EngineRoom:
        room = self._rooms.get(room_id)
        if room is None:
            raise NotInRoom(f"this kernel is not in room {room_id!r}")
        return room

    async def _publish(self, request: control.Publish) -> int:
        return await self._publisher.publish(request, self._room(request.room).publications)

    async def _constrain(self, request: control.Constrain) -> list[int]:
        return await self._room(request.room).asking.constrain(request)

    async def _open_channel(self, request: control.OpenChannel) -> None:
        await self._room(request.room).data.open_channel(request.channel)

    async def _open_shared(self, request: control.OpenShared) -> None:
        await self._room(request.room).data.open_shared(request.timeout)

    def _send(self, request: control.SendData | control.SetShared) -> None:
        try:
            data = self._room(request.room).data
            if isinstance(request, control.SendData):
                data.send(request)
            else:
                data.set_shared(request)
        except NotInRoom as error:
            self._bodies.borrow(request.body, request.size)  # and so give it back
            self._post(control.Reply(request.req, error=error.code, message=str(error)))

    def _about_channel(self, message: control.CloseChannel | control.Taken | control.SharedSeen) -> None:
        room = self._rooms.get(message.room)
        if room is None:
            return
        match message:
            case control.Taken():
                room.data.taken(message)
            case control.CloseChannel(channel=name):
                room.data.close_channel(name)
            case control.SharedSeen():
                room.data.seen_shared()

    async def _ticket(self, request: control.TicketRequest) -> dict[str, str]:
        way = self._room(request.room).client.way
        assert way is not None
        return await request_ticket(way, request.room, request.owner)

    def _open_view(self, request: control.OpenView) -> None:
        try:
            view = self._views.open(request)
            sink = self._sink_for(request, view)
            self._views.attach(request.view, sink)
        except RTCError as error:
            self._views.end(request.view, error.code, str(error))
        except (MemoryError, ValueError) as error:
            self._post(control.ViewEnded(request.view, "memory", str(error)))

    def _sink_for(self, request: control.OpenView, view: Any) -> Sink:
        if request.room:
            return self._room(request.room).open_view(request.view, request.participant, request.stream, view)
        synthetic = SyntheticStream(request.stream)
        self._synthetic[request.view] = synthetic
        synthetic.sink.open(request.view, view)
        synthetic.start()
        return synthetic.sink

    def _close_view(self, number: int) -> None:
        synthetic = self._synthetic.pop(number, None)
        if synthetic is not None:
            synthetic.close()
        sink = self._views.close(number)
        if sink is not None:
            for room in self._rooms.values():
                room.release(sink)
