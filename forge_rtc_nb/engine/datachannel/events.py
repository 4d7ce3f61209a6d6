"""What an SCTP association tells the layer above it (engine process)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Established:
    """Data can go both ways."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The peer has begun anew (RFC 9260 section 5.2.4): what was under way is lost, every stream is as at first."""


@dataclass(slots=True)  # frozen costs a microsecond a message
class Message:
    """A whole message has arrived."""

    stream: int
    ppid: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message on this stream is larger than any may be, and is not kept (RFC 8831 section 6.6)."""

    stream: int


@dataclass(frozen=True, slots=True)
class PeerReset:
    """The peer has reset its outgoing streams: nothing more of the old comes on them, which is how a channel is closed.

    ``streams`` is empty where it means all of them.
    """

    streams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ResetDone:
    """What `Association.reset` asked for was done, or was refused by the peer (``performed`` is False)."""

    streams: tuple[int, ...]
    performed: bool


@dataclass(frozen=True, slots=True)
class ProbeAcknowledged:
    """A padded packet of ``size`` bytes has arrived at the peer, which answered."""

    size: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """What was sent was not acknowledged in time (RFC 9260 section 6.3.3), and is sent again."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The association has ended; ``reason`` is None where both sides had agreed on it."""

    reason: str | None


Event = Established | Restarted | Message | TooLarge | PeerReset | ResetDone | ProbeAcknowledged | Unanswered | Closed
