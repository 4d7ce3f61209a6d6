"""The sending half of a data channel towards one participant: messages become frames, as credit allows; pure (engine process).

`docs/protocol.md`, Frames. An outlet outlives its data channel: on the next one (`restart`) everything that was not taken is
sent again from its beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ...frames import BEGIN_BYTES, CHUNK, INITIAL_CREDIT, MESSAGE_COST, MORE_BYTES, Abort, Begin, Credit, Frame, More, Taken
from .numbers import REMEMBERED
from .violation import Violation

Body = bytes | memoryview


@dataclass(eq=False, slots=True)
class Parcel:
    """One message on its way to one participant."""

    header: bytes
    body: Body
    done: Callable[[], None]
    """Called once: it was taken, it was sent where nobody tells so, or nothing can come of it any more."""
    progress: Callable[[int], None] = lambda sent: None
    number: int = 0
    """Its number on this data channel; 0 before it begins."""
    sent: int = 0
    """Bytes of the body that were sent."""

    @property
    def size(self) -> int:
        return len(self.body)


class Outlet:
    """Bounded where it does not wait: ``keep`` says how many messages and bytes may wait to begin, the oldest beyond go, and
    how many bytes of those before them may wait to be confirmed.

    Without ``keep`` whoever puts a parcel waits for its `Parcel.done`, and so bounds it.
    """

    def __init__(self, reliable: bool = True, keep: tuple[int, int] | None = None) -> None:
        self._reliable = reliable
        self._keep = keep
        self._queue: deque[Parcel] = deque()
        """In order; the first may be begun."""
        self._unconfirmed: dict[int, Parcel] = {}
        """Sent whole, but not taken yet; by number."""
        self._aborted: deque[int] = deque()
        self._number = 0
        self._spent = 0
        self._credit = INITIAL_CREDIT

    @property
    def waiting(self) -> int:
        """Messages that are not at their receiver for sure."""
        return len(self._queue) + len(self._unconfirmed)

    def put(self, parcel: Parcel) -> None:
        self._queue.append(parcel)
        if self._keep is not None:
            self._drop_oldest(*self._keep)

    def withdraw(self, parcel: Parcel) -> None:
        """Nobody waits for it any more: what was begun is aborted. Harmless where it is gone already."""
        if parcel in self._queue:
            self._queue.remove(parcel)
        elif self._unconfirmed.get(parcel.number) is parcel:  # a number of an earlier data channel may be another's now
            del self._unconfirmed[parcel.number]
        else:
            return
        if parcel.number:
            self._spent += parcel.size - parcel.sent
            self._aborted.append(parcel.number)
        parcel.done()

    def receive(self, frame: Taken | Credit) -> None:
        """What the receiver says. `Violation` where it cannot mean it."""
        if not self._reliable:
            raise Violation("it confirms messages that need no confirmation")
        if isinstance(frame, Credit):
            self._credit = max(self._credit, frame.total)
        elif (parcel := self._unconfirmed.pop(frame.number, None)) is not None:
            parcel.done()
        elif frame.number > self._number or (self._queue and frame.number == self._queue[0].number):
            raise Violation(f"it has taken message {frame.number}, which was not sent")

    def restart(self) -> None:
        """There is a new data channel: begin again with all that is not known to have arrived."""
        begun = [*self._unconfirmed.values()]
        self._queue.extendleft(reversed(begun))
        for parcel in self._queue:
            parcel.number = parcel.sent = 0
        self._unconfirmed.clear()
        self._aborted.clear()
        self._number = self._spent = 0
        self._credit = INITIAL_CREDIT

    def close(self) -> None:
        """The receiver is gone, or has the channel open no more."""
        parcels = [*self._unconfirmed.values(), *self._queue]
        self._unconfirmed.clear()
        self._queue.clear()
        for parcel in parcels:
            parcel.done()

    def next_frame(self) -> Frame | None:
        """The next frame to send, None where there is nothing, or no credit for it."""
        if self._aborted:
            return Abort(self._aborted.popleft())
        if not self._queue:
            return None
        parcel = self._queue[0]
        room = CHUNK - (MORE_BYTES if parcel.number else BEGIN_BYTES + len(parcel.header))
        part = min(parcel.size - parcel.sent, room)
        cost = part + (0 if parcel.number else MESSAGE_COST)
        if self._reliable and (self._spent + cost > self._credit or not (parcel.number or self._may_begin())):
            return None
        self._spent += cost
        return self._cut(parcel, part)

    def _may_begin(self) -> bool:
        """Whether a receiver will know all that may be sent again; and no more is kept of them than what ``keep`` says."""
        if not self._unconfirmed:
            return True
        if self._number - next(iter(self._unconfirmed)) >= REMEMBERED - 1:
            return False
        return self._keep is None or sum(parcel.size for parcel in self._unconfirmed.values()) <= self._keep[1]

    def _cut(self, parcel: Parcel, part: int) -> Frame:
        start, end = parcel.sent, parcel.sent + part
        body = memoryview(parcel.body)[start:end]
        parcel.sent = end
        if start or parcel.number:
            frame: Frame = More(parcel.number, start, body)
        else:
            self._number += 1
            parcel.number = self._number
            frame = Begin(parcel.number, parcel.size, parcel.header, body)
        parcel.progress(end)
        if end == parcel.size:
            self._sent_whole(parcel)
        return frame

    def _sent_whole(self, parcel: Parcel) -> None:
        self._queue.popleft()
        if self._reliable:
            self._unconfirmed[parcel.number] = parcel
        else:
            parcel.done()

    def _drop_oldest(self, messages: int, size: int) -> None:
        """What is begun goes on; of the rest the newest stay, at least one."""
        begun = bool(self._queue[0].number)
        waiting = list(self._queue)[begun:]
        total = sum(parcel.size for parcel in waiting)
        for parcel in waiting[:-1]:
            if len(self._queue) - begun <= messages and total <= size:
                break
            self._queue.remove(parcel)
            total -= parcel.size
            parcel.done()
