"""What the kernel and its engine process say to each other over their socket: typed messages, length-prefixed msgpack.

Not a public protocol: both ends are always of one version. Pictures never go this way, they cross in a ring (`ring`); what is
large of the messages of channels crosses in extents of shared memory (`arena`), each given back by a `GiveBack`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from .protocol import Channel, Limits, Participant

MAX_FRAME = 16 * 1024 * 1024
"""Bytes in one control message; the longest real one lists the participants of a full room."""


INLINE = 16384
"""Bytes of a body up to which it travels in the message itself."""

Body = bytes | int
"""The bytes themselves, or where they begin in the sender's half of the arena."""


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
    limits: Limits
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


class GiveBack(Control, frozen=True):
    """Both: no view of this extent of the other's half of the arena is left here."""

    offset: int


class OpenChannel(Control, frozen=True):
    """Kernel: open a channel. Answered by `Reply` when the server has taken it, or said why not."""

    req: int
    room: str
    channel: Channel


class CloseChannel(Control, frozen=True):
    room: str
    channel: str


class SendData(Control, frozen=True):
    """Kernel: send a message on a channel. Answered by `Reply` when every receiver has it in its queue."""

    req: int
    room: str
    channel: str
    to: list[str] | None
    """Participant ids; None for all who have the channel open."""
    header: bytes
    """JSON, as docs/protocol.md has it."""
    size: int
    body: Body


class CancelSend(Control, frozen=True):
    """Kernel: stop a send. Its `Reply` then says ``send-timeout`` and names the slow receivers, unless all have it by now."""

    send: int
    """``req`` of the `SendData`."""


class SendProgress(Control, frozen=True):
    """Engine: so much of a send has left, at most ten times a second; of the receiver that is the furthest behind."""

    send: int
    sent: int
    """Bytes of the body."""


class Received(Control, frozen=True):
    """Engine: a message for a channel of this kernel."""

    room: str
    channel: str
    sender: str
    """Participant id."""
    header: bytes
    size: int
    body: Body


class Taken(Control, frozen=True):
    """Kernel: messages left a channel's queue (read, or dropped), so that there is room for others."""

    room: str
    channel: str
    count: int
    size: int
    """The sum of their ``size``."""


class ChannelEnded(Control, frozen=True):
    """Engine: the channel is closed against the kernel's will."""

    room: str
    channel: str
    message: str


class DataFault(Control, frozen=True):
    """Engine: what a participant sent on a data channel could not be used and is dropped; an ``error`` event of the room."""

    room: str
    label: str
    """Of the data channel."""
    participant_id: str
    message: str


class OpenShared(Control, frozen=True):
    """Kernel: tell of the room's shared mapping, as it is and as it changes. Answered by `Reply` when what those who are in
    the room have is here, or after ``timeout`` seconds."""

    req: int
    room: str
    timeout: float


class SetShared(Control, frozen=True):
    """Kernel: write a key of the shared mapping, or delete it (``header`` None). Answered by `Reply`."""

    req: int
    room: str
    key: str
    time: float
    header: bytes | None
    size: int = 0
    body: Body = b""


class SharedChanged(Control, frozen=True):
    """Engine: a key of the shared mapping has this value now, or is deleted (``header`` None); whoever wrote it."""

    room: str
    key: str
    writer: str
    """Participant id."""
    time: float
    header: bytes | None
    size: int = 0
    body: Body = b""


class SharedSeen(Control, frozen=True):
    """Kernel: one `SharedChanged` was taken over, so that another one may come."""

    room: str


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
    | GiveBack
    | OpenChannel
    | CloseChannel
    | SendData
    | CancelSend
    | SendProgress
    | Received
    | Taken
    | ChannelEnded
    | DataFault
    | OpenShared
    | SetShared
    | SharedChanged
    | SharedSeen
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
