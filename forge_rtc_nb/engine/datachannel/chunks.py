"""SCTP packets, chunks and parameters as bytes: RFC 9260 section 3, RFC 3758, 4820, 6525 and 9653; pure (engine process)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from google_crc32c import extend

DATA: Final = 0
INIT: Final = 1
INIT_ACK: Final = 2
SACK: Final = 3
HEARTBEAT: Final = 4
HEARTBEAT_ACK: Final = 5
ABORT: Final = 6
SHUTDOWN: Final = 7
SHUTDOWN_ACK: Final = 8
ERROR: Final = 9
COOKIE_ECHO: Final = 10
COOKIE_ACK: Final = 11
SHUTDOWN_COMPLETE: Final = 14
RE_CONFIG: Final = 130
PAD: Final = 132
FORWARD_TSN: Final = 192

LAST: Final = 1
FIRST: Final = 2
UNORDERED: Final = 4
AT_ONCE: Final = 8
"""The flags of a DATA chunk: E, B, U, and I of RFC 7053."""

REFLECTED: Final = 1
"""The T flag of ABORT and SHUTDOWN COMPLETE: the packet has the tag of who receives it from us."""

HEARTBEAT_INFO: Final = 1
STATE_COOKIE: Final = 7
UNRECOGNIZED_PARAMETER: Final = 8
SUPPORTED_EXTENSIONS: Final = 0x8008
ZERO_CHECKSUM_ACCEPTABLE: Final = 0x8001
FORWARD_TSN_SUPPORTED: Final = 0xC000
CAPACITY: Final = 0x9C4F
"""Our own, of the kind that others skip without a word (RFC 9260 section 3.2.1): the largest packet that we take, and how many
bytes of packets our socket keeps until we read them, 32 bits each."""

OVER_DTLS: Final = b"\0\0\0\1"
"""Says in ZERO CHECKSUM ACCEPTABLE that DTLS finds what is broken (RFC 9653 section 4)."""

STALE_COOKIE: Final = 3
UNRECOGNIZED_CHUNK: Final = 6
USER_ABORT: Final = 12
PROTOCOL_VIOLATION: Final = 13

COMMON_HEADER: Final = 12
CHUNK_HEADER: Final = 4
DATA_HEADER: Final = 16

LARGE: Final = 4096
"""Bytes of a packet from which on its content is better looked at than copied."""

MASK: Final = 0xFFFFFFFF

_HEADER = Struct("!HHL")
_CHUNK = Struct("!BBH")
_INIT = Struct("!LLHHL")
_SACK = Struct("!LLHH")
_PAIR = Struct("!HH")
_WORD = Struct("!L")
CHECKSUM = Struct("<L")
NO_CHECKSUM: Final = bytes(4)
DATA_CHUNK = Struct("!BBHLHHL")
"""Type, flags, length, TSN, stream, stream sequence number, PPID."""
PLAIN_SACK_CHUNK = Struct("!BBHLLL")
"""Type, flags, length, TSN and window of a SACK; the last number is 0 where it tells neither of gaps nor of duplicates."""

PLAIN_SACK: Final = COMMON_HEADER + PLAIN_SACK_CHUNK.size
"""Bytes of a packet with a SACK alone, that tells neither of gaps nor of duplicates."""
_TSN_AT: Final = COMMON_HEADER + CHUNK_HEADER

_BEGIN: Final = (bytes([INIT]), bytes([COOKIE_ECHO]))


class Malformed(ValueError):
    """The bytes are no such thing."""


def unwrap(raw: int, near: int) -> int:
    """The number whose low 32 bits are ``raw`` that is next to ``near``: serial number arithmetic, RFC 1982."""
    return near + ((raw - near + 0x80000000) & MASK) - 0x80000000


def packet_header(source: int, destination: int, tag: int) -> bytes:
    """The common header without its checksum."""
    return _HEADER.pack(source, destination, tag)


def header_seed(header: bytes) -> int:
    """The checksum of a common header, to be extended by what follows it."""
    return int(extend(0, header + b"\x00\x00\x00\x00"))


def packet(header: bytes, chunks: Iterable[bytes]) -> bytes:
    """A packet with its checksum."""
    body = b"".join(chunks)
    return b"".join((header, CHECKSUM.pack(extend(header_seed(header), body)), body))


def checksum_is_right(data: bytes, unchecked: bool) -> bool:
    """Where it may be ``unchecked`` 0 is right, too, but in packets that begin an association (RFC 9653 section 5.3)."""
    if len(data) < COMMON_HEADER:
        return False
    if unchecked and data[8:COMMON_HEADER] == NO_CHECKSUM and data[COMMON_HEADER : COMMON_HEADER + 1] not in _BEGIN:
        return True
    return bool(CHECKSUM.unpack_from(data, 8)[0] == extend(header_seed(data[:8]), data[COMMON_HEADER:]))


def chunk(kind: int, flags: int = 0, value: bytes = b"") -> bytes:
    """A chunk with its padding."""
    return _CHUNK.pack(kind, flags, len(value) + CHUNK_HEADER) + value + bytes(-len(value) % 4)


def chunks_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, value) of each chunk; `Malformed` where one does not fit, after those in front of it."""
    at, end = COMMON_HEADER, len(data)
    while at < end:
        if end - at < CHUNK_HEADER:
            raise Malformed("bytes that are no chunk at the end of a packet")
        kind, flags, length = _CHUNK.unpack_from(data, at)
        if length < CHUNK_HEADER or at + length > end:
            raise Malformed(f"a chunk of {length} bytes in {end - at}")
        yield kind, flags, data[at + CHUNK_HEADER : at + length]
        at += length + (-length % 4)


def is_filling(data: bytes, at: int) -> bool:
    """Whether from there on a packet is nothing but one PAD chunk (RFC 4820)."""
    left = len(data) - at
    return left >= CHUNK_HEADER and data[at] == PAD and int.from_bytes(data[at + 2 : at + 4], "big") == left


def parameter(kind: int, value: bytes = b"") -> bytes:
    """A parameter of a chunk, or the cause of an error, with its padding."""
    return _PAIR.pack(kind, len(value) + 4) + value + bytes(-len(value) % 4)


def parameters_of(value: bytes) -> list[tuple[int, bytes]]:
    """(type, value) of each parameter."""
    found = []
    at, end = 0, len(value)
    while at < end:
        if end - at < 4:
            raise Malformed("bytes that are no parameter at the end of a chunk")
        kind, length = _PAIR.unpack_from(value, at)
        if length < 4 or at + length > end:
            raise Malformed(f"a parameter of {length} bytes in {end - at}")
        found.append((kind, value[at + 4 : at + length]))
        at += length + (-length % 4)
    return found


def error_chunk(kind: int, cause: int, text: bytes) -> bytes:
    """An ABORT or ERROR chunk with one cause."""
    return chunk(kind, 0, parameter(cause, text))


@dataclass(frozen=True, slots=True)
class Init:
    """What INIT and INIT ACK say."""

    tag: int
    window: int
    outgoing: int
    incoming: int
    tsn: int
    parameters: tuple[tuple[int, bytes], ...] = ()

    def chunk(self, kind: int) -> bytes:
        fixed = _INIT.pack(self.tag, self.window, self.outgoing, self.incoming, self.tsn)
        return chunk(kind, 0, fixed + b"".join(parameter(*each) for each in self.parameters))

    @classmethod
    def parse(cls, value: bytes) -> Init:
        """`Malformed` also for what RFC 9260 section 3.3.2 forbids: a tag of 0, no streams."""
        if len(value) < _INIT.size:
            raise Malformed(f"an INIT of {len(value)} bytes")
        tag, window, outgoing, incoming, tsn = _INIT.unpack_from(value)
        if not (tag and outgoing and incoming):
            raise Malformed("an INIT without a tag or streams")
        return cls(tag, window, outgoing, incoming, tsn, tuple(parameters_of(value[_INIT.size :])))

    def get(self, kind: int) -> bytes | None:
        """The value of a parameter, None where it is not there."""
        return next((value for each, value in self.parameters if each == kind), None)


def sack_chunk(tsn: int, window: int, gaps: list[tuple[int, int]], duplicates: list[int]) -> bytes:
    """``gaps`` are (start, end) relative to ``tsn``."""
    if not (gaps or duplicates):
        return PLAIN_SACK_CHUNK.pack(SACK, 0, PLAIN_SACK_CHUNK.size, tsn & MASK, window, 0)
    parts = [_SACK.pack(tsn & MASK, window, len(gaps), len(duplicates))]
    parts += [_PAIR.pack(*gap) for gap in gaps]
    parts += [_WORD.pack(each & MASK) for each in duplicates]
    return chunk(SACK, 0, b"".join(parts))


def parse_sack(value: bytes) -> tuple[int, int, list[tuple[int, int]]]:
    """The cumulative TSN, the window, and the gap blocks, relative to the TSN."""
    if len(value) < _SACK.size:
        raise Malformed(f"a SACK of {len(value)} bytes")
    tsn, window, gaps, _ = _SACK.unpack_from(value)
    if not gaps:
        return tsn, window, []
    if len(value) < _SACK.size + 4 * gaps:
        raise Malformed(f"a SACK of {len(value)} bytes with {gaps} gaps")
    return tsn, window, list(_PAIR.iter_unpack(value[_SACK.size : _SACK.size + 4 * gaps]))


def without_superseded(packets: Iterable[bytes]) -> Iterator[bytes]:
    """What was read together, but for SACKs that the next packet says all of, and more: acknowledgements are cumulative.

    Most implementations send one for every second packet, in a packet of its own: looking at each costs a sender more than its
    packets do. Those with gap blocks, or with other chunks, stay.
    """
    before: bytes | None = None
    for each in packets:
        if before is not None and not (len(each) == PLAIN_SACK == len(before) and _supersedes(each, before)):
            yield before
        before = each
    if before is not None:
        yield before


def _supersedes(later: bytes, earlier: bytes) -> bool:
    """Of two packets of that size, from the same sender: RFC 1982 says which TSN is the later one."""
    return (
        later[COMMON_HEADER] == SACK == earlier[COMMON_HEADER]
        and later[: COMMON_HEADER - 4] == earlier[: COMMON_HEADER - 4]
        and not (word(later[_TSN_AT:]) - word(earlier[_TSN_AT:])) & 0x80000000
    )


def duplicates_in(value: bytes) -> list[int]:
    """The TSNs that a SACK says have arrived more than once."""
    _, _, gaps, count = _SACK.unpack_from(value)
    start = _SACK.size + 4 * gaps
    return [each for (each,) in _WORD.iter_unpack(value[start : start + 4 * min(count, (len(value) - start) // 4)])]


def forward_tsn_chunk(tsn: int, skipped: Iterable[tuple[int, int]]) -> bytes:
    """``skipped`` are streams and the last sequence number in each that will not come."""
    return chunk(FORWARD_TSN, 0, _WORD.pack(tsn & MASK) + b"".join(_PAIR.pack(*each) for each in skipped))


def parse_forward_tsn(value: bytes) -> tuple[int, list[tuple[int, int]]]:
    if len(value) < 4 or len(value) % 4:
        raise Malformed(f"a FORWARD TSN of {len(value)} bytes")
    return _WORD.unpack_from(value)[0], list(_PAIR.iter_unpack(value[4:]))


def word(value: bytes) -> int:
    """The 32-bit number that a chunk starts with."""
    if len(value) < 4:
        raise Malformed(f"a number of {len(value)} bytes")
    return int(_WORD.unpack_from(value)[0])


def words(*numbers: int) -> bytes:
    return b"".join(_WORD.pack(number & MASK) for number in numbers)
