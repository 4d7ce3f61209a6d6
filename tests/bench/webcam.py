"""The webcam's way into the kernel, beside what a user would pick instead (bench process)."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.report import OUTPUT, Options, Result
from tests.bench.video import tables
from tests.bench.video.busy import measure_busy
from tests.bench.video.compare import measure_peers
from tests.bench.video.figure import draw
from tests.bench.video.growth import measure_growth
from tests.bench.video.loss import measure_loss
from tests.bench.video.medians import Rows
from tests.bench.video.promises import targets
from tests.bench.video.rig import Rig, open_rig
from tests.bench.video.startup import measure_startup

FIGURE = OUTPUT.with_name("bench-webcam.png")
PARTS: dict[str, tuple[Callable[[Rig, Options], Rows], Callable[[Rows], list[str]]]] = {
    "peers": (measure_peers, tables.peers),
    "startup": (measure_startup, tables.startup),
    "busy": (measure_busy, tables.busy),
    "loss": (measure_loss, tables.loss),
    "growth": (measure_growth, tables.growth),
}


def run(options: Options) -> Result:
    """All parts, one after the other; a part that fails is reported, and the others go on."""
    data: dict[str, Rows] = {}
    failures: dict[str, str] = {}
    with open_rig() as rig:
        chromium = rig.browser.version
        for name, (measure, _) in PARTS.items():
            print(f"webcam, {name}: measuring", flush=True)
            try:
                data[name] = measure(rig, options)
            except Exception as error:  # whatever a browser, a server and a kernel may do wrong
                failures[name] = f"{type(error).__name__}: {error}"
                continue
            failures |= {f"{name}, round {n}": row["error"] for n, row in enumerate(data[name]) if "error" in row}
    for name, rows in data.items():
        print("\n".join(PARTS[name][1](rows)), end="\n\n")
    draw(data, chromium, FIGURE)
    print(f"drawn in {FIGURE}")
    return Result({"chromium": chromium, **data}, targets(data), failures)
