"""`python -m tests.bench`: measures, prints, and writes build/bench.json with machine and versions."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from tests.bench.imports import ALL_NAMES, EXTENSION, IMPORT, measure

OUTPUT = Path("build/bench.json")
PACKAGES = ("forge_rtc_nb", "aiortc", "aioice", "av", "anywidget", "ipython", "jupyter_server", "msgspec", "numpy")


def machine() -> dict[str, object]:
    """What a figure depends on besides our code."""
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def main() -> None:
    labels = {IMPORT: "import forge_rtc_nb", ALL_NAMES: "... and use of every name", EXTENSION: "%load_ext"}
    imports = [measure(statement) for statement in labels]
    print("import, beyond numpy, anywidget and IPython [ms]      best  median   worst")
    for cost in imports:
        print(f"  {labels[cost.statement]:<48}{cost.best_ms:8.1f}{cost.median_ms:8.1f}{cost.worst_ms:8.1f}")
    result = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "imports": [asdict(cost) for cost in imports],
    }
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {OUTPUT}")


if __name__ == "__main__":
    main()
