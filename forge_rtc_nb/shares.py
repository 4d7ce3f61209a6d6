"""Divides a buffer among those who fill it, so that none of them uses it up; pure, in the process that hosts the rooms."""

from __future__ import annotations

from collections import Counter


class Shares:
    """Counts the messages that wait for one participant, by who sent them; what does not fit is refused.

    Of ``limit`` bytes they take half, those of one sender at most a quarter. The last eighth is for senders of whom
    little waits: a few that fill their quarters leave room for everybody else's offers and candidates.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._of: Counter[str] = Counter()

    def take(self, sender: str, size: int) -> bool:
        """Count a message of ``size`` bytes, or False where it does not fit."""
        share, total = self._of[sender] + size, self._total + size
        little = share <= self._limit // 64
        if share > self._limit // 4 or total > self._limit * (4 if little else 3) // 8:
            return False
        self._of[sender], self._total = share, total
        return True

    def give_back(self, sender: str, size: int) -> None:
        """A message that was counted waits no more."""
        self._total -= size
        self._of[sender] -= size
        if not self._of[sender]:
            del self._of[sender]
