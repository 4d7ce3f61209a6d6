"""When the next frame is due, and whether it is a keyframe; pure, the time is handed in (engine process)."""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_INTERVAL = 1.0
"""Seconds, at least, between two keyframes that viewers asked for: one is for all of them."""
JOIN_INTERVAL = 0.3
"""The same where somebody has no picture at all yet."""
STARVING_INTERVAL = 5.0
"""Seconds between two keyframes for viewers that get nothing else."""
REFRESH_COUNT, REFRESH_INTERVAL = 10, 0.1
"""A picture that stays is encoded again so often, in which its quality grows to what the bitrate allows."""
KEEPALIVE = 1.0
"""Seconds between two frames of a picture that stays: by the next packet a receiver knows that one is missing."""
_NEVER, _LONG_AGO = float("inf"), -1e9


@dataclass(frozen=True, slots=True)
class Due:
    """The next frame."""

    at: float
    keyframe: bool


class Schedule:
    """One encoder's. ``whole``: somebody gets more than keyframes."""

    def __init__(self) -> None:
        self.whole = True
        self.hungry = False
        """Somebody gets keyframes only."""
        self._shown = False
        self._new = False
        self._repeats = 0
        self._frame_at = self._keyframe_at = _LONG_AGO
        self._interval = _NEVER

    def picture(self) -> None:
        """There is a new one."""
        self._shown = self._new = True

    def lost(self) -> None:
        """The newest picture cannot be encoded: nothing is due until there is another."""
        self._shown = self._new = False

    def ask_keyframe(self, joined: bool = False) -> None:
        """``joined``: by somebody who has no picture yet."""
        self._interval = min(self._interval, JOIN_INTERVAL if joined else REQUEST_INTERVAL)

    def encoded(self, now: float, keyframe: bool) -> None:
        """A frame was encoded: of the newest picture."""
        self._repeats = 0 if self._new else self._repeats + 1
        self._new = False
        self._frame_at = now
        if keyframe:
            self._keyframe_at, self._interval = now, _NEVER

    def next(self, now: float) -> Due | None:
        """The next frame, as things are; None for none."""
        if not self._shown:
            return None
        asked = self._keyframe_at + min(self._interval, STARVING_INTERVAL if self.hungry else _NEVER)
        frame = self._next_frame(now) if self.whole else _NEVER
        at = min(asked, frame)
        return Due(max(at, now), asked <= max(at, now)) if at < _NEVER else None

    def _next_frame(self, now: float) -> float:
        if self._new:
            return now
        return self._frame_at + (REFRESH_INTERVAL if self._repeats < REFRESH_COUNT else KEEPALIVE)
