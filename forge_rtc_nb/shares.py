"""Divides a buffer among those who fill it, so that none of them uses it up; pure, in the process that hosts the rooms."""

from __future__ import annotations

from collections import Counter


class Shares:
    """Counts the messages that wait for one participant, by who sent them; what does not fit is refused.

    Of ``limit`` bytes they take half, those of one sender at most a quarter. The last eighth is a reserve, of which each
    sender may have an eighth of what is still free: however many fill their share, something is left for the next.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._of: Counter[str] = Counter()

    def take(self, sender: str, size: int) -> bool:
        """Count a message of ``size`` bytes, or False where it does not fit."""
        share, total = self._of[sender] + size, self._total + size
        free = self._limit // 2 - total
        in_reserve = free < self._limit // 8
        if share > (free // 8 if in_reserve else self._limit // 4):
            return False
        self._of[sender], self._total = share, total
        return True

    def of(self, sender: str) -> int:
        """How many bytes of one sender wait."""
        return self._of[sender]

    def give_back(self, sender: str, size: int) -> None:
        """A message that was counted waits no more."""
        self._total -= size
        self._of[sender] -= size
        if not self._of[sender]:
            del self._of[sender]
