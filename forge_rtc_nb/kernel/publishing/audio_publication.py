"""A publication of sound as the notebook's user holds it (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RTCError, RTCTimeout
from ..reading import Deadline
from .complaints import Report
from .handle import Handle
from .outlet import SoundOutlet
from .sound_runner import SoundRunner
from .sound_sources import ARRAY_LEAD, parts_of
from .sounds import look_sound


@dataclass(frozen=True)
class AudioPublicationStats:
    """What a publication of sound did since it began; of the engine's part as it was a second ago at most."""

    viewers: int
    """Who listens at the moment."""
    played: float
    """Seconds of sound, heard or not."""
    packets: int
    """Encoded, of 20 ms each; each listener got them, less what it was too slow for."""
    bytes: int
    """Of these packets."""
    dropped: int
    """Packets that a listener did not get as its connection was too slow, over all listeners."""
    seconds: float
    """Processor seconds of the engine, encoding."""
    bitrate: int
    """Bits a second that the encoder is set to."""


class AudioPublication(Handle[SoundOutlet]):
    """Sound that this kernel plays to whoever listens; made by `Room.publish`. Usable in ``with``.

    >>> tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    >>> with room.publish(tone, name="tone", rate=48000) as pub:
    ...     pub.write(tone[::-1])    # behind what is there; waits while half a second waits
    ...     pub.wait()               # until all was played
    """

    def __init__(self, name: str, report: Report, closed: Callable[[], None]) -> None:
        super().__init__(name, report, closed, "there is silence instead")
        self._ended = threading.Event()

    @property
    def rate(self) -> int:
        """Samples a second of what `write` takes."""
        return self._there.rate

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self._there.channels

    @property
    def waiting(self) -> float:
        """Seconds of sound that were written and not played yet."""
        return self._outlet.waiting if self._outlet is not None else 0.0

    def stats(self) -> AudioPublicationStats:
        """What it did up to now."""
        seen, outlet = self._seen, self._outlet
        return AudioPublicationStats(
            viewers=self.viewers,
            played=0.0 if outlet is None else outlet.played,
            packets=seen.frames,
            bytes=seen.bytes,
            dropped=seen.dropped,
            seconds=seen.seconds,
            bitrate=seen.bitrate,
        )

    def write(self, samples: Any, timeout: float | None = None) -> None:
        """Play these samples after all that was given before: (n,), (n, 1) or (n, 2), floats from -1 to 1 or int16.

        Time passes whether somebody listens or not. Returns when no more than half a second waits to be played, so that a loop
        runs as fast as the sound. Errors: `TypeError`, `ValueError` (no sound, or its source gives it), `RTCError` (ended),
        `RTCTimeout` after ``timeout`` seconds (None: never), when a part may be written.
        """
        deadline = Deadline(timeout)
        feed = self._array_feed("write")
        checked = self._fitted(look_sound(samples))
        self._until(lambda: feed.done.is_set(), deadline)
        for part in parts_of(checked, self.rate):
            self._until(lambda: self.waiting <= ARRAY_LEAD, deadline)
            self._there.write(part, time.time())
        self._until(lambda: self.waiting <= ARRAY_LEAD, deadline)

    def wait(self, timeout: float | None = None) -> None:
        """Block until all that was given has been played. Errors: `RTCTimeout`, `RTCError` (ended before)."""
        feed = self._array_feed("wait")
        self._until(lambda: feed.done.is_set() and self.waiting <= 0, Deadline(timeout))

    def end(self, over: RTCError) -> None:
        super().end(over)
        self._ended.set()

    # What follows is for the source's thread (`sound_runner.SoundHost`).

    def play(self, value: Any) -> bool:
        outlet = self._outlet
        return outlet is not None and outlet.write(self._fitted(look_sound(value)), time.time())

    def _fitted(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if samples.shape[1] == self.channels:
            return samples
        if samples.shape[1] == 1:
            return samples.repeat(self.channels, axis=1)
        raise ValueError(f"publication {self.name!r} has 1 channel: give (n,) or (n, 1), such as samples.mean(axis=1)")

    @property
    def _there(self) -> SoundOutlet:
        if self._over is not None:
            raise self._over.again()
        assert self._outlet is not None
        return self._outlet

    def _array_feed(self, what: str) -> SoundRunner:
        self._there  # noqa: B018 - its error
        if not isinstance(self._feed, SoundRunner) or not self._feed.always:
            raise TypeError(f"publication {self.name!r} gets its sound from its source: {what}() is for those of an array")
        return self._feed

    def _until(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        """Sound passes at a known pace: a look now and then is enough."""
        while not ready():
            left = deadline.left
            if left is not None and left <= 0:
                raise RTCTimeout(f"publication {self.name!r}: {self.waiting:.1f} s of sound wait after {deadline.timeout:g} s")
            if self._ended.wait(min(0.02, 1.0 if left is None else left)):
                self._there  # noqa: B018 - its error
