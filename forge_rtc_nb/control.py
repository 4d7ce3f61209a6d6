"""What the kernel and its engine process say to each other over their socket; `control_stream` has how.

Not a public protocol: both ends are always of one version. Pictures never go this way, they cross in a ring (`ring`); what is
large of the messages of channels crosses in extents of shared memory (`arena`), each given back by a `GiveBack`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .protocol import Channel, Limits, Participant

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
    """Kernel: write every new picture of a stream into a ring, in this format, until `CloseView`; or its sound, ``mono`` or
    ``stereo``.

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


class Publish(Control, frozen=True):
    """Kernel: offer a stream to the room, of pictures or, where it has a ``rate``, of sound. Answered by `Reply` when the
    server has told the others; its value is the region of the shared memory whose writer the kernel is.

    A name that this kernel publishes already in this room goes over to the new publication: the stream keeps its id and its
    viewers, and the publication before ends (`PublicationEnded`).
    """

    req: int
    room: str
    publication: int
    """A number that the kernel chooses, never the same twice."""
    name: str
    fps: float = 30.0
    """Pictures a second, at most."""
    bitrate: int | None = None
    """Bits a second, at most; None for what is usual for the size."""
    codec: str | None = None
    """The only one that is offered, ``H264`` or ``VP8``; None for what the viewer prefers."""
    rate: int = 0
    """Samples a second of sound; 0 for pictures."""
    channels: int = 0
    """Of sound, 1 or 2."""


class PictureReady(Control, frozen=True):
    """Kernel: there is something new in a publication's ring. Sent once, until the engine has looked (``pending``)."""

    publication: int


class Unpublish(Control, frozen=True):
    """Kernel: the stream ends; its ring is unmapped here. No answer."""

    publication: int


class Mute(Control, frozen=True):
    """Kernel: ask a participant's client to switch a stream off. No answer."""

    room: str
    participant: str
    stream: str


class Constrain(Control, frozen=True):
    """Kernel: ask a tab for another size or rate of a stream. Answered by `Reply`: [width, height, pictures a second]."""

    req: int
    room: str
    participant: str
    stream: str
    width: int | None
    height: int | None
    fps: int | None
    timeout: float


class PublicationState(Control, frozen=True):
    """Engine: who watches, and what it cost. Sent when ``viewers`` changes, and once a second while somebody watches."""

    room: str
    publication: int
    viewers: int
    keyframes_only: int = 0
    """Viewers whose path carries less than the stream needs."""
    frames: int = 0
    """Encoded up to now."""
    keyframes: int = 0
    bytes: int = 0
    dropped: int = 0
    """Frames that were encoded and that a viewer did not get, over all viewers."""
    seconds: float = 0.0
    """Of an encoder's thread, spent converting and encoding."""
    bitrate: int = 0
    """Bits a second that the encoders are set to."""


class PublicationFault(Control, frozen=True):
    """Engine: a picture cannot be encoded; the publication goes on."""

    room: str
    publication: int
    message: str


class PublicationEnded(Control, frozen=True):
    """Engine: the stream ended against the kernel's will, or another publication took its name; `Unpublish` still follows."""

    room: str
    publication: int
    message: str = ""
