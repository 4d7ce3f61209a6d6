"""When a socket is better left alone for a moment, so that what comes is read together; pure (engine process).

Network cards do so with their interrupts. Chromium sends a few packets at a time: whoever reads each of these groups at once
wakes, and answers, thousands of times a second, and on a machine with few processors that takes what the sender needs.

A pause is only taken amid a message, and with a peer that is not one of ours: whoever waits for our answer has sent all of its
message, and ours send more at a time.
"""

from __future__ import annotations

from typing import Final

PAUSE: Final = 0.001
"""Seconds: what an event loop's timers can tell."""
SPAN: Final = 0.016
"""Seconds over which the rate is measured: a single message of 100 KiB is no stream yet."""
LEAST: Final = 16e6
MOST: Final = 80e6
"""Bytes a second. What comes slower wakes us seldom; what comes faster is read together anyway, and would fill the socket's
buffer in a pause."""


class ReadPauses:
    """Tells from the bytes that were read."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._bytes = 0
        self.wanted = False
        """Whether a pause should come before the next read."""

    def note(self, size: int, now: float) -> None:
        """So many bytes were read."""
        self._bytes += size
        passed = now - self._begun
        if passed >= SPAN:
            self.wanted = LEAST * passed <= self._bytes <= MOST * passed
            self._begun, self._bytes = now, 0
