"""What waits for a participant that is reconnecting; pure, in the process that hosts the rooms."""

from __future__ import annotations

from .protocol import Message
from .shares import Shares


class Waiting:
    """Messages for one reconnecting participant, in the order in which they came, bounded by `Shares`."""

    def __init__(self, limit: int) -> None:
        self._shares = Shares(limit)
        self._kept: list[tuple[Message, int]] = []

    def keep(self, message: Message, size: int) -> bool:
        """Keep a message of ``size`` bytes, or False where its sender has no room left."""
        if not self._shares.take(message.from_ or "", size):
            return False
        self._kept.append((message, size))
        return True

    def drop(self, sender: str) -> None:
        """Its sender has left: what it said is void, and must not take up room that nobody can give back."""
        if not self._shares.of(sender):
            return
        for message, size in self._kept:
            if message.from_ == sender:
                self._shares.give_back(sender, size)
        self._kept = [kept for kept in self._kept if kept[0].from_ != sender]

    def take(self) -> list[Message]:
        """Everything, to be delivered now: nothing waits any more."""
        messages = [message for message, _ in self._kept]
        for message, size in self._kept:
            self._shares.give_back(message.from_ or "", size)
        self._kept = []
        return messages
