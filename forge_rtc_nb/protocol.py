"""Signaling messages (wire protocol v1): typed, validated, versioned. Every Python process uses it; pure, no I/O.

`docs/protocol.md` describes the protocol in words; `tests/wire/` holds examples that both languages must read alike.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from .errors import InvalidMessage, InvalidRoomId, InvalidSDP
from .sdp import MAX_MEDIA_LINES, check_candidate, check_sdp

VERSION = 1
"""Version of the wire protocol; a hello of another version gets an ``error`` and close code 4400."""

MAX_MESSAGE = 64 * 1024
"""Bytes in one signaling frame."""
MAX_NAME = 64
MAX_STREAMS = 32
MAX_OWNERS = 16
MAX_CHANNELS = 64

# Close codes of the signaling WebSocket (RFC 6455 section 7.4.2 leaves 4000-4999 to applications).
CLOSE_SLOW_READER = 4008
CLOSE_REPLACED = 4009
CLOSE_ROOM_DELETED = 4010
CLOSE_BAD_HELLO = 4400
CLOSE_UNAUTHORIZED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_ROOM_NOT_FOUND = 4404
CLOSE_FULL = 4429
CLOSE_ABUSE = 4413

FINAL_CLOSE_CODES = frozenset(
    {
        CLOSE_REPLACED,
        CLOSE_ROOM_DELETED,
        CLOSE_BAD_HELLO,
        CLOSE_UNAUTHORIZED,
        CLOSE_FORBIDDEN,
        CLOSE_ROOM_NOT_FOUND,
        CLOSE_FULL,
        CLOSE_ABUSE,
    }
)
"""After one of these a client does not reconnect by itself."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+\Z")]
Short = Annotated[str, msgspec.Meta(max_length=256)]
Secret = Annotated[str, msgspec.Meta(max_length=4096)]
Kind = Literal["browser", "kernel"]
MediaKind = Literal["audio", "video"]
Source = Literal["camera", "microphone", "screen", "other"]


class Value(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Base of the values that messages carry."""


class Stream(Value, frozen=True):
    """A media stream that a participant offers to whoever subscribes."""

    id: Id
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
    kind: MediaKind
    source: Source
    muted: bool = False
    """Switched off for the moment by its owner (a muted microphone); it can still be subscribed to."""
    mid: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    """The m-line that carries it (RFC 8843); only in an offer, and only in that connection."""
    started: float = 0.0
    """Unix seconds at which the server first heard of it."""
    stalled: bool = False
    """Of a kernel's: what is to give pictures gives none at the moment, as the kernel is busy; the last one stays."""


class Want(Value, frozen=True):
    """A stream of the answerer that the offerer would receive, and the m-line for it (RFC 8843)."""

    stream: Id
    mid: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class Channel(Value, frozen=True):
    """A data channel that a participant has open; who else opens one of this name does so with the same options."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    ordered: bool = True
    reliable: bool = True
    """False: what is lost or late is not sent again (W3C WebRTC 1.0, ``maxRetransmits: 0``), and the newest message replaces
    those that wait."""
    policy: Literal["block", "drop_oldest"] = "block"
    """What a receiver's full queue does: holds the sender up, or lets its oldest message go."""
    maxsize: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 64
    """Messages in a receiver's queue."""
    maxbytes: Annotated[int, msgspec.Meta(ge=1, le=2**40)] = 256 * 1024 * 1024


class Participant(Value, frozen=True):
    """One browser tab or one kernel in a room, as the server tells the others."""

    id: Id
    name: str
    kind: Kind
    user: str
    owners: list[Id] = []
    """For a tab: the kernels whose notebooks it shows, the last shown last."""
    joined_at: float = 0.0
    state: Literal["connected", "reconnecting"] = "connected"
    streams: list[Stream] = []
    channels: list[Channel] = []
    shared: bool = False
    """Holds values of the room's shared mapping."""


class SessionDescription(Value, frozen=True):
    """W3C WebRTC 1.0, RTCSessionDescriptionInit."""

    type: Literal["offer", "answer"]
    sdp: str


class Candidate(Value, frozen=True):
    """W3C WebRTC 1.0, RTCIceCandidateInit."""

    candidate: Annotated[str, msgspec.Meta(max_length=1024)]
    sdpMid: Short | None = None
    sdpMLineIndex: Annotated[int, msgspec.Meta(ge=0, lt=MAX_MEDIA_LINES)] | None = None
    usernameFragment: Short | None = None


class IceServer(Value, frozen=True):
    """W3C WebRTC 1.0, RTCIceServer."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class Limits(Value, frozen=True):
    """What the server accepts; it stands in the welcome so that clients need not find out by being refused."""

    message_bytes: int
    messages_per_second: float
    burst: int
    participants: int
    resume_seconds: float
    data_bytes: int = 1024**3
    """In one message of a channel."""
    shared_bytes: int = 1024**3
    """In the room's shared mapping altogether."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """Fields that any message may carry. The server sets ``from``; a client's own is overwritten."""

    to: Id | None = None
    from_: Id | None = msgspec.field(name="from", default=None)
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    """Number of the RTCPeerConnection of this pair: milliseconds since 1970 at its creation by the offerer."""
    id: Short | None = None
    """Chosen by the sender; an ``error`` or ``pong`` that answers repeats it as ``reply_to`` or ``id``."""

    routed: ClassVar[bool] = False
    """True where the server only passes the message on to the participant named in ``to``."""


class Hello(Message, frozen=True, tag="room.hello"):
    """The first frame of a client."""

    version: int
    kind: Kind
    name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    owners: Annotated[list[Id], msgspec.Meta(max_length=MAX_OWNERS)] = []
    streams: Annotated[list[Stream], msgspec.Meta(max_length=MAX_STREAMS)] = []
    channels: Annotated[list[Channel], msgspec.Meta(max_length=MAX_CHANNELS)] = []
    shared: bool = False
    ticket: Secret | None = None
    resume: Secret | None = None


class Welcome(Message, frozen=True, tag="room.welcome"):
    """The server's answer to a hello: who you are, who is there, and how to come back."""

    version: int
    room: str
    participant: Participant
    participants: list[Participant]
    limits: Limits
    resume: str
    resumed: bool = False
    """True where the connection continues an earlier one and nobody was told."""
    server: Short = ""
    """Public id of the server, the same as in its health: rooms of one name on two servers are two rooms."""


class Joined(Message, frozen=True, tag="room.joined"):
    participant: Participant


class Left(Message, frozen=True, tag="room.left"):
    participant_id: Id
    reason: Literal["left", "expired"] = "left"


class Updated(Message, frozen=True, tag="room.updated"):
    """A client sends what changed, each field whole; the server tells everybody the whole ``participant``."""

    streams: Annotated[list[Stream], msgspec.Meta(max_length=MAX_STREAMS)] | None = None
    owners: Annotated[list[Id], msgspec.Meta(max_length=MAX_OWNERS)] | None = None
    channels: Annotated[list[Channel], msgspec.Meta(max_length=MAX_CHANNELS)] | None = None
    shared: bool | None = None
    participant: Participant | None = None


class Routed(Message, frozen=True):
    routed: ClassVar[bool] = True


class Offer(Routed, frozen=True, tag="webrtc.offer"):
    sdp: SessionDescription
    streams: Annotated[list[Stream], msgspec.Meta(max_length=MAX_STREAMS)] = []
    """The streams this connection carries from the offerer, each with its ``mid``."""
    wants: Annotated[list[Want], msgspec.Meta(max_length=MAX_MEDIA_LINES)] = []
    """To a kernel: those of its streams that this connection is to carry to the offerer; whole, like ``streams``."""


class Answer(Routed, frozen=True, tag="webrtc.answer"):
    sdp: SessionDescription


class IceCandidate(Routed, frozen=True, tag="webrtc.ice_candidate"):
    candidate: Candidate | None = None
    """None says that no more will come (RFC 8838)."""


class Negotiate(Routed, frozen=True, tag="webrtc.negotiate"):
    """Asks the offerer of the pair for a new offer; ``restart`` for one on a new RTCPeerConnection (a new epoch)."""

    restart: bool = False


class Subscribe(Routed, frozen=True, tag="stream.subscribe"):
    stream: Id


class Unsubscribe(Routed, frozen=True, tag="stream.unsubscribe"):
    stream: Id


class Mute(Routed, frozen=True, tag="stream.mute"):
    """Asks the owner of a stream to switch it off; its client does so, and says who asked."""

    stream: Id


Side = Annotated[int, msgspec.Meta(ge=1, le=16384)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=240)]


class Constrain(Routed, frozen=True, tag="stream.constrain"):
    """A kernel asks a tab that shows its notebook for another size or rate of a stream; answered by `Constrained`."""

    stream: Id
    width: Side | None = None
    height: Side | None = None
    fps: Rate | None = None


class Constrained(Routed, frozen=True, tag="stream.constrained"):
    """What became of the `Constrain` of that ``id``: what the stream is now, or why it is as it was."""

    reply_to: Short
    width: Annotated[int, msgspec.Meta(ge=0, le=16384)] = 0
    height: Annotated[int, msgspec.Meta(ge=0, le=16384)] = 0
    fps: Annotated[int, msgspec.Meta(ge=0, le=240)] = 0
    problem: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class IceRequest(Message, frozen=True, tag="ice.request"):
    pass


class IceServers(Message, frozen=True, tag="ice.servers"):
    servers: list[IceServer]


class Ping(Message, frozen=True, tag="ping"):
    pass


class Pong(Message, frozen=True, tag="pong"):
    pass


class Error(Message, frozen=True, tag="error"):
    code: str
    message: str
    reply_to: str | None = None


Between = Offer | Answer | IceCandidate | Negotiate | Subscribe | Unsubscribe | Mute | Constrain | Constrained
"""What participants say to each other through the server."""
ClientMessage = Hello | Updated | Between | IceRequest | Ping | Pong
ServerMessage = Welcome | Joined | Left | Updated | Between | IceServers | Ping | Pong | Error

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_from_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: Message) -> str:
    """One message as the text of a WebSocket frame."""
    return _encoder.encode(message).decode()


def decode_client(frame: str | bytes) -> ClientMessage:
    """Read and validate what a client sent. Errors: `InvalidMessage`, `InvalidSDP`, `InvalidCandidate`."""
    message: ClientMessage = _decode(_from_client, frame)
    _validate(message)
    return message


def decode_server(frame: str | bytes) -> ServerMessage:
    """Read what the server sent; the same errors as `decode_client`."""
    message: ServerMessage = _decode(_from_server, frame)
    _validate(message)
    return message


def _decode(decoder: msgspec.json.Decoder[Any], frame: str | bytes) -> Any:
    size = len(frame.encode("utf-8", "surrogatepass")) if isinstance(frame, str) else len(frame)
    if size > MAX_MESSAGE:
        raise InvalidMessage(f"a signaling message may have {MAX_MESSAGE} bytes, this one has {size}")
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidMessage(f"not a signaling message: {error}") from None


def _validate(message: Message) -> None:
    if message.routed and message.to is None and message.from_ is None:
        raise InvalidMessage("this message needs 'to', the id of a participant")
    if isinstance(message, Offer | Answer):
        if message.sdp.type != ("offer" if isinstance(message, Offer) else "answer"):
            raise InvalidSDP(f"sdp.type is {message.sdp.type!r} in a message of another type")
        check_sdp(message.sdp.sdp)
    elif isinstance(message, IceCandidate) and message.candidate is not None:
        check_candidate(message.candidate.candidate)
    elif isinstance(message, Hello | Updated):
        # Not in a record of others: whether a character exists depends on the Unicode version of whoever asks.
        check_channels(message.channels or [])


_ROOM_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_room_id(room_id: object) -> str:
    """The room id itself, or `InvalidRoomId`."""
    if not isinstance(room_id, str) or not _ROOM_ID.fullmatch(room_id):
        raise InvalidRoomId(f"{room_id!r} is no room id: use 1 to 64 characters out of A-Z a-z 0-9 . _ -")
    return room_id


_UNWANTED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean_name(name: str | None, default: str) -> str:
    """A display name in NFC without control, bidi or other invisible characters, at most 64 characters."""
    text = unicodedata.normalize("NFC", name or "")
    text = "".join(c for c in text if unicodedata.category(c) not in _UNWANTED)
    text = " ".join(text.split())[:MAX_NAME].strip()
    return text or default


def check_channel_name(name: str) -> str:
    """The name itself, or `InvalidMessage`; it is not cleaned, since two who mean one channel must say one name."""
    if not 1 <= len(name) <= MAX_NAME or clean_name(name, "") != name:
        raise InvalidMessage(f"{name!r:.80} is no channel name: use 1 to {MAX_NAME} visible characters and single spaces")
    return name


def check_channels(channels: list[Channel]) -> None:
    """Refuse a list in which a name is not as it should be, or stands twice."""
    names = [check_channel_name(channel.name) for channel in channels]
    if len(names) != len(set(names)):
        raise InvalidMessage("two channels of one participant have the same name")
