"""Which messages of a sender are over, by their numbers; pure (engine process)."""

from __future__ import annotations

REMEMBERED = 64
"""Messages whose names a receiver remembers, to know one that is sent again: so many may be unconfirmed."""

AHEAD = 1024
"""How far a number may be ahead of what is over, where parts come in any order: credit allows 256 unfinished messages."""


class Numbers:
    """Numbers count from 1; memory is bounded by `AHEAD` as long as nobody adds one that is too far."""

    def __init__(self) -> None:
        self._floor = 0
        """Every number up to here is over."""
        self._over: set[int] = set()

    def is_over(self, number: int) -> bool:
        return number <= self._floor or number in self._over

    def is_too_far(self, number: int) -> bool:
        return number > self._floor + AHEAD

    def end(self, number: int, *, and_all_before: bool = False) -> None:
        if and_all_before:
            self._floor = max(self._floor, number)
            self._over = {over for over in self._over if over > self._floor}
        elif number > self._floor:
            self._over.add(number)
        while self._floor + 1 in self._over:
            self._floor += 1
            self._over.remove(self._floor)
