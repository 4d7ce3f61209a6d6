"""CPU that groups of processes use during a stretch of time (bench process)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

Find = Callable[[], list[psutil.Process]]


class CpuMeter:
    """Percent of one core for each group of processes, from when it is made until `percent`.

    The groups are looked up at both ends: what was started meanwhile counts, what has ended is lost.
    """

    def __init__(self, groups: dict[str, Find]) -> None:
        self._groups = groups
        self._begin = time.monotonic()
        self._before = {name: _times(find()) for name, find in groups.items()}

    def percent(self) -> dict[str, float]:
        """100 is one core."""
        passed = time.monotonic() - self._begin
        after = {name: _times(find()) for name, find in self._groups.items()}
        return {name: round(100 * _used(self._before[name], after[name]) / passed, 1) for name in after}


def browser_processes() -> list[psutil.Process]:
    """All of the Chromium that this process started."""
    return [child for child in psutil.Process().children(recursive=True) if _name(child).startswith("chrom")]


def engine_processes(kernel: int) -> list[psutil.Process]:
    """The engine of a kernel; none where it has not joined a room."""
    return [child for child in psutil.Process(kernel).children() if "forge_rtc_nb.engine" in _command(child)]


def of_notebook(kernel: int, server: int) -> dict[str, Find]:
    """The groups of a round."""
    return {
        "kernel": lambda: [psutil.Process(kernel)],
        "engine": lambda: engine_processes(kernel),
        "browser": browser_processes,
        "server": lambda: [psutil.Process(server)],
    }


def _times(processes: Iterable[psutil.Process]) -> dict[int, float]:
    times = {}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            spent = process.cpu_times()
            times[process.pid] = spent.user + spent.system
    return times


def _used(before: dict[int, float], after: dict[int, float]) -> float:
    return sum(spent - before.get(pid, 0.0) for pid, spent in after.items())


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []
