"""Fragments that arrive out of order become messages: the general, slower way; pure (engine process)."""

from __future__ import annotations

from collections import deque

from .chunks import FIRST, LAST, UNORDERED
from .delivery import Delivery
from .events import Event, Message

FRAGMENT = 384
"""Bytes that a fragment costs which waits for the others, beside its own: tiny ones must not cost more than is counted."""


MANY = 64
"""Parts of which the first is better not moved for another in front of it."""


class Run:
    """Fragments of one message with TSNs in sequence, as RFC 9260 section 6.9 wants all of them."""

    __slots__ = ("begins", "ends", "first", "last", "parts", "ppid", "sequence", "size", "stream", "unordered")

    def __init__(self, tsn: int, flags: int, stream: int, sequence: int, ppid: int, part: bytes) -> None:
        self.first = self.last = tsn
        self.begins = bool(flags & FIRST)
        self.ends = bool(flags & LAST)
        self.unordered = bool(flags & UNORDERED)
        self.stream, self.sequence, self.ppid = stream, sequence, ppid
        self.parts: list[bytes] | deque[bytes] = [part]
        """A deque takes half a kilobyte: only where there are many."""
        self.size = len(part)

    @property
    def cost(self) -> int:
        return self.size + FRAGMENT * (self.last - self.first + 1)

    def continues(self, left: Run) -> bool:
        """Whether ``left``, whose last TSN is the one before this, is the same message so far."""
        return not (self.begins or left.ends) and left.stream == self.stream and left.unordered == self.unordered

    def join(self, right: Run) -> Run:
        """One run of both; the smaller goes into the larger, so that no order of arrival costs a square."""
        if len(self.parts) >= len(right.parts):
            self.parts.extend(right.parts)
            self.last, self.ends = right.last, right.ends
            self.size += right.size
            return self
        if isinstance(right.parts, list):
            right.parts = deque(right.parts) if len(right.parts) >= MANY else [*self.parts, *right.parts]
        if isinstance(right.parts, deque):
            right.parts.extendleft(reversed(self.parts))
        right.first, right.begins = self.first, self.begins
        right.sequence, right.ppid = self.sequence, self.ppid
        right.size += self.size
        return right


class Reassembly:
    """Bounded by whoever adds to it, who looks at ``size``."""

    def __init__(self, delivery: Delivery, events: deque[Event]) -> None:
        self._delivery = delivery
        self._events = events
        self._by_first: dict[int, Run] = {}
        self._by_last: dict[int, Run] = {}
        self.size = 0
        """Bytes of incomplete messages, with what a fragment costs."""

    def add(self, run: Run) -> int:
        """A new fragment or, from the quick way, several; returns the size of the message so far."""
        self.size += run.cost
        left = self._by_last.get(run.first - 1)
        if left is not None and run.continues(left):
            del self._by_last[left.last], self._by_first[left.first]
            run = left.join(run)
        right = self._by_first.get(run.last + 1)
        if right is not None and right.continues(run):
            del self._by_last[right.last], self._by_first[right.first]
            run = run.join(right)
        if run.begins and run.ends:
            self._complete(run)
        else:
            self._by_first[run.first] = self._by_last[run.last] = run
        return run.size

    def _complete(self, run: Run) -> None:
        self.size -= run.cost
        message = Message(run.stream, run.ppid, b"".join(run.parts))
        if run.unordered:
            self._events.append(message)
        else:
            self._delivery.deliver(message, run.sequence)

    def give_up(self, through: int) -> None:
        """What is incomplete up to this TSN will not be completed, unless it goes on behind it (RFC 3758 section 3.6)."""
        for run in [run for run in self._by_first.values() if run.first <= through]:
            if not (run.begins and run.last >= through):
                del self._by_last[run.last], self._by_first[run.first]
                self.size -= run.cost

    def take_last(self, tsn: int) -> Run | None:
        """Everything up to this TSN is here: the message that goes on after it, if there is one. What remains is no message."""
        run = self._by_last.get(tsn)
        self._by_first.clear()
        self._by_last.clear()
        self.size = 0
        return run if run is not None and run.begins else None
