"""The control channel of a connection: is the other end alive, and what does its clock say (engine process).

aiortc notices a dead peer after 33 s and a silent one never, so that an application heartbeat decides (docs/protocol.md).
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable

INTERVAL = 2.0
DEAD_AFTER = 6.0
MAX_FRAME = 4096
"""Characters of a frame; longer ones are ignored."""
ANSWER_INTERVAL = 0.05
"""Seconds between two answers: whoever pings faster gets fewer, so that no queue of answers can grow."""


class ClockOffset:
    """The other clock minus ours, from the exchange with the shortest round trip of the last `WINDOW` (RFC 5905 section 8)."""

    WINDOW = 16

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def add(self, sent: float, theirs: float, received: float) -> tuple[float, float]:
        """One exchange in Unix seconds; returns the shortest round trip and the offset that it showed."""
        self._samples.append((received - sent, theirs - (sent + received) / 2))
        del self._samples[: -self.WINDOW]
        return min(self._samples)


class Heartbeat:
    """Sends pings, answers them, and calls ``dead`` once when nothing came for `DEAD_AFTER` seconds.

    ``measured`` is told the round trip and the other clock's lead, in seconds, after each answer.
    """

    def __init__(self, send: Callable[[str], None], dead: Callable[[], None], measured: Callable[[float, float], None]) -> None:
        self._send = send
        self._dead = dead
        self._measured = measured
        self._clock = ClockOffset()
        self._heard = time.monotonic()
        self._number = 0
        self._sent_at = 0.0
        self._answered = -math.inf

    async def run(self) -> None:
        self._heard = time.monotonic()
        while time.monotonic() - self._heard < DEAD_AFTER:
            self._number += 1
            self._sent_at = time.time()
            self._send(json.dumps({"t": "ping", "n": self._number}))
            await asyncio.sleep(INTERVAL)
        self._dead()

    def receive(self, text: str | bytes) -> None:
        """A frame of the control channel; whatever it says, it is a sign of life."""
        self._heard = time.monotonic()
        if len(text) > MAX_FRAME:
            return
        try:
            message = json.loads(text)
            kind, number, now = message["t"], message["n"], float(message.get("now", "nan"))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return
        if kind == "ping" and isinstance(number, int) and self._heard - self._answered > ANSWER_INTERVAL:
            self._answered = self._heard
            self._send(json.dumps({"t": "pong", "n": number, "now": time.time() * 1000}))
        elif kind == "pong" and number == self._number and math.isfinite(now):
            self._measured(*self._clock.add(self._sent_at, now / 1000, time.time()))
