"""Counts what a connection does, to tell use from abuse; pure, Jupyter server process."""

from __future__ import annotations

from collections import deque


class TokenBucket:
    """Allows ``burst`` events at once and ``rate`` a second from then on."""

    def __init__(self, burst: int, rate: float, now: float) -> None:
        self._burst = float(burst)
        self._rate = rate
        self._tokens = float(burst)
        self._then = now

    def take(self, now: float) -> bool:
        """Whether one more event is within the limits; if so it is counted."""
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Strikes:
    """Forgives up to ``limit`` faults within ``window`` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count a fault; True when there were too many."""
        self._times.append(now)
        while self._times[0] <= now - self._window:
            self._times.popleft()
        return len(self._times) >= self._limit
