"""How an association begins: INIT, the state cookie, and what both sides agree on; pure (engine process)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from .chunks import (
    CAPACITY,
    FORWARD_TSN,
    FORWARD_TSN_SUPPORTED,
    INIT,
    INIT_ACK,
    OVER_DTLS,
    PAD,
    RE_CONFIG,
    STATE_COOKIE,
    SUPPORTED_EXTENSIONS,
    UNRECOGNIZED_PARAMETER,
    ZERO_CHECKSUM_ACCEPTABLE,
    Init,
    parameter,
)

COOKIE_SECONDS: Final = 60.0
STREAMS: Final = 65_535
"""That each side may have; RFC 8831 section 6.2."""
MAX_UNRECOGNIZED: Final = 4
"""Parameters that an INIT ACK reports at most."""

_COOKIE = Struct("!dLLLLLLLH??LL?")
_MAC = 32
_CAPACITY = Struct("!LL")

MOST_ROOM: Final = 512 << 10
"""What is believed of a peer's socket, in bytes: who tells more than there is loses packets, and all of them are late."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one side takes beyond what RFC 9260 lets a peer expect; 0: nothing is known."""

    packet: int = 0
    """The largest packet in bytes."""
    room: int = 0
    """Bytes of packets that wait in its socket before some are lost."""
    unchecked: bool = False
    """Packets without a checksum, since DTLS finds what is broken (RFC 9653)."""

    def parameters(self) -> tuple[tuple[int, bytes], ...]:
        ours = ((CAPACITY, _CAPACITY.pack(self.packet, self.room)),) if self.packet or self.room else ()
        return (*ours, (ZERO_CHECKSUM_ACCEPTABLE, OVER_DTLS)) if self.unchecked else ours

    @classmethod
    def of(cls, init: Init) -> Capacity:
        value, unchecked = init.get(CAPACITY) or b"", init.get(ZERO_CHECKSUM_ACCEPTABLE) == OVER_DTLS
        packet, room = _CAPACITY.unpack(value) if len(value) == _CAPACITY.size else (0, 0)
        return cls(packet, min(room, MOST_ROOM), unchecked)


UNKNOWN: Final = Capacity()


@dataclass(frozen=True, slots=True)
class Peer:
    """What the other side has said of itself."""

    tag: int
    tsn: int
    window: int
    streams: int
    """That it takes."""
    forwards: bool
    """It knows FORWARD TSN."""
    resets: bool
    """It knows RE-CONFIG."""
    capacity: Capacity = UNKNOWN

    @classmethod
    def of(cls, init: Init) -> Peer:
        extensions = init.get(SUPPORTED_EXTENSIONS) or b""
        forwards = init.get(FORWARD_TSN_SUPPORTED) is not None or FORWARD_TSN in extensions
        streams, resets = min(init.incoming, STREAMS), RE_CONFIG in extensions
        return cls(init.tag, init.tsn, init.window, streams, forwards, resets, Capacity.of(init))


@dataclass(frozen=True, slots=True)
class Cookie:
    """An association as it would be: who sends it back has it, we need not remember it (RFC 9260 section 5.1.3)."""

    made_at: float
    tag: int
    tsn: int
    peer: Peer
    ties: tuple[int, int]
    """Our and the peer's tag of the association that there was already, else 0 (section 5.2.2)."""

    def seal(self, key: bytes) -> bytes:
        peer, ours = self.peer, (self.made_at, self.tag, self.tsn)
        capacity = peer.capacity.packet, peer.capacity.room, peer.capacity.unchecked
        theirs = peer.streams, peer.forwards, peer.resets, *capacity
        body = _COOKIE.pack(*ours, peer.tag, peer.tsn, peer.window, *self.ties, *theirs)
        return body + hmac.digest(key, body, "sha256")

    @classmethod
    def open(cls, sealed: bytes, key: bytes) -> Cookie | None:
        """None for what was not sealed with this key."""
        body, mac = sealed[: _COOKIE.size], sealed[_COOKIE.size :]
        if len(mac) != _MAC or not hmac.compare_digest(mac, hmac.digest(key, body, "sha256")):
            return None
        made_at, tag, tsn, peer_tag, peer_tsn, window, tie, peer_tie, *theirs = _COOKIE.unpack(body)
        streams, forwards, resets, *capacity = theirs
        peer = Peer(peer_tag, peer_tsn, window, streams, forwards, resets, Capacity(*capacity))
        return cls(made_at, tag, tsn, peer, (tie, peer_tie))

    def age(self, now: float) -> float:
        return now - self.made_at


class Identity:
    """The tags, sequence numbers and key of this side."""

    def __init__(self, window: int, capacity: Capacity, random: Callable[[int], bytes]) -> None:
        self._window = window
        self._capacity = capacity
        self._random = random
        self.key = random(32)
        self.tag = self.new_number()
        self.tsn = self.new_number()

    def new_number(self) -> int:
        """32 random bits, not 0, which is no tag."""
        return int.from_bytes(self._random(4), "big") or 1

    def init(self, kind: int, tag: int, tsn: int, more: tuple[tuple[int, bytes], ...] = ()) -> bytes:
        extensions = bytes((FORWARD_TSN, RE_CONFIG, PAD))
        parameters = ((FORWARD_TSN_SUPPORTED, b""), (SUPPORTED_EXTENSIONS, extensions), *self._capacity.parameters(), *more)
        return Init(tag, self._window, STREAMS, STREAMS, tsn, parameters).chunk(kind)

    def init_chunk(self) -> bytes:
        return self.init(INIT, self.tag, self.tsn)

    def init_ack_chunk(self, init: Init, cookie: Cookie) -> bytes:
        more = ((STATE_COOKIE, cookie.seal(self.key)), *unrecognized(init))
        return self.init(INIT_ACK, cookie.tag, cookie.tsn, more)


def unrecognized(init: Init) -> list[tuple[int, bytes]]:
    """The parameters that want to be told if nobody knows them: the second highest bit says so (section 3.2.1)."""
    asked = (SUPPORTED_EXTENSIONS, ZERO_CHECKSUM_ACCEPTABLE, FORWARD_TSN_SUPPORTED, CAPACITY)
    known = (STATE_COOKIE, UNRECOGNIZED_PARAMETER, *asked)
    found = []
    for kind, value in init.parameters:
        if kind > 15 and kind not in known:  # up to 15: addresses and the like, of no use over DTLS (RFC 8261 section 6)
            if kind & 0x4000 and len(value) <= 64:
                found.append((UNRECOGNIZED_PARAMETER, parameter(kind, value)))
            if not kind & 0x8000:
                break
    return found[:MAX_UNRECOGNIZED]


class Retry:
    """A chunk that is sent until it is answered, at intervals that double (sections 5.1 and 9.2)."""

    def __init__(self, chunk: bytes, interval: float, most: int, now: float) -> None:
        self.chunk = chunk
        self._interval = interval
        self._most = most
        self.began = now
        self.tries = 0
        self.at = now + interval

    def again(self, now: float) -> bool:
        """Whether it may be sent once more."""
        self.tries += 1
        self._interval = min(60.0, 2 * self._interval)
        self.at = now + self._interval
        return self.tries <= self._most
