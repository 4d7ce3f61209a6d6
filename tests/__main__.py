"""All tests: ``python -m tests``. With options of pytest: Python's alone, as they choose.

Three lines of work at once: browser journeys wait more than they work, and so do kernels. They could not share a process
anyway: Playwright's event loop runs from the first journey on, and leaves none for tests that are coroutines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

JOURNEYS = ("tests/browser",)
QUICK = ("tests/server", "tests/unit")
"""Without kernels and engines; some minutes of computing."""
JS = Path(__file__).parents[1] / "js"

Work = Callable[[IO[bytes]], int]


def main(options: list[str]) -> int:
    """0 where all passed. What the lines beside print comes after the rest."""
    stopped = threading.Event()

    def quick(output: IO[bytes]) -> int:
        """And then vitest, unless somebody has stopped them or chosen tests."""
        python = _run([*_pytest(options), *QUICK], Path.cwd(), output)
        if options or stopped.is_set():
            return python
        return _run(["npm", "test"], JS, output) or python

    with ThreadPoolExecutor() as beside:
        lines = {
            beside.submit(_kept, quick): f"{', '.join(QUICK)}, js/tests",
            beside.submit(_kept, lambda output: _run([*_pytest(options), *JOURNEYS], Path.cwd(), output)): ", ".join(JOURNEYS),
        }
        rest = _wait(subprocess.Popen([*_pytest(options), *(f"--ignore={folder}" for folder in (*JOURNEYS, *QUICK))]), stopped)
        statuses = [rest]
        for line, name in lines.items():
            status, output = line.result()
            print(f"\nand {name}:", flush=True)
            sys.stdout.buffer.write(output)
            sys.stdout.flush()
            statuses.append(status)
    return max(statuses, key=abs)


def _wait(process: subprocess.Popen[bytes], stopped: threading.Event) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        stopped.set()
        return process.wait()  # it was interrupted, too, and cleans up


def _kept(work: Work) -> tuple[int, bytes]:
    """Its status, and all that it printed."""
    with tempfile.TemporaryFile() as output:
        status = work(output)
        output.seek(0)
        return status, output.read()


def _run(command: list[str], folder: Path, output: IO[bytes]) -> int:
    return subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False).returncode


def _pytest(options: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *options]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
