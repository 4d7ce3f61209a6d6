"""The webcam's way into the kernel, beside what a user would pick instead (bench process)."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.report import OUTPUT, Options, Result, stored
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
    """The parts, one after the other; one that fails is reported, and the others go on.

    Each has its own basis for comparison, so that rows of parts that are not measured this time may stay beside new ones.
    """
    wanted = [name for name in PARTS if not options.parts or name in options.parts]
    before = stored().get("webcam", {})
    data: dict[str, Rows] = {name: before.get(name, []) for name in PARTS if name not in wanted}
    failures: dict[str, str] = {}
    with open_rig() as rig:
        chromium = rig.browser.version
        for name in wanted:
            print(f"webcam, {name}: measuring", flush=True)
            try:
                data[name] = PARTS[name][0](rig, options)
            except Exception as error:  # whatever a browser, a server and a kernel may do wrong
                data[name], failures[name] = [], f"{type(error).__name__}: {error}"
            failures |= {f"{name}, round {n}": row["error"] for n, row in enumerate(data[name]) if "error" in row}
    for name in wanted:
        print("\n".join(PARTS[name][1](data[name])), end="\n\n")
    draw(data, chromium, FIGURE)
    print(f"drawn in {FIGURE}")
    return Result({"chromium": chromium, **data}, targets(data), failures)
