"""Decoded sound into the rings of those who read it (engine process, called from decoder threads)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..samples import Samples, SampleWriter
from .media import Viewed


class SoundView:
    """One circle of samples that a kernel reads. ``notify`` is called, in any thread, when it must be told."""

    def __init__(self, writer: SampleWriter, notify: Callable[[], None]) -> None:
        self._writer = writer
        self._notify = notify

    def write(self, samples: Samples, captured: float) -> None:
        """(n, 2), of which a mono view gets the mean: a voice is the same in both."""
        if self._writer.channels == 1:
            samples = samples.mean(axis=1, keepdims=True)
        if self._writer.write(samples, captured):
            self._notify()

    def close(self) -> None:
        self._writer.close()


class StreamSound(Viewed[SoundView]):
    """Takes the sound of one stream."""

    kind: Literal["audio"] = "audio"

    def deliver(self, samples: Samples, captured: float) -> None:
        with self._lock:
            for view in self._views.values():
                view.write(samples, captured)
