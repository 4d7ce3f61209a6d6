"""A process that computes in Python: ``python -m tests.bench.data_burner`` (end process)."""

from __future__ import annotations

import threading
import time

from tests.bench.data_worker import serve


def burn(seconds: float) -> None:
    """From now on, in a thread."""
    threading.Thread(target=_compute, args=(time.monotonic() + seconds,), daemon=True).start()


def _compute(until: float) -> None:
    number = 0
    while time.monotonic() < until:
        number += 1


if __name__ == "__main__":
    serve({"burn": burn})
