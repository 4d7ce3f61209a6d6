"""Plays what the kernel writes, at the pace of a loudspeaker, to whoever listens (engine process, event loop)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...samples import SampleReader, Samples
from ..aiortc_compat.packets import Packets
from .listeners import Listeners
from .opus import BLOCK, RATE, USUAL, OpusEncoder, Resampler

PERIOD = BLOCK / RATE
LATE = 0.5
"""Seconds that the clock may be behind (the engine was busy) and still catch up; after more it begins anew."""


@dataclass(slots=True)
class Played:
    """Since the publication began."""

    packets: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """Processor seconds of encoding."""


class Player:
    """Time passes whether somebody listens or not. Who listens to nothing hears silence; without listeners nothing is encoded,
    and when nothing is left to play the clock rests."""

    def __init__(self, reader: SampleReader, rate: int, bitrate: int | None, listeners: Listeners) -> None:
        self.played = Played()
        self._reader = reader
        self._rate = rate
        self._listeners = listeners
        self._bitrate = bitrate
        self._encoder: OpusEncoder | None = None
        """While somebody listens: libav has threads for it."""
        self._resampler = Resampler(rate, reader.channels) if rate != RATE else None
        self._position = 0
        self._blocks = 0
        self._timestamp = round(time.monotonic() / PERIOD) * BLOCK
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def bitrate(self) -> int:
        return self._bitrate or USUAL[self._reader.channels]

    def wake(self) -> None:
        """There is more to play, or somebody more listens."""
        self._news.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._encoder = self._resampler = None

    async def _run(self, clock: Callable[[], float] = time.monotonic) -> None:
        due = clock()
        while True:
            if not self._listeners.count and self._reader.head == self._position:
                self._news.clear()
                await self._news.wait()
                due = self._jump(due, clock())
            due += PERIOD
            self._play()
            if clock() > due + LATE:
                due = self._jump(due, clock())
            await asyncio.sleep(max(0.0, due - clock()))

    def _jump(self, due: float, now: float) -> float:
        """Leave out what is over, in whole blocks: the stream's clock goes on meanwhile (RFC 7587 section 4.1)."""
        blocks = max(0, round((now - due) / PERIOD))
        self._timestamp += blocks * BLOCK
        return due + blocks * PERIOD

    def _play(self) -> None:
        block = self._next_block()
        self._blocks += 1
        self._timestamp += BLOCK
        if not self._listeners.count:
            self._encoder = None
            return
        begun = time.monotonic()
        if self._encoder is None:
            self._encoder = OpusEncoder(self._reader.channels, self.bitrate)
        data = self._encoder.encode(block)
        self.played.seconds += time.monotonic() - begun
        self.played.packets += 1
        self.played.bytes += len(data)
        self._listeners.send(Packets([data], self._timestamp, keyframe=True))

    def _next_block(self) -> Samples:
        count = self._samples_until(self._blocks + 1) - self._samples_until(self._blocks)
        samples = self._take(count)
        if self._resampler is not None:
            return self._resampler.convert(samples)
        if len(samples) == BLOCK:
            return samples
        return np.concatenate([samples, np.zeros((BLOCK - len(samples), self._reader.channels), np.float32)])

    def _samples_until(self, blocks: int) -> int:
        """Of the source's rate, in so many blocks of ours: 11025 Hz have no whole number in one."""
        return blocks * BLOCK * self._rate // RATE

    def _take(self, count: int) -> Samples:
        """At most so many that are there; the writer waits where we are far behind, but may be wrong."""
        reader = self._reader
        self._position = max(self._position, reader.first)
        count = min(count, reader.head - self._position)
        samples = reader.copy(self._position, count)
        self._position += count
        reader.take(self._position)
        return samples if samples is not None else np.zeros((0, reader.channels), np.float32)
