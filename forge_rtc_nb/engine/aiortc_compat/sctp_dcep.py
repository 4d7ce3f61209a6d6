"""The messages that open data channels (RFC 8832), and what data is called on the wire (RFC 8831 section 8); engine process."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error
from typing import Final

from aiortc.rtcdatachannel import RTCDataChannelParameters

ACK: Final = 2
OPEN: Final = 3

DCEP: Final = 50
STRING: Final = 51
BINARY: Final = 53
STRING_EMPTY: Final = 56
BINARY_EMPTY: Final = 57

_OPEN: Final = Struct("!BBHLHH")
_UNORDERED, _RETRANSMITS, _LIFETIME = 0x80, 1, 2


@dataclass(frozen=True)
class Opening:
    """What DATA_CHANNEL_OPEN says; lengths are in bytes (section 5.1)."""

    label: str
    protocol: str = ""
    ordered: bool = True
    retransmits: int | None = None
    lifetime: int | None = None
    """Milliseconds."""

    def encode(self) -> bytes:
        """`ValueError` for what the message has no room for."""
        label, protocol = self.label.encode(), self.protocol.encode()
        kind, reliability = 0 if self.ordered else _UNORDERED, 0
        if self.retransmits is not None:
            kind, reliability = kind | _RETRANSMITS, self.retransmits
        elif self.lifetime is not None:
            kind, reliability = kind | _LIFETIME, self.lifetime
        try:
            return _OPEN.pack(OPEN, kind, 0, reliability, len(label), len(protocol)) + label + protocol
        except error:
            raise ValueError(
                "the label and the protocol of a data channel have 65535 bytes at most, its limit 32 bits"
            ) from None

    def parameters(self, stream: int) -> RTCDataChannelParameters:
        """As aiortc has them."""
        return RTCDataChannelParameters(
            label=self.label,
            protocol=self.protocol,
            ordered=self.ordered,
            maxRetransmits=self.retransmits,
            maxPacketLifeTime=self.lifetime,
            id=stream,
        )


def decode_opening(data: bytes) -> Opening | None:
    """None for what is no opening: another message, one that is cut, text that is no UTF-8, a reliability that nobody knows."""
    if data[:1] != bytes([OPEN]) or len(data) < _OPEN.size:
        return None
    _, kind, _, reliability, label_size, protocol_size = _OPEN.unpack_from(data)
    begin = _OPEN.size + label_size
    if len(data) < begin + protocol_size or kind & 0x7F > _LIFETIME:
        return None
    try:
        label, protocol = data[_OPEN.size : begin].decode(), data[begin : begin + protocol_size].decode()
    except UnicodeDecodeError:
        return None
    return Opening(
        label,
        protocol,
        ordered=not kind & _UNORDERED,
        retransmits=reliability if kind & 0x7F == _RETRANSMITS else None,
        lifetime=reliability if kind & 0x7F == _LIFETIME else None,
    )


def encode_data(data: str | bytes) -> tuple[int, bytes]:
    """PPID and bytes of a message: SCTP has none without any (RFC 8831 section 6.6)."""
    if isinstance(data, str):
        return (STRING, data.encode()) if data else (STRING_EMPTY, b"\0")
    return (BINARY, data) if data else (BINARY_EMPTY, b"\0")


def decode_data(ppid: int, data: bytes) -> str | bytes | None:
    """None for a PPID that stands for no message. Text that is no UTF-8 is an empty one: whoever listens can tell."""
    if ppid == BINARY:
        return data
    if ppid == STRING:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return ""
    if ppid == STRING_EMPTY:
        return ""
    return b"" if ppid == BINARY_EMPTY else None
