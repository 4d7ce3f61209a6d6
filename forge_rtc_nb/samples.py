"""Sound in the shared memory that pictures cross in (`ring`): a circle of samples in a region of its own.

One process writes, the other reads, and nobody waits for the other. The reader can tell what it is too late for.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from .memory import commit
from .ring import HEADER_BYTES, REGION_BYTES, map_region

CAPACITY = 1 << 20
"""Samples of each channel that are kept: 21.8 s at 48 kHz."""
MAX_CHANNELS = 2
FORMATS = {"mono": 1, "stereo": 2}
"""Channels of what a kernel may ask for."""

_HEADER = np.dtype(
    [
        ("head", "<u8"),
        ("end", "<u8"),
        ("taken", "<u8"),
        ("origin", "<f8"),
        ("rate", "<u4"),
        ("channels", "<u4"),
        ("pending", "u1"),
    ],
    align=True,
)

Samples = np.ndarray[Any, np.dtype[np.float32]]


class _Circle:
    """The base of both ends."""

    def __init__(self, fd: int, number: int, channels: int | None) -> None:
        self._map = map_region(fd, number, HEADER_BYTES + CAPACITY * MAX_CHANNELS * 4)
        self._header = np.frombuffer(self._map, _HEADER, count=1)
        if channels is None:
            channels = min(max(1, int(self._header["channels"][0])), MAX_CHANNELS)
        self.channels = channels
        samples = np.frombuffer(self._map, np.float32, count=CAPACITY * channels, offset=HEADER_BYTES)
        self._samples = samples.reshape(CAPACITY, channels)

    def _get(self, name: str) -> Any:
        return self._header[name][0].item()

    @property
    def head(self) -> int:
        """Samples written so far, of each channel."""
        return int(self._get("head"))

    @property
    def taken(self) -> int:
        """Up to where the reader is done."""
        return int(self._get("taken"))

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self._get("rate"))

    def close(self) -> None:
        """Unmap; idempotent."""
        if not self._map.closed:
            del self._header, self._samples
            self._map.close()


class SampleWriter(_Circle):
    """The end that sound comes from."""

    def __init__(self, fd: int, number: int, rate: int, channels: int) -> None:
        commit(fd, number * REGION_BYTES, HEADER_BYTES + CAPACITY * channels * 4)
        super().__init__(fd, number, channels)
        self._map[:HEADER_BYTES] = bytes(HEADER_BYTES)
        self._header["rate"], self._header["channels"] = rate, channels

    def write(self, samples: Samples, captured: float) -> bool:
        """More samples, (n, channels), the first captured at that Unix second; true where the reader must be told."""
        head, count = self.head, len(samples)
        self._header["end"] = head + count  # first: what is overwritten now counts as gone
        kept = samples[-CAPACITY:]
        start = (head + count - len(kept)) % CAPACITY
        first = min(len(kept), CAPACITY - start)
        self._samples[start : start + first] = kept[:first]
        self._samples[: len(kept) - first] = kept[first:]
        self._header["origin"] = captured - head / self.rate
        self._header["head"] = head + count
        if self._header["pending"][0]:
            return False
        self._header["pending"] = 1
        return True

    def close(self) -> None:
        """Unmap, and give the pages back."""
        if not self._map.closed and hasattr(mmap, "MADV_REMOVE"):
            self._map.madvise(mmap.MADV_REMOVE)
        super().close()


class SampleReader(_Circle):
    """The end that sound goes to. Of how many channels it is the writer tells, where there is one already."""

    def __init__(self, fd: int, number: int, channels: int | None = None) -> None:
        super().__init__(fd, number, channels)

    def acknowledge(self) -> None:
        """Say that the samples up to now were noticed; the writer tells of the next ones again."""
        self._header["pending"] = 0

    def copy(self, position: int, count: int) -> Samples | None:
        """``count`` samples from that position on, (count, channels); None where not all of them are there any more, or yet."""
        if not 0 <= count <= CAPACITY or position + count > self.head:
            return None
        start = position % CAPACITY
        first = min(count, CAPACITY - start)
        copied = np.empty((count, self.channels), np.float32)
        copied[:first] = self._samples[start : start + first]
        copied[first:] = self._samples[: count - first]
        return copied if self.first <= position else None

    @property
    def first(self) -> int:
        """The oldest sample that is still there."""
        return max(0, int(self._get("end")) - CAPACITY)

    def time_of(self, position: int) -> float:
        """Unix seconds at which that sample was captured."""
        return float(self._get("origin")) + position / self.rate

    def take(self, position: int) -> None:
        """Say that nothing before it is needed any more."""
        self._header["taken"] = position
