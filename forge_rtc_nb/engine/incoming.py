"""The queue of one channel, which all its senders share: what of it is here, and what the kernel has (engine process).

With policy ``block`` a message has its room from before it is complete until the kernel's user read it. Otherwise the newest
messages wait here, and the kernel gets a few at a time, so that a kernel that is busy finds no old ones when it looks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from .. import arrays
from ..arena import Extent
from ..control import Control, Received
from ..protocol import Channel
from .bodies import Bodies
from .data.assembly import Memory

WINDOW = 4
"""Messages of a channel that drops that may be on their way to the kernel."""


@dataclass(frozen=True, slots=True)
class Waiting:
    sender: str
    header: bytes
    size: int
    body: Extent | bytes


class Tally:
    """So many messages of so many bytes altogether."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def add(self, size: int) -> None:
        self.count, self.size = self.count + 1, self.size + size

    def take(self, size: int, count: int = 1) -> None:
        self.count, self.size = max(0, self.count - count), max(0, self.size - size)


class ChannelQueue:
    """``advance`` is called when there is room again."""

    def __init__(
        self,
        room: str,
        options: Channel,
        limit: int,
        bodies: Bodies,
        post: Callable[[Control], None],
        advance: Callable[[], None],
    ) -> None:
        self._room = room
        self._options = options
        self._limit = limit
        self._bodies = bodies
        self._post = post
        self._advance = advance
        self._drops = options.policy == "drop_oldest" or not options.reliable
        self._coming: defaultdict[str, Tally] = defaultdict(Tally)
        """By sender: messages that have their room, but are not complete."""
        self._held = Tally()
        """Messages that the kernel has, and where they are not dropped its user has not read."""
        self._waiting: deque[Waiting] = deque()
        self._waiting_size = 0

    def check(self, header: bytes, size: int) -> str:
        """The message's name. `ValueError` where it cannot be used."""
        parsed = arrays.parse_header(header)
        arrays.check(parsed, size, self._limit)
        return parsed.id

    def admit(self, sender: str, size: int) -> bool:
        """Take room for a message; one that is larger than the queue has room where there is no other.

        The one of the other senders who has the most under way does not count: who never ends a message, or is slow, must not
        keep everybody else out.
        """
        others = [tally for name, tally in self._coming.items() if name != sender]
        heaviest = max(others, key=lambda tally: tally.size, default=None)
        counted = [tally for tally in self._coming.values() if tally is not heaviest]
        if not self._drops:
            counted.append(self._held)
        count, total = sum(tally.count for tally in counted), sum(tally.size for tally in counted)
        # Those that come to a queue that drops are not in it yet: their bytes are bounded, their number is the senders'.
        full = count >= self._options.maxsize and not self._drops
        if count and (full or total + size > self._options.maxbytes):
            return False
        self._coming[sender].add(size)
        return True

    def allocate(self, size: int) -> Extent | None:
        return self._bodies.allocate(size)

    def give_up(self, sender: str, size: int) -> None:
        self._arrived(sender, size)
        self._advance()

    def _arrived(self, sender: str, size: int) -> None:
        """Or never will."""
        tally = self._coming[sender]
        tally.take(size)
        if not tally.count:
            del self._coming[sender]

    def deliver(self, message: Waiting) -> None:
        self._arrived(message.sender, message.size)
        if not self._options.reliable:
            self._drop_earlier(message.sender)
        self._waiting.append(message)
        self._waiting_size += message.size
        self._hand_over()
        self._drop_oldest()
        if self._drops:
            self._advance()

    def taken(self, count: int, size: int) -> None:
        """The kernel's queue has them no more; where messages are dropped: the kernel has them."""
        self._held.take(size, count)
        self._hand_over()
        self._advance()

    def _drop_earlier(self, sender: str) -> None:
        """Where messages may be lost, only the newest of each sender waits."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting.sender != sender)
        self._waiting_size = sum(waiting.size for waiting in self._waiting)

    def _drop_oldest(self) -> None:
        most, room = self._options.maxsize, self._options.maxbytes
        while len(self._waiting) > 1 and (len(self._waiting) > most or self._waiting_size > room):
            self._waiting_size -= self._waiting.popleft().size

    def _hand_over(self) -> None:
        """What waits, to the kernel: all of it where nothing is dropped, since it has its room there."""
        while self._waiting and (not self._drops or self._held.count < WINDOW):
            message = self._waiting.popleft()
            self._waiting_size -= message.size
            self._held.add(message.size)
            body = self._bodies.lend(message.body)
            self._post(Received(self._room, self._options.name, message.sender, message.header, message.size, body))


@dataclass(frozen=True, slots=True)
class SenderStore:
    """The queue as the inlet of one sender sees it (`receiving.Store`)."""

    queue: ChannelQueue
    sender: str

    def check(self, header: bytes, size: int) -> str:
        return self.queue.check(header, size)

    def admit(self, size: int) -> bool:
        return self.queue.admit(self.sender, size)

    def allocate(self, size: int) -> Extent | None:
        return self.queue.allocate(size)

    def deliver(self, header: bytes, size: int, body: Memory | bytes) -> None:
        # Places are what `allocate` gave.
        self.queue.deliver(Waiting(self.sender, header, size, cast("Extent | bytes", body)))

    def give_up(self, size: int, place: Memory | None) -> None:
        self.queue.give_up(self.sender, size)
