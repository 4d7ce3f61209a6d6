"""All tests, in two processes at once: ``python -m tests``, with pytest's options.

Browser journeys wait more than they work, and so do the others. They could not share a process anyway: Playwright's event loop
runs from the first journey on, and leaves none for tests that are coroutines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

JOURNEYS = "tests/browser"


def main(options: list[str]) -> int:
    """0 where both passed. What the journeys print comes after the rest."""
    with tempfile.TemporaryFile() as output:
        journeys = subprocess.Popen([*_pytest(options), JOURNEYS], stdout=output, stderr=subprocess.STDOUT)
        try:
            rest = subprocess.run([*_pytest(options), f"--ignore={JOURNEYS}"], check=False).returncode
            print(f"\nand {JOURNEYS}:", flush=True)
            status = journeys.wait()
        except KeyboardInterrupt:
            status = rest = journeys.wait()  # it was interrupted, too
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return rest or status


def _pytest(options: list[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *options]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
