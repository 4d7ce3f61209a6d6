"""All tests: ``python -m tests``. With options of pytest: Python's alone, as they choose.

Three lines of work at once: browser journeys wait more than they work, and so do kernels; the third line has what is short, and
what counts and waits and minds no other work. The first two could not share a process anyway: Playwright's event loop runs from
the first journey on, and leaves none for coroutines.
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

JOURNEYS = ["tests/browser"]
PATIENT = [f"tests/kernel/test_{name}.py" for name in ("culling", "hub", "leaks", "publish_leaks")]
OTHERS = ["tests/unit", "tests/server", *PATIENT]
JS = Path(__file__).parents[1] / "js"
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With bytecode: hundreds of kernels and engines would compile all modules again, a quarter of a second each."""
NONE_CHOSEN = 5
"""pytest's status where the options leave nothing of a line."""


def main(options: list[str]) -> int:
    """0 where all passed. What the other lines print comes after the first."""
    stopped = threading.Event()
    with ThreadPoolExecutor(2) as beside, tempfile.TemporaryFile() as journeys, tempfile.TemporaryFile() as others:
        lines = [
            (beside.submit(_run, _pytest(options, *JOURNEYS), Path.cwd(), journeys), journeys),
            (beside.submit(_other_tests, options, others, stopped), others),
        ]
        rest = [f"--ignore={path}" for path in (*JOURNEYS, *OTHERS)]
        status = _passed(_wait(subprocess.Popen(_pytest(options, *rest), env=ENVIRON), stopped), options)
        for line, output in lines:
            status = _passed(line.result(), options) or status
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()
    return status


def _passed(status: int, options: list[str]) -> int:
    return 0 if options and status == NONE_CHOSEN else status


def _wait(process: subprocess.Popen[bytes], stopped: threading.Event) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        stopped.set()
        return process.wait()  # it was interrupted, too, and cleans up


def _other_tests(options: list[str], output: IO[bytes], stopped: threading.Event) -> int:
    """Unless somebody has chosen tests, vitest too; nothing more where somebody has stopped them."""
    status = _run(_pytest(options, *OTHERS), Path.cwd(), output)
    if options or stopped.is_set():
        return status
    return _run(["npm", "test"], JS, output) or status


def _run(command: list[str], folder: Path, output: IO[bytes]) -> int:
    return subprocess.run(command, cwd=folder, env=ENVIRON, stdout=output, stderr=subprocess.STDOUT, check=False).returncode


def _pytest(options: list[str], *arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *options, *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
