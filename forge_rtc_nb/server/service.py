"""The service behind the extension: rooms, connections, and the calls for other extensions; Jupyter server process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from jupyter_server.auth.identity import User

from .. import protocol
from ..actions import Action, Send
from ..errors import Forbidden, RoomNotFound, Unauthorized
from ..protocol import VERSION, Hello, IceRequest, IceServers, Joined, Participant, Ping, Pong, Welcome
from ..records import Entry
from ..rooms import Admission, Room, Rooms
from .connection import CLOSE_TRY_AGAIN, BadVersion, Connection, NoCredentials
from .ice import IceServers as IceSettings
from .identity import Visitor, visitor_from, visitor_of
from .limits import Limiter
from .settings import Settings
from .tickets import TicketOffice

CLOSE_RESTART = 1012
WELCOME_BYTES = protocol.MAX_MESSAGE * 3 // 4
"""Of participants in one welcome, its receiver among them; the others follow as room.joined, so that no message exceeds
the limit."""


class WebRTCService:
    """Rooms and signaling of one Jupyter server; `get_webrtc` returns it. Call it from the server's event loop."""

    def __init__(self, settings: Settings, tickets: TicketOffice, ice: IceSettings, log: logging.Logger) -> None:
        self.settings = settings
        self.tickets = tickets
        self.ice = ice
        self.limiter = Limiter(settings)
        self._log = log
        self._rooms = Rooms(settings.rooms())
        self._numbers = itertools.count(1)
        self._connections: dict[int, Connection] = {}
        self._pending: Counter[str] = Counter()
        """Connections of each address that have shown no credentials yet."""
        self._actions: deque[Action] = deque()
        self._acting = False
        self._timer: asyncio.TimerHandle | None = None

    # For other extensions

    async def create_room(self, room_id: str, *, max_participants: int | None = None, lifetime: float | None = None) -> Room:
        """Open a room.

        ``max_participants``: None for the server's limit. ``lifetime``: seconds for which it stays while nobody is in
        it; None for the server's setting, `math.inf` until it is deleted.
        Errors: `RoomExists`, `InvalidRoomId`, `RoomFull`.
        """
        room = self._rooms.create(room_id, max_participants=max_participants, lifetime=lifetime)
        self._arm()
        return room

    async def get_room(self, room_id: str) -> Room:
        """An open room; `RoomNotFound`."""
        return self._rooms.get(room_id)

    async def delete_room(self, room_id: str) -> None:
        """End a room for everybody in it; `RoomNotFound`."""
        self._act(self._rooms.delete(room_id))

    async def rooms(self) -> list[Room]:
        """The open rooms."""
        return self._rooms.all()

    async def handle_signaling(self, ws: Any, *, room: str | None = None, user: str | None = None) -> Connection:
        """Let the client of a tornado `WebSocketHandler` take part; call it in the handler's ``open``.

        ``room``: by default the query argument ``room``. ``user``: the name of a user whom the caller has
        authenticated and lets join and create; by default a Jupyter user, as far as the authorizer allows, and
        otherwise whoever brings a ticket. Forward ``on_message``, ``on_close`` and ``on_pong`` to the result::

            async def open(self):
                self.rtc = await get_webrtc(self.serverapp).handle_signaling(self)
        """
        visitor = await self._visitor(ws, user)
        room_id = ws.get_query_argument("room", "") if room is None else room
        number = next(self._numbers)
        connection = Connection(self, ws, number, room_id, visitor, str(ws.request.remote_ip))
        self._connections[number] = connection
        if visitor is None:
            self._pending[connection.address] += 1
            if self._pending[connection.address] > self.settings.max_pending_per_address:
                connection.close(CLOSE_TRY_AGAIN, "too many connections without credentials")
        return connection

    # For the handlers

    @property
    def participants(self) -> int:
        """How many there are in all rooms."""
        return self._rooms.participants

    async def close(self) -> None:
        """Close every connection; clients come back when the server does."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._connections.values()):
            connection.close(CLOSE_RESTART, "the server stops")
        if self._timer is not None:
            self._timer.cancel()

    # For the connections

    def admit(self, connection: Connection, hello: Hello) -> None:
        """Let a client in, or raise the error that turns it away."""
        visitor = self._credentials(connection, hello)
        if hello.version != VERSION:
            raise BadVersion(f"this server speaks version {VERSION} of the protocol, you sent {hello.version}")
        entry = _entry(visitor, hello)
        if "join" not in visitor.grants:
            # Who may not create must not learn from the answer whether the room exists.
            missing = RoomNotFound(f"there is no room {connection.room_id!r}, or you may not see it")
            raise Forbidden(f"you may not join room {connection.room_id!r}") if entry.may_create else missing
        self._check_rate(connection, entry, returns=bool(hello.resume))
        admission = self._rooms.join(connection.room_id, entry, connection.number)
        self._settle(connection)
        connection.seated(admission.participant.id)
        self._log.debug("forge_rtc_nb: %s joined room %s", admission.participant.id, connection.room_id)
        self._welcome(connection, admission, visitor)
        self._act(admission.actions)

    def receive(self, connection: Connection, message: protocol.ClientMessage) -> None:
        """A valid message of a seated client."""
        if isinstance(message, Ping):
            connection.send(protocol.encode(Pong(id=message.id)))
        elif isinstance(message, IceRequest):
            connection.send(protocol.encode(IceServers(id=message.id, servers=self.ice.current())))
        elif not isinstance(message, Pong):
            self._act(self._rooms.receive(connection.number, message))

    def ended(self, connection: Connection, *, left: bool) -> None:
        """A connection is closed, by either side."""
        del self._connections[connection.number]
        if connection.participant_id is None:
            self._settle(connection)
        self._log.debug("forge_rtc_nb: %s %s", connection.participant_id, "left" if left else "is disconnected")
        self._act(self._rooms.disconnect(connection.number, left=left))

    # Inside

    async def _visitor(self, ws: Any, user: str | None) -> Visitor | None:
        if user is not None:
            return Visitor(user, name=user, grants=frozenset(("join", "create")))
        known = getattr(ws, "current_user", None)
        return await visitor_of(ws, known) if isinstance(known, User) else None

    def _credentials(self, connection: Connection, hello: Hello) -> Visitor:
        known, room = connection.visitor, connection.room_id
        if hello.resume:
            back = visitor_from(self.tickets.check_resume(hello.resume, room=room, kind=hello.kind), "server")
            if known is not None and known.user != back.user:
                raise Unauthorized("this resume token belongs to another user")
            # What the authorizer has taken away meanwhile does not come back with an old token.
            return back if known is None else replace(back, grants=back.grants & known.grants, since=None)
        if known is not None:
            return known
        if hello.ticket:
            return visitor_from(*self.tickets.redeem(hello.ticket, room=room, kind=hello.kind))
        raise NoCredentials("no credentials: log in to Jupyter, or bring a ticket")

    def _check_rate(self, connection: Connection, entry: Entry, *, returns: bool) -> None:
        # After a restart of the server everybody comes back at once. Later on a resume token that opens no seat is a
        # join like any other: who collected many of them would be a new participant with each.
        who = entry.participant_id
        seated = self._rooms.seated(connection.room_id, who)
        back = seated or (returns and not self.tickets.knows(who))
        self.limiter.hello(who, entry.user, asyncio.get_running_loop().time(), back=back)

    def _welcome(self, connection: Connection, admission: Admission, visitor: Visitor) -> None:
        participant = admission.participant
        now, later = _split(admission.others, WELCOME_BYTES - _size(participant))
        welcome = Welcome(
            version=VERSION,
            room=connection.room_id,
            participant=participant,
            participants=now,
            limits=self.settings.announced(),
            resume=self.tickets.issue_resume(participant, connection.room_id, sorted(visitor.grants), visitor.since),
            resumed=admission.resumed,
            server=self.tickets.server_id,
        )
        connection.send(protocol.encode(welcome))
        for joined in (Joined(participant=other) for other in later):
            connection.deliver(joined, protocol.encode(joined))

    def _settle(self, connection: Connection) -> None:
        if connection.visitor is None:
            self._pending[connection.address] -= 1
            if self._pending[connection.address] <= 0:
                del self._pending[connection.address]

    def _act(self, actions: Iterable[Action]) -> None:
        """Carry out actions in order; what a failing send leads to comes after them."""
        self._actions.extend(actions)
        if self._acting:
            return
        self._acting = True
        try:
            while self._actions:
                self._do(self._actions.popleft())
        finally:
            self._acting = False
        self._arm()

    def _do(self, action: Action) -> None:
        if isinstance(action, Send):
            text = protocol.encode(action.message)
            for number in action.to:
                if number in self._connections and not self._connections[number].deliver(action.message, text):
                    self._actions.extend(self._rooms.refuse(number, action.message))
        elif action.connection in self._connections:
            self._connections[action.connection].close(action.code, action.reason)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._rooms.next_deadline()
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._act(self._rooms.expire())


def _entry(visitor: Visitor, hello: Hello) -> Entry:
    default = visitor.name or visitor.user
    if hello.kind == "kernel" and (visitor.kind is None or visitor.name is None):
        default = "notebook"  # a Jupyter identity names the person, not the kernel
    # Whoever comes back keeps the name under which the others knew it.
    wanted = default if visitor.participant_id else hello.name
    name = protocol.clean_name(wanted, protocol.clean_name(default, hello.kind))
    owners = hello.owners or ([visitor.owner] if visitor.owner else [])
    return Entry(
        participant_id=visitor.participant_id or secrets.token_hex(8),
        kind=hello.kind,
        user=visitor.user,
        name=name,
        owners=tuple(owners),
        streams=tuple(hello.streams),
        channels=tuple(hello.channels),
        shared=hello.shared,
        may_create="create" in visitor.grants,
    )


def _split(participants: list[Participant], size: int) -> tuple[list[Participant], list[Participant]]:
    """As many participants as fit into ``size`` bytes of JSON, and the rest."""
    for index, participant in enumerate(participants):
        size -= _size(participant)
        if size < 0:
            return participants[:index], participants[index:]
    return participants, []


def _size(participant: Participant) -> int:
    """Bytes of a record in JSON, and a little more."""
    return len(protocol.encode(Joined(participant=participant)).encode())
