"""One message that is being put together from its parts, in place once there is room for it (engine process)."""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from ...frames import Begin
from .violation import Violation

RANGES = 4096
"""Separate ones that a message may have: what is under way at once, where parts come in any order, leaves fewer holes."""
PARTS = 1024
"""Those kept of one message; a small one, which is joined from its parts, comes in one or two."""


class Memory(Protocol):
    """A memory block that a message's body is written into."""

    @property
    def memory(self) -> memoryview: ...

    def commit(self, start: int, end: int) -> None:
        """Called before bytes ``start`` to ``end`` are written; `MemoryError` where there is no memory for them."""


class Assembly:
    """Parts may come in any order, each byte once. Until there is a place for them they are kept: credit bounds them."""

    def __init__(self, begin: Begin, identity: str | None) -> None:
        self.number = begin.number
        self.header = begin.header
        self.size = begin.size
        self.identity = identity
        """The sender's name of this message, the same when it is sent again on another data channel; "" for none.

        None: nobody needs the body."""
        self.admitted = self.ignored = False
        self.place: Memory | None = None
        self._target: memoryview | None = None
        self.got = 0
        self._parts: dict[int, bytes | memoryview] | None = {}
        self._there: list[tuple[int, int]] = []
        """What is there, as (start, end) in order, adjacent ones merged."""
        if len(begin.body):
            self.add(0, begin.body)

    @property
    def complete(self) -> bool:
        return self.got == self.size

    @property
    def kept(self) -> int:
        """Parts that are kept, each an object of its own."""
        return len(self._parts or ())

    def add(self, offset: int, part: bytes | memoryview) -> None:
        """`Violation` where it lies outside of the body, or where another part was already."""
        end = offset + len(part)
        if end > self.size:
            raise Violation(f"message {self.number} of {self.size} bytes goes on to byte {end}")
        self._note(offset, end)
        self.got += len(part)
        if self.place is not None:
            self._write(offset, part)
        elif self._parts is not None:
            self._parts[offset] = part
            if len(self._parts) > PARTS:
                raise Violation(f"message {self.number} of {self.size} bytes comes in more than {PARTS} parts")

    def admit(self, place: Memory | None) -> None:
        """There is room for it: in ``place``, or, where it is small, in the parts as they came."""
        self.admitted, self.place = True, place
        if place is not None:
            for offset, part in (self._parts or {}).items():
                self._write(offset, part)
            self._parts = None

    def _write(self, offset: int, part: bytes | memoryview) -> None:
        assert self.place is not None
        end = offset + len(part)
        self.place.commit(offset, end)
        if self._target is None:
            self._target = self.place.memory
        self._target[offset:end] = part

    def ignore(self) -> None:
        """Only count what comes: it is here already."""
        self.admitted = self.ignored = True
        self._parts = None

    @property
    def body(self) -> Memory | bytes:
        """The whole body, once it is complete."""
        if self.place is not None:
            return self.place
        parts = self._parts or {}
        return b"".join(parts[offset] for offset in sorted(parts))

    def _note(self, start: int, end: int) -> None:
        at = bisect_left(self._there, (start, start))
        before = self._there[at - 1] if at else (0, 0)
        after = self._there[at] if at < len(self._there) else (end, end)
        if before[1] > start or after[0] < end:
            raise Violation(f"message {self.number} says bytes {start} to {end} twice")
        if at and before[1] == start:
            at, start = at - 1, before[0]
            del self._there[at]
        if at < len(self._there) and self._there[at][0] == end:
            end = self._there.pop(at)[1]
        self._there.insert(at, (start, end))
        if len(self._there) > RANGES:
            raise Violation(f"message {self.number} comes in more than {RANGES} separate ranges")
