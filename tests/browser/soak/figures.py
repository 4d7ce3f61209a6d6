"""What processes take while something goes on for minutes, and whether it grows (test process)."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

MB = 1e6
COLLECT = "import gc, signal; signal.signal(signal.SIGUSR1, lambda *_: gc.collect())"
"""To be run in a process that is watched with ``collects``."""


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    joins: int
    rss: float
    """MB."""
    descriptors: int
    threads: int
    children: int
    maps: int
    """Mappings of our shared memory."""


@dataclass
class Watched:
    """One process over time."""

    name: str
    pid: int
    collects: bool = False
    """Whether it collects garbage on SIGUSR1: old cycles stay until there are a quarter more objects than after the last
    time, which are megabytes in a Jupyter server, whatever made them."""
    samples: list[Sample] = field(default_factory=list)

    def collect(self) -> None:
        """Have the next sample show what cannot be freed."""
        if self.collects:
            os.kill(self.pid, signal.SIGUSR1)

    def sample(self, joins: int) -> None:
        process = psutil.Process(self.pid)
        with process.oneshot():
            maps = Path(f"/proc/{self.pid}/maps").read_text().count("forge_rtc_nb (deleted)")
            children = len(process.children(recursive=True))
            rss = process.memory_info().rss / MB
            self.samples.append(Sample(joins, rss, process.num_fds(), process.num_threads(), children, maps))

    def slope(self) -> tuple[float, float]:
        """Growth of RSS in MB per 1000 joins since a third of the time, by a linear fit; and its standard error."""
        later = self.samples[len(self.samples) // 3 :]
        joins, rss = np.array([s.joins for s in later]) / 1000, np.array([s.rss for s in later])
        spread = joins - joins.mean()
        slope = float((spread * (rss - rss.mean())).sum() / (spread**2).sum())
        rest = rss - rss.mean() - slope * spread
        return slope, float(np.sqrt((rest**2).sum() / max(len(later) - 2, 1) / (spread**2).sum()))

    def growth(self, what: str) -> tuple[float, float]:
        """Median of the first and of the last third of the samples."""
        values = [getattr(s, what) for s in self.samples]
        third = max(1, len(values) // 3)
        return float(np.median(values[:third])), float(np.median(values[-third:]))

    def line(self) -> str:
        slope, error = self.slope()
        others = (f"{what} {self.growth(what)[0]:.0f} -> {self.growth(what)[1]:.0f}" for what in FLAT)
        rss = " ".join(f"{s.rss:.1f}" for s in self.samples[:: max(1, len(self.samples) // 10)])
        return f"{self.name:6} {slope:+6.2f} ± {error:.2f} MB/1000 joins; RSS {rss} MB; {', '.join(others)}"


FLAT = ("descriptors", "threads", "children", "maps")
