"""How control messages cross the socket between kernel and engine: length-prefixed msgpack."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from . import control

MAX_FRAME = 16 * 1024 * 1024
"""Bytes in one control message; the longest real one lists the participants of a full room."""

Message = (
    control.Join
    | control.Leave
    | control.TicketRequest
    | control.OpenView
    | control.CloseView
    | control.Reply
    | control.Welcomed
    | control.RoomState
    | control.ParticipantJoined
    | control.ParticipantLeft
    | control.ParticipantUpdated
    | control.ViewOpened
    | control.ViewReady
    | control.ViewEnded
    | control.PeerFault
    | control.GiveBack
    | control.OpenChannel
    | control.CloseChannel
    | control.SendData
    | control.CancelSend
    | control.SendProgress
    | control.Received
    | control.Taken
    | control.ChannelEnded
    | control.DataFault
    | control.OpenShared
    | control.SetShared
    | control.SharedChanged
    | control.SharedSeen
    | control.Publish
    | control.PictureReady
    | control.Unpublish
    | control.Mute
    | control.Constrain
    | control.PublicationState
    | control.PublicationFault
    | control.PublicationEnded
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_length = struct.Struct("<I")


def pack(message: control.Control) -> bytes:
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
