"""How fast something may be done: a token bucket that says how long to wait (engine process)."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """``burst`` times at once, then ``rate`` times a second."""

    def __init__(self, burst: float, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = self._tokens = burst
        self._rate = rate
        self._clock = clock
        self._then = clock()

    def delay(self) -> float:
        """Seconds until the next time; 0.0 for now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self) -> None:
        """It was done."""
        self._tokens -= 1
