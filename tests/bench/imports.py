"""Measures what importing us costs a kernel that has its usual libraries loaded (own processes)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass

from tests.bench.report import Options, Result

_CODE = """
import time
import numpy, anywidget, IPython
begin = time.perf_counter()
{statement}
print((time.perf_counter() - begin) * 1000)
"""

IMPORT = "import forge_rtc_nb"
ALL_NAMES = "import forge_rtc_nb; [getattr(forge_rtc_nb, name) for name in forge_rtc_nb.__all__]"
"""Names are looked up at first use: this is what the import would cost if it were not so."""
EXTENSION = "import forge_rtc_nb.magics"
LABELS = {IMPORT: "import forge_rtc_nb", ALL_NAMES: "... and use of every name", EXTENSION: "%load_ext"}


@dataclass(frozen=True)
class ImportCost:
    """Milliseconds over several fresh interpreters; the best one is the least disturbed by other processes."""

    statement: str
    runs: int
    best_ms: float
    median_ms: float
    worst_ms: float


def measure(statement: str = IMPORT, runs: int = 10) -> ImportCost:
    """Runs the statement in ``runs`` fresh interpreters, each after numpy, anywidget and IPython.

    With bytecode in a cache of its own, filled before: as a user's kernel finds it from its second start on, also where the
    environment forbids Python to write any (as containers like to). Compiling us takes more than twice as long as the rest.
    """
    with tempfile.TemporaryDirectory() as cache:
        _once(statement, cache)
        times = sorted(_once(statement, cache) for _ in range(runs))
    return ImportCost(statement, runs, times[0], statistics.median(times), times[-1])


def run(options: Options) -> Result:
    """All three, printed."""
    costs = [measure(statement, 3 if options.quick else 10) for statement in LABELS]
    print("import, beyond numpy, anywidget and IPython [ms]      best  median   worst")
    for cost in costs:
        print(f"  {LABELS[cost.statement]:<48}{cost.best_ms:8.1f}{cost.median_ms:8.1f}{cost.worst_ms:8.1f}")
    return Result([asdict(cost) for cost in costs])


def _once(statement: str, cache: str) -> float:
    code = _CODE.format(statement=statement)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": cache}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)
