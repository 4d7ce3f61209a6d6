"""Both halves of an association whose peer is known, RFC 9260's transmission control block; pure (engine process)."""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import Final

from .chunks import COMMON_HEADER, FORWARD_TSN, RE_CONFIG, SACK, duplicates_in, parse_forward_tsn, parse_sack
from .congestion import SACK_DELAY
from .events import Event, Unanswered
from .inbound import Inbound, Violation
from .lifecycle import SENDS_DATA, TAKES_DATA, State
from .outbound import Outbound
from .outgoing import Schedule
from .packer import Packer
from .reset import Resets
from .setup import Identity, Peer

OUR_SACKS: Final = 32
"""Packets for which there is one SACK, to one of ours: its window and pace bound what it sends at that."""
SACKS: Final = 3
"""The same to others, which send bursts of 4 packets at each (section 6.1 D), so that SACKs are what their rate grows by.
Section 6.2 has one for every second packet; three leave room to grow too, and cost both ends less: wrtc is a third faster."""
MOST_SACKS: Final = 64
"""That wait to be sent."""

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
        self.packer = Packer(*ports, peer.tag, sizes[0], peer.capacity.unchecked)
        self.inbound = inbound
        self.outbound = Outbound(identity.tsn, schedule, *sizes)
        self.outbound.peer_window, self.outbound.forwards = peer.window, peer.forwards
        self.outbound.fills = bool(peer.capacity.packet)
        self.resets = Resets(identity.tsn, peer.tsn, self.outbound, inbound, events)
        self.resets.known = peer.resets
        self._control = control
        self._events = events
        self._each = OUR_SACKS if peer.capacity.packet else SACKS
        self._sack_due = False
        self._sack_at: float | None = None

    # What comes

    def note_packet(self) -> None:
        """A packet with data has come."""
        self.inbound.unacknowledged += 1
        if self.inbound.unacknowledged >= self._each and self.packer.count < MOST_SACKS:
            self._acknowledge()
            self.packer.flush()  # what comes in one packet is one reason to send
        if self.resets.deferred is not None:
            self.answer(self.resets.settle())

    def answer(self, chunk: bytes | None) -> None:
        if chunk is not None:
            self._control.append(chunk)

    def receive_data(self, flags: int, value: bytes) -> None:
        """A DATA chunk in a packet that is not as most are."""
        if len(value) <= _DATA.size:
            raise Violation("a DATA chunk without data")
        tsn, stream, sequence, ppid = _DATA.unpack_from(value)
        self.inbound.add(tsn, flags, stream, sequence, ppid, value[_DATA.size :])

    def receive_plain_sack(self, tsn: int, window: int, now: float) -> None:
        """A SACK that tells neither of gaps nor of duplicates."""
        if self.outbound.flight.probe is not None:
            self.outbound.judge_probe(tsn, [], now)
        self.outbound.acknowledge(tsn, window, [], now)

    def receive(self, kind: int, value: bytes, state: State, now: float) -> None:
        """SACK, FORWARD TSN or RE-CONFIG."""
        if kind == SACK and state in SENDS_DATA:
            tsn, window, gaps = parse_sack(value)
            if self.outbound.flight.probe is not None:
                self.outbound.judge_probe(tsn, duplicates_in(value), now)
            self.outbound.acknowledge(tsn, window, gaps, now)
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

    @property
    def may_wait(self) -> bool:
        """Whether nothing is to be sent but an acknowledgement, which has a moment."""
        return self._sack_at is not None and not self._sack_due and not self._control and not self.outbound.has_work

    # What goes

    def take(self, state: State, most: int, now: float) -> list[bytes]:
        """Packets to send."""
        if state is State.ESTABLISHED:
            self.answer(self.resets.request(now))
        while self._control:
            self.packer.add(self._control.popleft())
        sends = state in SENDS_DATA
        if state in TAKES_DATA and self.inbound.unacknowledged and (self._sack_due or (sends and self.outbound.has_work)):
            self._acknowledge()
        if sends:
            self.outbound.fill(self.packer, most, now)
        return self.packer.take()

    def _acknowledge(self) -> None:
        self.packer.add(self.inbound.sack(self.packer.size - COMMON_HEADER))
        self._sack_due, self._sack_at = False, None

    # Time

    @property
    def times(self) -> tuple[float | None, ...]:
        return self._sack_at, self.outbound.t3, self.outbound.probe_at, self.outbound.resume_at, self.resets.at

    def on_timer(self, now: float) -> None:
        outbound, resets = self.outbound, self.resets
        if self._sack_at is not None and self._sack_at <= now:
            self._sack_due, self._sack_at = True, None
        if outbound.t3 is not None and outbound.t3 <= now:
            outbound.time_out(now)
            self._events.append(Unanswered())
        elif (probe_at := outbound.probe_at) is not None and probe_at <= now:
            outbound.probe()
        if resets.at is not None and resets.at <= now:
            self.answer(resets.time_out(now))
        if outbound.resume_at is not None and outbound.resume_at <= now:
            outbound.resume_at = None

    @property
    def failures(self) -> int:
        """How often in a row the peer has not answered."""
        return max(self.outbound.failures, self.resets.failures)
