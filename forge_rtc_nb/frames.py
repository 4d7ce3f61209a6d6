"""Frames of data channels as bytes and back, and their limits. Kernel and engine use it; pure, no I/O.

`docs/protocol.md` describes the frames in words; `tests/wire/data/frames.json` holds examples that both languages must read
alike. What depends on earlier frames (numbers, offsets, credit) is checked by whoever keeps count of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_FRAME = 262144
"""Bytes in one message of a data channel; what every browser takes in one (RFC 8841 section 6, ``max-message-size``)."""
CHUNK = 63 << 10
"""Bytes in a frame that a sender fills. Between two engines that is four packets, which go in one system call; of 64 KiB a
fifth would go by itself."""
MAX_HEADER = 16384
MIN_HEADER = 2
"""Bytes of ``{}``."""
INITIAL_CREDIT = 262144
MESSAGE_COST = 1024
"""What a message costs of the credit besides its body."""
MAX_SIZE = 2**53 - 1
"""The largest size, offset or credit: JavaScript's numbers are exact up to here."""

BEGIN, MORE, ABORT, TAKEN, CREDIT = 1, 2, 3, 4, 5

_long = struct.Struct("<BBHIQ")
_short = struct.Struct("<BBHI")
BEGIN_BYTES = MORE_BYTES = _long.size
"""Bytes of a BEGIN or MORE before the header and the body."""


class FrameError(ValueError):
    """Not a frame; the text says why."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The first frame of a message: how long its body is, what it is, and as much of it as fits."""

    number: int
    size: int
    """Bytes of the whole body."""
    header: bytes
    body: bytes | memoryview = b""
    """The first part of the body; may be empty."""


@dataclass(frozen=True, slots=True)
class More:
    """The part of a message's body that begins at ``offset``."""

    number: int
    offset: int
    body: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Abort:
    """The sender will not finish this message."""

    number: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The receiver has the whole message in its queue."""

    number: int


@dataclass(frozen=True, slots=True)
class Credit:
    """How much the sender may spend, over all messages of this data channel."""

    total: int


Frame = Begin | More | Abort | Taken | Credit


def encode(frame: Frame) -> bytes:
    """A frame as one binary message; a memoryview in it is one of bytes. `FrameError` where it would not be read again."""
    try:
        data = _encode(frame)
    except struct.error:
        raise FrameError(f"a number in {type(frame).__name__} is out of range") from None
    _check(frame, len(data))
    return data


def _encode(frame: Frame) -> bytes:
    match frame:
        case More(number, offset, body):
            return b"".join((_long.pack(MORE, 0, 0, number, offset), body))
        case Begin(number, size, header, body):
            return b"".join((_long.pack(BEGIN, 0, len(header), number, size), header, body))
        case Abort(number):
            return _short.pack(ABORT, 0, 0, number)
        case Taken(number):
            return _short.pack(TAKEN, 0, 0, number)
        case Credit(total):
            return _long.pack(CREDIT, 0, 0, 0, total)


def decode(data: bytes) -> Frame:
    """The frame that a binary message is; its body is a view of ``data``, not a copy. `FrameError` for anything else."""
    frame = _decode(data)
    _check(frame, len(data))
    return frame


def _decode(data: bytes) -> Frame:
    if not isinstance(data, bytes):
        raise FrameError("a frame is a binary message, this one is text")
    if len(data) >= _long.size:
        kind, zero, length, number, value = _long.unpack_from(data)
    elif len(data) == _short.size:
        kind, zero, length, number = _short.unpack(data)
        value = 0
    else:
        raise FrameError(f"no frame has {len(data)} bytes")
    if zero or (length and kind != BEGIN):
        raise FrameError("a reserved byte of the frame is not 0")
    return _typed(data, kind, length, number, value)


def _typed(data: bytes, kind: int, length: int, number: int, value: int) -> Frame:
    long, body = len(data) >= _long.size, _long.size + length
    if kind == MORE and long:
        return More(number, value, memoryview(data)[body:])
    if kind == BEGIN and body <= len(data):
        return Begin(number, value, data[_long.size : body], memoryview(data)[body:])
    if kind == CREDIT and len(data) == _long.size and number == 0:
        return Credit(value)
    if kind in (ABORT, TAKEN) and not long:
        return Abort(number) if kind == ABORT else Taken(number)
    raise FrameError(f"no frame of type {kind} has {len(data)} bytes like these")


def _check(frame: Frame, length: int) -> None:
    """What holds for frames that come and for those that go."""
    if length > MAX_FRAME:
        raise FrameError(f"a frame may have {MAX_FRAME} bytes, this one has {length}")
    if isinstance(frame, More):
        if not len(frame.body):
            raise FrameError("a MORE frame has no body")
        end = frame.offset + len(frame.body)
    elif isinstance(frame, Begin):
        if not MIN_HEADER <= len(frame.header) <= MAX_HEADER:
            raise FrameError(f"a header has {MIN_HEADER} to {MAX_HEADER} bytes, this one has {len(frame.header)}")
        if len(frame.body) > frame.size:
            raise FrameError(f"a body of {frame.size} bytes begins with {len(frame.body)} bytes")
        end = frame.size
    else:
        end = frame.total if isinstance(frame, Credit) else 0
    if end > MAX_SIZE:
        raise FrameError(f"{end} bytes are more than a frame can count")
    if not isinstance(frame, Credit) and not frame.number:
        raise FrameError("messages are numbered from 1")
