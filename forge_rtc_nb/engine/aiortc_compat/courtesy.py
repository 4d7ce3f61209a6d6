"""Data gives way to pictures: both share the one thread of an engine (engine process)."""

from __future__ import annotations

import time
from typing import Final

MEMORY: Final = 0.5
"""Seconds since the last packet of a picture in which the next one is expected."""
BURST: Final = 8
"""Packets of data in a row meanwhile."""
REST: Final = 8.0
"""How long data rests after that, in terms of the time that it took: pictures get eight ninths of the engine."""
SHORTEST: Final = 0.001
"""Seconds that a timer can tell."""


class Courtesy:
    """Of one process."""

    def __init__(self) -> None:
        self._until = 0.0

    def picture(self) -> None:
        """Part of a picture that somebody reads has come."""
        self._until = time.monotonic() + MEMORY

    def wanted(self, now: float) -> bool:
        return now < self._until

    @staticmethod
    def rest(worked: float) -> float:
        """Seconds to wait after so many of work."""
        return max(SHORTEST, REST * worked)


courtesy = Courtesy()
"""Module state, as an engine has one thread for all its connections."""
