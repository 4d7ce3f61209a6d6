"""Measures what `import forge_rtc_nb` costs a kernel that has its usual libraries loaded (own processes)."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass

_CODE = """
import time
import numpy, anywidget, IPython
begin = time.perf_counter()
import {module}
print((time.perf_counter() - begin) * 1000)
"""


@dataclass(frozen=True)
class ImportCost:
    """Milliseconds over several fresh interpreters; the best one is the least disturbed by other processes."""

    module: str
    runs: int
    best_ms: float
    median_ms: float
    worst_ms: float


def measure(module: str = "forge_rtc_nb", runs: int = 10) -> ImportCost:
    """Imports ``module`` in ``runs`` fresh interpreters, each after numpy, anywidget and IPython."""
    times = sorted(_once(module) for _ in range(runs))
    return ImportCost(module, runs, times[0], statistics.median(times), times[-1])


def _once(module: str) -> float:
    code = _CODE.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)
