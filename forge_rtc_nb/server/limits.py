"""Counts what participants and users do, to tell use from abuse; pure, Jupyter server process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import SignalingError
from .settings import Settings

MALFORMED_FRAMES = (20, 10.0)
"""That many malformed frames within that many seconds close the connection."""
REFUSED_FRAMES = (100, 10.0)
"""The same for frames over the rate limit."""
JOIN_SECONDS = 8.0
"""In that time a user may take each of its seats once, beside twice as often at once."""

T = TypeVar("T")


class RateLimited(SignalingError):
    """A hello too many: of this participant, or of this user, who may come again a little later."""

    code = "rate-limited"


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


class Pace:
    """What one participant may still say, on whichever connection: coming back is no new beginning."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.messages = TokenBucket(settings.burst, settings.messages_per_second, now)
        self.malformed = Strikes(*MALFORMED_FRAMES)
        self.refused = Strikes(*REFUSED_FRAMES)


class Recent(Generic[T]):
    """A counter for each name, which is forgotten once it was not used for so long that it is like a new one."""

    def __init__(self, seconds: float, make: Callable[[float], T]) -> None:
        self._seconds = seconds
        self._make = make
        self._kept: dict[str, tuple[T, float]] = {}
        """From the one that was not used for the longest time on."""

    def of(self, name: str, now: float) -> T:
        """The counter of that name, for use at this moment."""
        counter = self._kept.pop(name)[0] if name in self._kept else self._make(now)
        self._kept[name] = (counter, now)
        while next(iter(self._kept.values()))[1] < now - self._seconds:
            del self._kept[next(iter(self._kept))]
        return counter


class Limiter:
    """The pace of every participant and the joins of every user, kept while they matter."""

    def __init__(self, settings: Settings) -> None:
        joins, rate = 2 * settings.max_connections_per_user, settings.max_connections_per_user / JOIN_SECONDS
        full_again = settings.burst / settings.messages_per_second
        self._paces = Recent(max(MALFORMED_FRAMES[1], REFUSED_FRAMES[1], full_again), lambda now: Pace(settings, now))
        self._joins = Recent(joins / rate, lambda now: TokenBucket(joins, rate, now))

    def pace(self, participant_id: str, now: float) -> Pace:
        """Of one participant, for a message of this moment."""
        return self._paces.of(participant_id, now)

    def hello(self, participant_id: str, user: str, now: float, *, back: bool) -> None:
        """Count a hello as a message of its participant and, unless that comes ``back``, as a join; or `RateLimited`."""
        if not back and not self._joins.of(user, now).take(now):
            raise RateLimited(f"{user!r} joins too often (c.ForgeRTC.max_connections_per_user); come again in a few seconds")
        if not self.pace(participant_id, now).messages.take(now):
            raise RateLimited("this participant says too much; come again in a few seconds")
