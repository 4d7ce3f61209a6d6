"""The receiving half of an association: DATA chunks become messages and SACKs; pure (engine process).

While everything comes in order, a fragment costs an append to a list. At the first gap the message that is under way moves to
`Reassembly`, and comes back once there is no gap any more.
"""

from __future__ import annotations

from collections import deque

from .chunks import AT_ONCE, FIRST, LAST, MASK, UNORDERED, sack_chunk, unwrap
from .delivery import Delivery
from .events import Event, Message
from .ranges import Ranges
from .reassembly import FRAGMENT, Reassembly, Run

FARTHEST = 65_535
"""How far ahead a TSN may be: gap blocks have 16 bits."""
MAX_DUPLICATES = 16
"""Of these a SACK tells at most."""


class Violation(Exception):
    """The peer does what no peer may: the association ends."""


class Inbound:
    """Never holds more than the window and one message: what is beyond is dropped, the peer sends it again."""

    def __init__(self, first_tsn: int, window: int, max_message: int, events: deque[Event]) -> None:
        self.tsn = first_tsn - 1
        """The last TSN of those that have all arrived: unwrapped, it only grows."""
        self._next = first_tsn & MASK
        self._window = window
        self._max_message = max_message
        self._events = events
        self.delivery = Delivery(events)
        self._reassembly = Reassembly(self.delivery, events, max_message)
        self._ahead = Ranges()
        self._duplicates: list[int] = []
        self._parts: list[bytes | memoryview] | None = None
        """Of the message under way, while there are no gaps."""
        self._stream = self._sequence = self._ppid = self._flags = self._size = 0
        self.unacknowledged = 0
        """Packets with DATA since the last SACK."""
        self.urgent = False
        """Whether the next SACK must not wait: gaps, duplicates, or the peer asks for it."""

    def add(self, raw: int, flags: int, stream: int, sequence: int, ppid: int, part: bytes | memoryview) -> None:
        """A DATA chunk."""
        if raw != self._next or self._ahead:
            self._add_anywhere(unwrap(raw, self.tsn), flags, stream, sequence, ppid, part)
            return
        if flags & FIRST:  # whatever was under way is given up: its sender went on without FORWARD TSN
            if flags & LAST:
                self._parts = None
                self._size = len(part)
                self._deliver(flags, stream, sequence, ppid, bytes(part))
            else:
                self._parts = [part]
                self._stream, self._sequence, self._ppid, self._flags = stream, sequence, ppid, flags
                self._size = len(part)
        elif self._parts is not None:
            self._parts.append(part)
            self._size += len(part)
            if self._size > self._max_message:
                self._refuse(self._flags, self._stream, self._sequence)
            elif flags & LAST:
                whole = b"".join(self._parts)
                self._parts = None
                self._deliver(self._flags, self._stream, self._sequence, self._ppid, whole)
        if flags & AT_ONCE:
            self.urgent = True
        self.tsn += 1
        self._next = (raw + 1) & MASK

    def _deliver(self, flags: int, stream: int, sequence: int, ppid: int, data: bytes) -> None:
        if self._size > self._max_message:
            self._refuse(flags, stream, sequence)
            return
        self._size = 0
        if flags & UNORDERED:
            self._events.append(Message(stream, ppid, data))
            return
        if self.delivery.held > self._window:
            raise Violation("messages whose predecessors never came fill the window")
        self.delivery.deliver(Message(stream, ppid, data), sequence)

    def _refuse(self, flags: int, stream: int, sequence: int) -> None:
        """The message under way is larger than any may be: what comes of it yet is dropped."""
        self._parts, self._size = None, 0
        self.delivery.refuse(stream, None if flags & UNORDERED else sequence)

    def _add_anywhere(self, tsn: int, flags: int, stream: int, sequence: int, ppid: int, part: bytes | memoryview) -> None:
        """A chunk that is not the next, or that comes while others are missing."""
        self.urgent = True
        if tsn <= self.tsn or tsn in self._ahead:
            if len(self._duplicates) < MAX_DUPLICATES:
                self._duplicates.append(tsn)
            return
        if not self._has_room_for(tsn, len(part) + FRAGMENT):
            return
        if not self._ahead:
            self._leave_order()
        self._mark(tsn)
        self._reassembly.add(Run(tsn, flags, stream, sequence, ppid, part))
        if not self._ahead:
            self._return_to_order()

    def _has_room_for(self, tsn: int, cost: int) -> bool:
        """What fills a gap is let in beyond the window: nothing else makes room."""
        held = self._reassembly.size + self.delivery.held + self._size + cost
        if tsn == self.tsn + 1:
            if held > self._window + 2 * self._max_message:
                raise Violation("fragments that become no message fill the window")
            return True
        return tsn - self.tsn <= FARTHEST and held <= self._window

    def _mark(self, tsn: int) -> None:
        if tsn == self.tsn + 1:
            self._move_to(tsn)
        else:
            self._ahead.add(tsn, tsn)

    def _move_to(self, tsn: int) -> None:
        self.tsn = self._ahead.advance(tsn)
        self._next = (self.tsn + 1) & MASK

    def _leave_order(self) -> None:
        """The message under way goes to the reassembly."""
        parts, self._parts = self._parts, None
        if parts is not None:
            run = Run(self.tsn - len(parts) + 1, self._flags, self._stream, self._sequence, self._ppid, b"")
            run.parts = parts
            run.last, run.size, self._size = self.tsn, self._size, 0
            self._reassembly.add(run)

    def _return_to_order(self) -> None:
        """Nothing is missing: what the last chunk began goes on from here."""
        run = self._reassembly.take_last(self.tsn)
        if run is not None:
            self._parts = list(run.parts)
            self._flags = FIRST | (UNORDERED if run.unordered else 0)
            self._stream, self._sequence, self._ppid, self._size = run.stream, run.sequence, run.ppid, run.size

    def forward(self, raw: int, skipped: list[tuple[int, int]]) -> None:
        """FORWARD TSN: the peer will not send again what is missing up to here."""
        tsn = unwrap(raw, self.tsn)
        self.unacknowledged += 1
        self.urgent = True
        if tsn <= self.tsn:
            return
        if not self._ahead:
            self._leave_order()
        self._reassembly.give_up(tsn)
        self._move_to(tsn)
        for stream, sequence in skipped:
            self.delivery.skip(stream, sequence)
        if not self._ahead:
            self._return_to_order()

    def has_all_until(self, raw: int) -> bool:
        return unwrap(raw, self.tsn) <= self.tsn

    @property
    def amid_message(self) -> bool:
        """Whether the beginning of a message is there, and not its end."""
        return self._parts is not None

    @property
    def window(self) -> int:
        """How many bytes more the peer may send."""
        return max(0, self._window - self._reassembly.size - self.delivery.held - self._size)

    def sack(self, most: int) -> bytes:
        """The SACK of what has arrived, of ``most`` bytes."""
        relative = []
        if self._ahead:
            gaps = self._ahead.blocks((most - 16) // 4 - len(self._duplicates))
            relative = [(start - self.tsn, end - self.tsn) for start, end in gaps]
        chunk = sack_chunk(self.tsn, self.window, relative, self._duplicates)
        self._duplicates.clear()
        self.unacknowledged = 0
        self.urgent = bool(self._ahead)
        return chunk
