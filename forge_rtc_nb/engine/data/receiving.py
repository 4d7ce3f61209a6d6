"""What both kinds of inlet share: where messages go, and which frames may come (engine process)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Protocol

from ...frames import Abort, Begin, Frame, More
from .assembly import Memory
from .violation import Violation


class Store(Protocol):
    """Where messages go: the queue of a channel, or the shared mapping."""

    def check(self, header: bytes, size: int) -> str | None:
        """Look at what comes before any memory is taken for it, and return its name. `ValueError` says why not.

        None: nobody needs its body; it is dropped as it comes, and in the end delivered as an empty one.
        """

    def admit(self, size: int) -> bool:
        """Reserve room for a message, where there is any."""

    def allocate(self, size: int) -> Memory | None:
        """Memory for the body of an admitted message; None where its parts shall be kept and joined (small ones)."""

    def deliver(self, header: bytes, size: int, body: Memory | bytes) -> None:
        """The message is complete."""

    def give_up(self, size: int, place: Memory | None) -> None:
        """An admitted message will not be completed."""


class Receiving(ABC):
    """Takes the frames of one sender. ``replies`` collects the frames to send back; whoever calls takes them."""

    def __init__(self, store: Store, ordered: bool) -> None:
        self._store = store
        self._ordered = ordered
        self.replies: deque[Frame] = deque()

    def receive(self, frame: Frame) -> None:
        """A frame of the sender. `Violation` where it must not be."""
        match frame:
            case Begin():
                self._begin(frame)
            case More():
                self._more(frame)
            case Abort(number=number):
                self._abort(number)
            case _:
                raise Violation("it confirms what was never sent")

    @abstractmethod
    def restart(self) -> None:
        """There is a new data channel, or will be none any more: what is not complete is forgotten."""

    @abstractmethod
    def _begin(self, frame: Begin) -> None: ...

    @abstractmethod
    def _more(self, frame: More) -> None: ...

    @abstractmethod
    def _abort(self, number: int) -> None: ...

    def _checked(self, frame: Begin) -> str | None:
        """The name of a message that may come, None where its body is not needed."""
        try:
            return self._store.check(frame.header, frame.size)
        except ValueError as error:
            raise Violation(f"message {frame.number} cannot be used: {error}") from None
