"""One end of bare data channels that are measured: ``python -m tests.bench.channels_end KIND`` (end process).

Kinds are those of `data_raw_end`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from typing import Any

from google_crc32c import extend

from tests.bench.data_raw_end import BUFFERED, MESSAGE, End, run

DIFFERENT = 16
"""Messages in turn, so that one cannot stand for another."""


class Line:
    """One channel, and the sum of what came on it."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._low = asyncio.Event()
        self.count = self.sum = 0
        channel.on("bufferedamountlow", self._low.set)

    async def give(self, messages: int, until: float) -> int:
        """So many, or as many as go until then; the sum of what was sent."""
        different, count = [os.urandom(MESSAGE) for _ in range(DIFFERENT)], 0
        with suppress(TimeoutError):
            while count < messages:
                await self._have_room(until)
                self._channel.send(different[count % DIFFERENT])
                count += 1
        total = 0
        for number in range(count):
            total = extend(total, different[number % DIFFERENT])
        return total

    async def _have_room(self, until: float) -> None:
        while self._channel.bufferedAmount > BUFFERED:
            self._low.clear()
            await asyncio.wait_for(self._low.wait(), until - time.monotonic())

    def heard(self, message: bytes) -> None:
        self.sum = extend(self.sum, message)
        self.count += 1


class ChannelsEnd(End):
    """Several channels at once."""

    def __init__(self, library: Any) -> None:
        super().__init__(library)
        self._lines: dict[str, Line] = {}
        self._listening = False
        self._wanted = self._count = 0
        self._began = self._last = self._longest = 0.0
        self._enough = asyncio.Event()

    async def offer(self, channels: int = 1) -> str:
        for number in range(channels):
            self._take(self._pc.createDataChannel(f"bench{number}"))
        self._channel.on("open", self._open.set)
        return await self._description_of_offer()

    async def listen(self, messages: int) -> None:
        """From now on for so many messages, on all channels together."""
        for line in self._lines.values():
            line.count = line.sum = 0
        self._wanted, self._count, self._listening = messages, 0, True
        self._enough.clear()

    async def taken(self, seconds: float) -> dict[str, Any]:
        """All of those, or what came within ``seconds``."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), seconds)
        self._listening = False
        lines = self._lines.items()
        return {
            "seconds": self._last - self._began,
            "longest_gap": self._longest,
            "counts": {label: line.count for label, line in lines},
            "sums": {label: line.sum for label, line in lines},
        }

    async def give(self, messages: int, seconds: float) -> dict[str, int]:
        """So many messages on each channel, or as many as go within ``seconds``; the sums of what went."""
        until = time.monotonic() + seconds
        sums = await asyncio.gather(*(line.give(messages, until) for line in self._lines.values()))
        return dict(zip(self._lines, sums, strict=True))

    def _take(self, channel: Any) -> None:
        super()._take(channel)
        line = self._lines[channel.label] = Line(channel)
        channel.remove_all_listeners("message")
        channel.on("message", lambda message: self._heard(line, message))

    def _heard(self, line: Line, message: bytes) -> None:
        if not self._listening:
            self._arrived.put_nowait(message)
            return
        now = time.monotonic()
        if not self._count:
            self._began, self._longest = now, 0.0
        else:
            self._longest = max(self._longest, now - self._last)
        self._last = now
        self._count += 1
        line.heard(message)
        if self._count >= self._wanted:
            self._enough.set()


if __name__ == "__main__":
    run(sys.argv[1], ChannelsEnd)
