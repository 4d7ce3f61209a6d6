"""All tests: ``python -m tests``. With options of pytest: Python's alone, as they choose.

Two lines of work at once: browser journeys wait more than they work, and so do the others. They could not share a process
anyway: Playwright's event loop runs from the first journey on, and leaves none for tests that are coroutines. Three would be
faster yet, and on two cores late for what tests wait for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

JOURNEYS, AFTERWARDS = "tests/browser", "tests/server"
JS = Path(__file__).parents[1] / "js"
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With bytecode: hundreds of kernels and engines would compile all modules again, a quarter of a second each."""


def main(options: list[str]) -> int:
    """0 where all passed. What the journeys and vitest print comes after the rest."""
    stopped = threading.Event()
    with tempfile.TemporaryFile() as output, ThreadPoolExecutor(1) as beside:
        pages = beside.submit(_pages, options, output, stopped)
        rest = _wait(
            subprocess.Popen([*_pytest(options), f"--ignore={JOURNEYS}", f"--ignore={AFTERWARDS}"], env=ENVIRON), stopped
        )
        print(f"\nand {JOURNEYS}, {AFTERWARDS} and js/tests:", flush=True)
        status = pages.result()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return rest or status


def _wait(process: subprocess.Popen[bytes], stopped: threading.Event) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        stopped.set()
        return process.wait()  # it was interrupted, too, and cleans up


def _pages(options: list[str], output: IO[bytes], stopped: threading.Event) -> int:
    """The journeys, as much of the rest as lets both lines end together, and, unless somebody has chosen tests, vitest.

    Nothing more where somebody has stopped them.
    """
    status = _run([*_pytest(options), JOURNEYS], Path.cwd(), output)
    if not stopped.is_set():
        status = _run([*_pytest(options), AFTERWARDS], Path.cwd(), output) or status
    if options or stopped.is_set():
        return status
    return _run(["npm", "test"], JS, output) or status


def _run(command: list[str], folder: Path, output: IO[bytes]) -> int:
    return subprocess.run(command, cwd=folder, env=ENVIRON, stdout=output, stderr=subprocess.STDOUT, check=False).returncode


def _pytest(options: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *options]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
