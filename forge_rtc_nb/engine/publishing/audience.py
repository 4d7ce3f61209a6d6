"""What the paths to the viewers carry, and which bitrate follows from it; pure, the time is handed in (engine process)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

TOO_MUCH_LOSS = 0.1
LITTLE_LOSS = 0.02
"""Above the first a path is full, below the second it may carry more; between them it stays (draft-ietf-rmcat-gcc-02, 6)."""
SILENCE = 6.0
"""Seconds without a report after which a viewer counts as one that receives nothing; reports come about every second."""
FIRST_TRIAL, LAST_TRIAL = 8.0, 64.0
"""Seconds until a viewer below the floor gets the whole stream again, to see whether its path is better now."""
TRIAL = 3.0
"""Seconds of such a trial; its reports count from then on."""
_WINDOW = 1.0
"""Seconds over which it is measured what is sent, and at least over which losses are counted."""
_ENOUGH = 50
"""Packets, at least, over which losses are counted. Browsers report with each request for a packet, of two or three packets."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a receiver had counted at some time (RFC 3550 section 6.4.1)."""

    lost: int
    """Packets, of all."""
    highest: int
    """The highest sequence number, with its cycles."""
    at: float


@dataclass(slots=True)
class Path:
    """One viewer, as its reports describe it."""

    heard: float
    """When its last report came."""
    reported: float | None = None
    """Bits a second that its receiver estimated last (REMB)."""
    carried: float | None = None
    """Bits a second that its receiver went down to, and came up to since."""
    counted: Counted | None = None
    """At the beginning of the time over which losses are counted."""
    lossless: float | None = None
    """Bits a second that arrive without too much loss, where there was some."""
    starving_until: float | None = None
    """Below the floor: gets keyframes only, until then."""
    trial_until: float | None = None
    """Gets everything, and is not heeded yet."""
    wait: float = FIRST_TRIAL

    @property
    def estimate(self) -> float | None:
        """Bits a second; None while nothing is known."""
        known = [rate for rate in (self.carried, self.lossless) if rate is not None]
        return min(known) if known else None


class Audience:
    """The viewers of one encoder. Its bitrate follows the slowest that is above the floor."""

    def __init__(self, floor: int, ceiling: int) -> None:
        self.floor, self.ceiling = floor, ceiling
        self._paths: dict[object, Path] = {}
        self._sent: deque[tuple[float, int]] = deque()

    def sent(self, size: int, now: float) -> None:
        """A frame of so many bytes went to everybody."""
        self._sent.append((now, size))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0][0] < now - _WINDOW:
            self._sent.popleft()

    def _rate(self, now: float) -> float:
        """Bits a second that are sent."""
        self._forget(now)
        return 8 * sum(size for _, size in self._sent) / _WINDOW

    def join(self, viewer: object, now: float) -> None:
        self._paths[viewer] = Path(heard=now)

    def leave(self, viewer: object) -> None:
        self._paths.pop(viewer, None)

    def starving(self, viewer: object) -> bool:
        """Whether it gets keyframes only."""
        return self._paths[viewer].starving_until is not None

    @property
    def starving_count(self) -> int:
        return sum(path.starving_until is not None for path in self._paths.values())

    @property
    def bitrate(self) -> int:
        """Bits a second."""
        heeded = [path.estimate for path in self._paths.values() if path.starving_until is None and path.trial_until is None]
        return round(min([self.ceiling, *(max(self.floor, rate) for rate in heeded if rate is not None)]))

    def report_bitrate(self, viewer: object, bitrate: float, now: float) -> None:
        """Its receiver's estimate.

        It says that the path is full only when it goes down, and to less than we send. Otherwise it says how much comes: a
        picture that stays is a few kbit/s, and browsers take a minute to believe in more.
        """
        path = self._paths[viewer]
        fell = path.reported is None or bitrate < path.reported
        path.heard, path.reported = now, bitrate
        if fell and bitrate < self._rate(now):
            path.carried = bitrate
        elif path.carried is not None:
            path.carried = max(path.carried, bitrate)

    def report_loss(self, viewer: object, lost: int, highest: int, now: float) -> None:
        """What its receiver has counted up to now: packets lost, and the highest sequence number."""
        path = self._paths[viewer]
        path.heard = now
        before = path.counted
        if before is None:
            path.counted = Counted(lost, highest, now)
        elif now - before.at >= _WINDOW and highest - before.highest >= _ENOUGH:
            path.counted = Counted(lost, highest, now)
            self._judge(path, (lost - before.lost) / (highest - before.highest))

    def _judge(self, path: Path, loss: float) -> None:
        if loss > TOO_MUCH_LOSS:
            path.lossless = (1 - loss / 2) * min(path.lossless or self.bitrate, self.bitrate)
        elif loss < LITTLE_LOSS and path.lossless is not None:
            path.lossless *= 1.08
            if path.lossless > self.ceiling:
                path.lossless = None

    def update(self, now: float) -> list[object]:
        """Who is below the floor now; returns the viewers that get the whole stream again, from the next keyframe on."""
        return [viewer for viewer, path in self._paths.items() if self._update(path, now)]

    def _update(self, path: Path, now: float) -> bool:
        if path.starving_until is not None:
            return self._try_again(path, now)
        if path.trial_until is not None and now < path.trial_until:
            return False
        silent = now - path.heard > SILENCE
        if silent or (path.estimate or self.ceiling) < self.floor:
            path.starving_until, path.trial_until = now + path.wait, None
            path.wait = min(2 * path.wait, LAST_TRIAL)
        elif path.trial_until is not None:
            path.trial_until, path.wait = None, FIRST_TRIAL
        return False

    @staticmethod
    def _try_again(path: Path, now: float) -> bool:
        assert path.starving_until is not None
        if now < path.starving_until:
            return False
        path.starving_until, path.trial_until = None, now + TRIAL
        path.reported = path.carried = path.lossless = None
        return True
