"""Fragments that arrive out of order become messages: the general, slower way; pure (engine process)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
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

    __slots__ = ("begins", "ends", "first", "last", "parts", "ppid", "sequence", "size", "stream", "too_large", "unordered")

    def __init__(self, tsn: int, flags: int, stream: int, sequence: int, ppid: int, part: bytes | memoryview) -> None:
        self.first = self.last = tsn
        self.begins = bool(flags & FIRST)
        self.ends = bool(flags & LAST)
        self.unordered = bool(flags & UNORDERED)
        self.stream, self.sequence, self.ppid = stream, sequence, ppid
        self.parts: list[bytes | memoryview] | deque[bytes | memoryview] = [part]
        """A deque takes half a kilobyte: only where there are many."""
        self.size = len(part)
        self.too_large = False
        """Then nothing of it is kept: it is there to be told apart from what comes after it."""

    @property
    def cost(self) -> int:
        return FRAGMENT if self.too_large else self.size + FRAGMENT * (self.last - self.first + 1)

    def give_up(self) -> None:
        """It will be no message."""
        self.too_large = True
        self.parts = []

    def continues(self, left: Run) -> bool:
        """Whether ``left``, whose last TSN is the one before this, is the same message so far."""
        return not (self.begins or left.ends) and left.stream == self.stream and left.unordered == self.unordered

    def join(self, right: Run) -> Run:
        """One run of both; the smaller goes into the larger, so that no order of arrival costs a square."""
        if self.too_large or right.too_large:
            self.give_up()
            right.give_up()
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
    """Bounded by whoever adds to it, who looks at ``size``. A message of more than ``most`` bytes is told of, and not kept."""

    def __init__(self, delivery: Delivery, events: deque[Event], most: int) -> None:
        self._most = most
        self._delivery = delivery
        self._events = events
        self._by_first: dict[int, Run] = {}
        self._by_last: dict[int, Run] = {}
        self._firsts: list[int] = []
        """In order: a peer may give up thousands of times in a packet, while there are thousands of runs."""
        self.size = 0
        """Bytes of incomplete messages, with what a fragment costs."""

    def add(self, run: Run) -> None:
        """A new fragment or, from the quick way, several."""
        left = self._by_last.get(run.first - 1)
        is_listed = left is not None and run.continues(left)
        if left is not None and is_listed:
            self._take(left)
            run = left.join(run)
        right = self._by_first.get(run.last + 1)
        if right is not None and right.continues(run):
            self._take(right)
            self._unlist(right.first)
            run = run.join(right)
        if run.size > self._most and not run.too_large:
            run.give_up()
            self._delivery.refuse(run.stream, None if run.unordered else run.sequence)
        if run.begins and run.ends:
            if is_listed:
                self._unlist(run.first)
            self._complete(run)
        else:
            if not is_listed:
                insort(self._firsts, run.first)
            self.size += run.cost
            self._by_first[run.first] = self._by_last[run.last] = run

    def _take(self, run: Run) -> None:
        del self._by_last[run.last], self._by_first[run.first]
        self.size -= run.cost

    def _unlist(self, first: int) -> None:
        del self._firsts[bisect_left(self._firsts, first)]

    def _complete(self, run: Run) -> None:
        if run.too_large:
            return
        message = Message(run.stream, run.ppid, b"".join(run.parts))
        if run.unordered:
            self._events.append(message)
        else:
            self._delivery.deliver(message, run.sequence)

    def give_up(self, through: int) -> None:
        """What is incomplete up to this TSN will not be completed, unless it goes on behind it (RFC 3758 section 3.6)."""
        end = bisect_right(self._firsts, through)
        kept = []
        for first in self._firsts[:end]:
            run = self._by_first[first]
            if run.begins and run.last >= through:
                kept.append(first)
            else:
                self._take(run)
        self._firsts[:end] = kept

    def take_last(self, tsn: int) -> Run | None:
        """Everything up to this TSN is here: the message that goes on after it, if there is one. What remains is no message."""
        run = self._by_last.get(tsn)
        self._by_first.clear()
        self._by_last.clear()
        self._firsts.clear()
        self.size = 0
        return run if run is not None and run.begins and not run.too_large else None
