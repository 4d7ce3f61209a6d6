"""What a sender may spend on a data channel, and what it has spent, as the receiver counts it; pure (engine process)."""

from __future__ import annotations

from collections import deque

from ...frames import INITIAL_CREDIT, MESSAGE_COST, Credit, Frame
from .violation import Violation


class Account:
    """Grants are told by CREDIT frames, small ones together."""

    def __init__(self, replies: deque[Frame]) -> None:
        self._replies = replies
        self._spent = 0
        self._credit = self._told = INITIAL_CREDIT

    def spend(self, size: int, messages: int = 0, checked: bool = True) -> None:
        """`Violation` beyond the credit. What an abort costs is not checked: it is granted in the same breath."""
        self._spent += size + messages * MESSAGE_COST
        if checked and self._spent > self._credit:
            raise Violation(f"it spent {self._spent} of a credit of {self._credit}")

    def grant(self, size: int, at_once: bool) -> None:
        """A message of ``size`` bytes has its room; ``at_once`` where its sender waits for that to go on."""
        self._credit += MESSAGE_COST + size
        if at_once or self._credit - self._told >= INITIAL_CREDIT // 4:
            self._told = self._credit
            self._replies.append(Credit(self._credit))
