"""The state machine of rooms: messages in, actions out; pure, it runs in the process that hosts the rooms."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from . import protocol, records
from .actions import Action, Close, Send, send
from .errors import InvalidMessage, NotInRoom, PeerNotFound, RoomExists, RoomFull, RoomNotFound, Unauthorized
from .protocol import Error, Joined, Left, Message, Offer, Participant, Updated
from .records import Entry
from .waiting import Waiting


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How much one `Rooms` holds, and for how long."""

    rooms: int = 1000
    participants: int = 64
    """In one room, reconnecting ones included."""
    per_user: int = 16
    """Connected participants of one user in all rooms together; with reconnecting ones twice as many."""
    resume_seconds: float = 30.0
    """A participant whose connection broke is kept that long."""
    empty_seconds: float = 60.0
    """A room in which nobody is left is kept that long."""
    buffer_bytes: int = 1024 * 1024
    """What messages kept for one reconnecting participant share (`Waiting`); beyond it the sender gets an error."""


@dataclass(slots=True)
class Admission:
    """The outcome of `Rooms.join`: what the welcome says, and what has to be done after it was sent."""

    participant: Participant
    others: list[Participant]
    resumed: bool
    actions: list[Action]


@dataclass(slots=True)
class _Member:
    participant: Participant
    connection: int | None
    waiting: Waiting


class Room:
    """One room; a handle that only reads, everything that changes it goes through `Rooms`."""

    def __init__(self, room_id: str, created_at: float, max_participants: int, lifetime: float) -> None:
        self.id = room_id
        self.created_at = created_at
        """Unix seconds."""
        self.max_participants = max_participants
        self.lifetime = lifetime
        """Seconds for which the room stays while nobody is in it."""
        self._members: dict[str, _Member] = {}

    @property
    def peers(self) -> list[Participant]:
        """Who is in the room now, in the order in which they came."""
        return [member.participant for member in self._members.values()]

    def __repr__(self) -> str:
        return f"<Room {self.id!r}: {len(self._members)} participants>"

    def _connections(self, but: str | None = None) -> tuple[int, ...]:
        members = self._members.items()
        return tuple(m.connection for pid, m in members if pid != but and m.connection is not None)

    def _others(self, but: str) -> list[Participant]:
        return [peer for peer in self.peers if peer.id != but]

    def _free_name(self, wanted: str) -> str:
        taken = {member.participant.name for member in self._members.values()}
        name, number = wanted, 1
        while name in taken:
            number += 1
            suffix = f" ({number})"
            name = wanted[: protocol.MAX_NAME - len(suffix)].rstrip() + suffix
        return name


class Rooms:
    """All rooms of a host. Connections are numbers that the caller chooses; time is injected.

    Nothing here waits or sends: each method returns the actions that the caller has to carry out, in order.
    """

    def __init__(
        self,
        limits: RoomLimits,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._wall = wall
        self._rooms: dict[str, Room] = {}
        self._seats: dict[int, tuple[Room, _Member]] = {}
        self._users: Counter[str] = Counter()
        self._absent: dict[tuple[str, str], float] = {}
        """(room, participant) -> when a reconnecting participant is given up."""
        self._empty: dict[str, float] = {}
        """room -> when an empty room ends."""

    # Rooms

    def create(self, room_id: str, *, max_participants: int | None = None, lifetime: float | None = None) -> Room:
        """Open a room. Errors: `InvalidRoomId`, `RoomExists`, `RoomFull` (too many rooms)."""
        protocol.check_room_id(room_id)
        if room_id in self._rooms:
            raise RoomExists(f"room {room_id!r} is open already; join it, or delete it first")
        if len(self._rooms) >= self.limits.rooms:
            raise RoomFull(f"this server has {self.limits.rooms} rooms open, its limit (c.ForgeRTC.max_rooms)")
        room = Room(
            room_id,
            self._wall(),
            self.limits.participants if max_participants is None else max_participants,
            self.limits.empty_seconds if lifetime is None else lifetime,
        )
        self._rooms[room_id] = room
        self._empty[room_id] = self._clock() + room.lifetime
        return room

    def get(self, room_id: str) -> Room:
        """The open room of that id, or `RoomNotFound`."""
        try:
            return self._rooms[room_id]
        except KeyError:
            raise RoomNotFound(f"there is no room {room_id!r}, or you may not see it") from None

    def all(self) -> list[Room]:
        """Every open room."""
        return list(self._rooms.values())

    def delete(self, room_id: str) -> list[Action]:
        """End a room for everybody in it; `RoomNotFound`."""
        room = self.get(room_id)
        actions: list[Action] = []
        for member in list(room._members.values()):
            if member.connection is not None:
                actions.append(Close(member.connection, protocol.CLOSE_ROOM_DELETED, "the room was deleted"))
            self._forget(room, member)
        self._drop(room)
        return actions

    # Participants

    def join(self, room_id: str, entry: Entry, connection: int) -> Admission:
        """Seat a connection: a new participant, or one that comes back.

        Errors: `InvalidRoomId`, `RoomNotFound`, `RoomFull`, `Unauthorized` (somebody else's participant id).
        """
        protocol.check_room_id(room_id)
        records.check_streams(entry.streams)
        room = self._rooms.get(room_id)
        member = room._members.get(entry.participant_id) if room else None
        if room is not None and member is not None:
            return self._resume(room, member, entry, connection)
        self._check_user(entry.user)
        if room is None:
            room = self._open(room_id, entry.may_create)
        if len(room._members) >= room.max_participants:
            raise RoomFull(f"room {room_id!r} has {room.max_participants} participants, its limit")
        return self._seat(room, entry, connection)

    def seated(self, room_id: str, participant_id: str) -> bool:
        """Whether that participant is in that room, connected or reconnecting."""
        return room_id in self._rooms and participant_id in self._rooms[room_id]._members

    def receive(self, connection: int, message: Message) -> list[Action]:
        """What a seated connection sent. Errors: `NotInRoom`, `PeerNotFound`, `InvalidMessage`, `ChannelOptions`."""
        if connection not in self._seats:
            raise NotInRoom("this connection is in no room")
        room, member = self._seats[connection]
        if isinstance(message, Updated):
            return self._update(room, member, message)
        if message.routed:
            return self._route(room, member, message)
        raise InvalidMessage("this message is not expected now: a hello comes first, and only once")

    def disconnect(self, connection: int, *, left: bool) -> list[Action]:
        """A connection ended: on purpose (``left``), or it broke and the participant may come back."""
        if connection not in self._seats:
            return []
        room, member = self._seats.pop(connection)
        if left:
            return self._remove(room, member, "left")
        if self.limits.resume_seconds <= 0:
            return self._remove(room, member, "expired")
        member.connection = None
        member.participant = msgspec.structs.replace(member.participant, state="reconnecting")
        self._absent[room.id, member.participant.id] = self._clock() + self.limits.resume_seconds
        return self._tell_others(room, member)

    def refuse(self, connection: int, message: Message) -> list[Action]:
        """A connection has no room for what another participant sent to it: the sender is told."""
        room, _ = self._seats.get(connection, (None, None))
        sender = room._members.get(message.from_ or "") if room else None
        return send((sender.connection,), _not_passed_on(message)) if sender else []

    def expire(self) -> list[Action]:
        """Give up participants and rooms whose time is over."""
        now = self._clock()
        actions: list[Action] = []
        for room_id, participant_id in [key for key, deadline in self._absent.items() if deadline <= now]:
            room = self._rooms[room_id]
            actions += self._remove(room, room._members[participant_id], "expired")
        for room_id in [key for key, deadline in self._empty.items() if deadline <= now]:
            self._drop(self._rooms[room_id])
        return actions

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next, on the injected clock."""
        deadlines = [d for d in (*self._absent.values(), *self._empty.values()) if not math.isinf(d)]
        return min(deadlines, default=None)

    @property
    def participants(self) -> int:
        """How many there are in all rooms, reconnecting ones included."""
        return sum(len(room._members) for room in self._rooms.values())

    # Inside

    def _open(self, room_id: str, may_create: bool) -> Room:
        if not may_create:
            raise RoomNotFound(f"there is no room {room_id!r}, or you may not see it")
        return self.create(room_id)

    def _check_user(self, user: str) -> None:
        # Those who are reconnecting keep their seats whoever comes meanwhile: all who share a server's token are one
        # user. Nor do they keep anybody out, up to as many again: notebooks that crashed are opened anew at once.
        seats = self._users[user]
        if seats < self.limits.per_user:
            return
        away = sum(self._rooms[room]._members[who].participant.user == user for room, who in self._absent)
        if seats - away < self.limits.per_user and seats < 2 * self.limits.per_user:
            return
        raise RoomFull(
            f"{user!r} has {self.limits.per_user} connections, the limit of one user "
            "(c.ForgeRTC.max_connections_per_user); close a tab or leave a room"
        )

    def _seat(self, room: Room, entry: Entry, connection: int) -> Admission:
        others = room.peers
        participant = records.entered(entry, room._free_name(entry.name), self._wall(), others)
        member = _Member(participant, connection, Waiting(self.limits.buffer_bytes))
        room._members[participant.id] = member
        self._seats[connection] = (room, member)
        self._users[entry.user] += 1
        self._empty.pop(room.id, None)
        return Admission(participant, others, False, self._tell_others(room, member, Joined))

    def _resume(self, room: Room, member: _Member, entry: Entry, connection: int) -> Admission:
        old = member.participant
        if (old.user, old.kind) != (entry.user, entry.kind):
            raise Unauthorized("this participant is somebody else")
        actions: list[Action] = []
        if member.connection is not None:
            del self._seats[member.connection]
            actions.append(Close(member.connection, protocol.CLOSE_REPLACED, "continued on another connection"))
        member.connection = connection
        self._seats[connection] = (room, member)
        self._absent.pop((room.id, old.id), None)
        others = room._others(old.id)
        member.participant = records.returned(old, entry, self._wall(), others)
        actions += [Send((connection,), message) for message in member.waiting.take()]
        if member.participant != old:
            actions += self._tell_others(room, member)
        return Admission(member.participant, others, True, actions)

    def _update(self, room: Room, member: _Member, said: Updated) -> list[Action]:
        old = member.participant
        member.participant = records.updated(old, said, self._wall(), room._others(old.id))
        return [] if member.participant == old else self._tell_others(room, member)

    def _route(self, room: Room, sender: _Member, message: Message) -> list[Action]:
        target = room._members.get(message.to or "")
        if target is None or target is sender:
            raise PeerNotFound(f"{message.to!r} is no other participant of this room")
        message = _signed(message, sender.participant.id)
        size = len(protocol.encode(message).encode())
        if size > protocol.MAX_MESSAGE:
            raise InvalidMessage(f"with its sender's id the message has more than {protocol.MAX_MESSAGE} bytes")
        if target.connection is not None:
            return send((target.connection,), message)
        if not target.waiting.keep(message, size):
            return send((sender.connection,), _not_passed_on(message))
        return []

    def _remove(self, room: Room, member: _Member, reason: Literal["left", "expired"]) -> list[Action]:
        self._forget(room, member)
        for other in room._members.values():
            other.waiting.drop(member.participant.id)
        if not room._members:
            self._empty[room.id] = self._clock() + room.lifetime
        return send(room._connections(), Left(participant_id=member.participant.id, reason=reason))

    def _forget(self, room: Room, member: _Member) -> None:
        participant = member.participant
        del room._members[participant.id]
        self._absent.pop((room.id, participant.id), None)
        if member.connection is not None:
            self._seats.pop(member.connection, None)
        self._users[participant.user] -= 1
        if not self._users[participant.user]:
            del self._users[participant.user]

    def _drop(self, room: Room) -> None:
        del self._rooms[room.id]
        self._empty.pop(room.id, None)

    def _tell_others(self, room: Room, member: _Member, news: type[Joined | Updated] = Updated) -> list[Action]:
        return send(room._connections(but=member.participant.id), news(participant=member.participant))


def _signed(message: Message, sender: str) -> Message:
    message = msgspec.structs.replace(message, from_=sender)
    if isinstance(message, Offer) and message.streams:
        message = msgspec.structs.replace(message, streams=[records.clean_stream(stream) for stream in message.streams])
    return message


def _not_passed_on(message: Message) -> Error:
    text = f"not passed on: too much waits for participant {message.to!r}, who is reconnecting or reads slowly"
    return Error(code="slow-reader", message=text, reply_to=message.id)
