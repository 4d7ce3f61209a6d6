"""Whole messages of the peer in the order that their streams want; pure (engine process)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .events import Event, Message, TooLarge

HELD = 512
"""Bytes that a message costs which waits for its turn, beside its own."""


class Delivery:
    """Ordered messages wait for those before them on their stream, which may come later (RFC 9260 section 6.6)."""

    def __init__(self, events: deque[Event]) -> None:
        self._events = events
        self.next: dict[int, int] = {}
        """The sequence number that comes next on a stream; 0 where nothing has come yet."""
        self._waiting: dict[int, dict[int, Message]] = {}
        self.held = 0
        """Bytes that wait."""

    def deliver(self, message: Message, sequence: int) -> None:
        """An ordered message; an unordered one is an event at once."""
        stream = message.stream
        expected = self.next.get(stream, 0)
        if sequence == expected:
            self._events.append(message)
            self.next[stream] = (sequence + 1) & 0xFFFF
            if stream in self._waiting:
                self._release(stream)
        elif (sequence - expected) & 0xFFFF < 0x8000:
            waiting = self._waiting.setdefault(stream, {})
            if sequence not in waiting:
                waiting[sequence] = message
                self.held += len(message.data) + HELD

    def _release(self, stream: int) -> None:
        """Delivers what waited for the one that was delivered."""
        waiting, sequence = self._waiting[stream], self.next[stream]
        while (message := waiting.pop(sequence, None)) is not None:
            self.held -= len(message.data) + HELD
            self._events.append(message)
            sequence = (sequence + 1) & 0xFFFF
        self.next[stream] = sequence
        if not waiting:
            del self._waiting[stream]

    def skip(self, stream: int, sequence: int) -> None:
        """The peer has given up what is missing up to this number (RFC 3758 section 3.6); the rest of it is delivered."""
        beyond = (sequence + 1) & 0xFFFF
        expected = self.next.get(stream, 0)
        if not 0 < (beyond - expected) & 0xFFFF < 0x8000:
            return
        waiting = self._waiting.get(stream, {})
        count = (beyond - expected) & 0xFFFF
        for each in self._passed(waiting, expected, count):
            message = waiting.pop(each)
            self.held -= len(message.data) + HELD
            self._events.append(message)
        self.next[stream] = beyond
        if stream in self._waiting:
            self._release(stream)

    @staticmethod
    def _passed(waiting: dict[int, Message], expected: int, count: int) -> list[int]:
        """The numbers that wait among so many; costs the less of both, as a peer may skip thousands of times in a packet."""
        if count <= len(waiting):
            return [each for n in range(expected, expected + count) if (each := n & 0xFFFF) in waiting]
        return sorted(
            (each for each in waiting if (each - expected) & 0xFFFF < count), key=lambda each: (each - expected) & 0xFFFF
        )

    def refuse(self, stream: int, sequence: int | None) -> None:
        """A message is too large; an ordered one, with a ``sequence``, is not waited for."""
        self._events.append(TooLarge(stream))
        if sequence is not None:
            self.skip(stream, sequence)

    def reset(self, streams: Iterable[int]) -> None:
        """They begin at 0 again; what waits on them was never completed."""
        for stream in streams:
            self.next.pop(stream, None)
            for message in self._waiting.pop(stream, {}).values():
                self.held -= len(message.data) + HELD

    def reset_all(self) -> None:
        self.reset([*self.next, *self._waiting])
