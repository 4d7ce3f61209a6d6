"""What the kernel and its engine process say to each other over their socket: typed messages, length-prefixed msgpack.

Not a public protocol: both ends are always of one version. Arrays never go this way, they cross in shared memory (`ring`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from .protocol import Participant

MAX_FRAME = 16 * 1024 * 1024
"""Bytes in one control message; the longest real one lists the participants of a full room."""


class Way(msgspec.Struct, frozen=True):
    """One way into a server; the engine tries them in order. Holds secrets: `repr` shows none."""

    how: str
    url: str
    token: str | None = None
    secret: str | None = None
    ticket: str | None = None

    def __repr__(self) -> str:
        return f"Way({self.how!r}, {self.url!r})"


class Control(msgspec.Struct, frozen=True, tag=True):
    """Base of every message, so that one decoder reads them all."""


class Join(Control, frozen=True):
    """Kernel: enter a room, or replace the present handle of it. Answered by `Reply` when welcomed or refused."""

    req: int
    room: str
    name: str | None
    ways: list[Way]
    timeout: float


class Leave(Control, frozen=True):
    req: int
    room: str


class TicketRequest(Control, frozen=True):
    """Kernel: get a ticket for a browser tab that has no way of its own to the server."""

    req: int
    room: str
    owner: str


class OpenView(Control, frozen=True):
    """Kernel: write every new picture of a stream into a ring, in this format, until `CloseView`.

    The room ``""`` is the engine itself: its streams are the synthetic ones.
    """

    view: int
    room: str
    participant: str
    stream: str
    format: str


class CloseView(Control, frozen=True):
    """Kernel: nobody reads this view any more, and its ring is unmapped; the engine may use the region again."""

    view: int


class Reply(Control, frozen=True):
    req: int
    value: Any = None
    error: str | None = None
    """Code of the error class (`errors`), None where it went well."""
    message: str = ""


class Welcomed(Control, frozen=True):
    """Engine: the room as it stands; sent at the first welcome and after each later one."""

    room: str
    me: Participant
    participants: list[Participant]
    server: str = ""
    """Public id of the room's server; empty where the server has none."""


class RoomState(Control, frozen=True):
    """Engine: ``joined``, ``reconnecting`` or ``closed`` (with the reason in ``detail``)."""

    room: str
    state: str
    detail: str = ""


class ParticipantJoined(Control, frozen=True):
    room: str
    participant: Participant


class ParticipantLeft(Control, frozen=True):
    room: str
    participant_id: str
    reason: str


class ParticipantUpdated(Control, frozen=True):
    room: str
    participant: Participant


class ViewOpened(Control, frozen=True):
    """Engine: the view's ring is this region of the shared memory."""

    view: int
    region: int


class ViewReady(Control, frozen=True):
    """Engine: there are new frames. Sent once, until the kernel has looked (the ring's ``pending`` flag)."""

    view: int


class ViewEnded(Control, frozen=True):
    """Engine: no more frames will come; ``error`` is a code where it ended by a fault."""

    view: int
    error: str | None = None
    message: str = ""


class PeerFault(Control, frozen=True):
    """Engine: a connection to a participant could not be made; streams wait, a new try is under way."""

    room: str
    participant_id: str
    message: str


Message = (
    Join
    | Leave
    | TicketRequest
    | OpenView
    | CloseView
    | Reply
    | Welcomed
    | RoomState
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantUpdated
    | ViewOpened
    | ViewReady
    | ViewEnded
    | PeerFault
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_length = struct.Struct("<I")


def pack(message: Control) -> bytes:
    """One message with its length before it."""
    body = _encoder.encode(message)
    return _length.pack(len(body)) + body


class Unpacker:
    """Cuts a byte stream into messages; keeps the unfinished rest."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes. `ValueError` where the stream cannot be ours."""
        self._rest += data
        while len(self._rest) >= _length.size:
            (size,) = _length.unpack_from(self._rest)
            if size > MAX_FRAME:
                raise ValueError(f"control message of {size} bytes")
            end = _length.size + size
            if len(self._rest) < end:
                return
            body = bytes(self._rest[_length.size : end])
            del self._rest[:end]
            yield _decoder.decode(body)
