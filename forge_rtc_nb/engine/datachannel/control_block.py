"""Both halves of an association whose peer is known, RFC 9260's transmission control block; pure (engine process)."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final

from .chunks import COMMON_HEADER, FORWARD_TSN, RE_CONFIG, SACK, parse_forward_tsn, parse_sack
from .events import Event
from .inbound import Inbound, Violation
from .lifecycle import SENDS_DATA, TAKES_DATA, State
from .outbound import Outbound
from .outgoing import Schedule
from .packer import Packer
from .reset import Resets
from .setup import Identity, Peer

SACK_DELAY: Final = 0.2
"""Seconds that a single packet waits for its acknowledgement (section 6.2)."""
SACK_PACKETS: Final = 32
"""In a batch larger than that, a SACK goes out at the next `take_packets`."""

_DATA = Struct("!LHHL")


class ControlBlock:
    """Lives from the first word of the peer to the end, or to its restart."""

    def __init__(
        self,
        ports: tuple[int, int],
        identity: Identity,
        peer: Peer,
        schedule: Schedule,
        inbound: Inbound,
        sizes: tuple[int, int],
        control: deque[bytes],
        events: deque[Event],
    ) -> None:
        """``sizes`` are those of a packet and of the queue on the way; ``control`` are chunks to go with the next packets."""
        self.packer = Packer(*ports, peer.tag, sizes[0])
        self.inbound = inbound
        self.outbound = Outbound(identity.tsn, schedule, *sizes)
        self.outbound.peer_window, self.outbound.forwards = peer.window, peer.forwards
        self.resets = Resets(identity.tsn, peer.tsn, self.outbound, inbound, events)
        self._control = control
        self._sack_due = False
        self._sack_at: float | None = None

    # What comes

    def note_packet(self) -> None:
        """A packet with data has come."""
        self.inbound.unacknowledged += 1
        if self.inbound.unacknowledged >= SACK_PACKETS:
            self._sack_due = True
        if self.resets.deferred is not None:
            self.answer(self.resets.settle())

    def answer(self, chunk: bytes | None) -> None:
        if chunk is not None:
            self._control.append(chunk)

    def receive_data(self, flags: int, value: bytes) -> None:
        """A DATA chunk that is not alone in its packet."""
        if len(value) <= _DATA.size:
            raise Violation("a DATA chunk without data")
        tsn, stream, sequence, ppid = _DATA.unpack_from(value)
        self.inbound.add(tsn, flags, stream, sequence, ppid, value[_DATA.size :])

    def receive(self, kind: int, value: bytes, state: State, now: float) -> None:
        """SACK, FORWARD TSN or RE-CONFIG."""
        if kind == SACK and state in SENDS_DATA:
            self.outbound.acknowledge(*parse_sack(value), now)
        elif kind == FORWARD_TSN and state in TAKES_DATA:
            self.inbound.forward(*parse_forward_tsn(value))
            self.note_packet()
        elif kind == RE_CONFIG and state in TAKES_DATA:
            self._control.extend(self.resets.receive(value, now))

    def end_batch(self, now: float) -> None:
        inbound = self.inbound
        if not inbound.unacknowledged:
            return
        if inbound.urgent or inbound.unacknowledged > 1:
            self._sack_due = True
        elif self._sack_at is None:
            self._sack_at = now + SACK_DELAY

    # What goes

    def take(self, state: State, most: int, now: float) -> list[bytes]:
        """Packets to send."""
        if state is State.ESTABLISHED:
            self.answer(self.resets.request(now))
        while self._control:
            self.packer.add(self._control.popleft())
        sends = state in SENDS_DATA
        if state in TAKES_DATA and self.inbound.unacknowledged and (self._sack_due or (sends and self.outbound.has_work)):
            self.packer.add(self.inbound.sack(self.packer.size - COMMON_HEADER))
            self._sack_due, self._sack_at = False, None
        if sends:
            self.outbound.fill(self.packer, most, now)
        return self.packer.take()

    # Time

    @property
    def times(self) -> tuple[float | None, ...]:
        return self._sack_at, self.outbound.t3, self.outbound.resume_at, self.resets.at

    def on_timer(self, now: float) -> None:
        outbound, resets = self.outbound, self.resets
        if self._sack_at is not None and self._sack_at <= now:
            self._sack_due, self._sack_at = True, None
        if outbound.t3 is not None and outbound.t3 <= now:
            outbound.time_out(now)
        if resets.at is not None and resets.at <= now:
            self.answer(resets.time_out(now))
        if outbound.resume_at is not None and outbound.resume_at <= now:
            outbound.resume_at = None

    @property
    def failures(self) -> int:
        """How often in a row the peer has not answered."""
        return max(self.outbound.failures, self.resets.failures)
