"""What waits to be sent on each stream, and whose turn it is; pure (engine process)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush

from .chunks import UNORDERED


class Outgoing:
    """A message on its way out; its bytes are kept by reference until all are acknowledged."""

    __slots__ = ("data", "expires", "flags", "limit", "ppid", "queue", "sent", "sequence", "size", "step", "tsn")

    def __init__(
        self, queue: Queue, ppid: int, data: bytes | memoryview, ordered: bool, limit: int | None, expires: float | None
    ) -> None:
        self.queue, self.ppid, self.data = queue, ppid, data
        self.size = len(data)
        self.flags = 0 if ordered else UNORDERED
        self.limit, self.expires = limit, expires
        self.sent = 0
        """Bytes that were given a TSN."""
        self.tsn = 0
        """Of its first fragment; the others follow."""
        self.step = 0
        """Bytes of a fragment, 0 before the first."""
        self.sequence = 0


class Queue:
    """The messages of a stream that have not been sent yet."""

    __slots__ = ("buffered", "held", "messages", "sequence", "stream", "turn", "waiting")

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.messages: deque[Outgoing] = deque()
        self.buffered = 0
        self.sequence = 0
        self.turn = 0
        """Bytes that the stream has sent, as the schedule counts them."""
        self.waiting = False
        """Whether it is in the schedule."""
        self.held = False
        """Whether nothing may be sent: its reset is under way (RFC 6525 section 5.1.2)."""


class Schedule:
    """Streams take turns by bytes. A message goes out whole, as its fragments need TSNs in sequence.

    Unbounded: who sends looks at `buffered`.
    """

    def __init__(self) -> None:
        self._queues: dict[int, Queue] = {}
        self._turns: list[tuple[int, int]] = []
        """A heap of (turn, stream)."""
        self._turn = 0

    def queue(self, stream: int) -> Queue:
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = Queue(stream)
        return queue

    def __bool__(self) -> bool:
        return bool(self._turns)

    def buffered(self, stream: int) -> int:
        queue = self._queues.get(stream)
        return queue.buffered if queue is not None else 0

    def add(self, message: Outgoing) -> None:
        queue = message.queue
        queue.messages.append(message)
        queue.buffered += message.size
        self._enter(queue)

    def _enter(self, queue: Queue) -> None:
        if not queue.waiting and not queue.held and queue.messages:
            queue.waiting = True
            queue.turn = max(queue.turn, self._turn)  # who was idle has saved nothing
            heappush(self._turns, (queue.turn, queue.stream))

    def next(self, now: float) -> Outgoing | None:
        """The message whose turn it is, with its sequence number; those that have expired are dropped unsent."""
        while self._turns:
            self._turn, stream = heappop(self._turns)
            queue = self._queues[stream]
            queue.waiting = False
            if queue.held:
                continue
            message = self._take(queue, now)
            if message is not None:
                return message
        return None

    def _take(self, queue: Queue, now: float) -> Outgoing | None:
        while queue.messages:
            message = queue.messages.popleft()
            if message.expires is not None and message.expires < now:
                self.sent(queue, message.size)
                continue
            if not message.flags:
                message.sequence = queue.sequence
                queue.sequence = (queue.sequence + 1) & 0xFFFF
            queue.turn += message.size
            self._enter(queue)
            return message
        return None

    def sent(self, queue: Queue, size: int) -> None:
        """So many bytes of it do not wait any more."""
        queue.buffered -= size

    def hold(self, streams: Iterable[int]) -> None:
        for stream in streams:
            self.queue(stream).held = True

    def release(self, streams: Iterable[int], restart: bool) -> None:
        """They may send again, if ``restart`` from sequence number 0."""
        for stream in streams:
            queue = self.queue(stream)
            queue.held = False
            if restart:
                queue.sequence = 0
            self._enter(queue)
            if restart and not queue.waiting:
                del self._queues[stream]  # as it was at first: a peer may have us reset all there are
