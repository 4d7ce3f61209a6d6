"""Bare data channels of ours beside aiortc as it is, libwebrtc and Chromium, on good and bad paths (bench process)."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench import channels_kernels, channels_raw
from tests.bench.channels_tables import table, targets
from tests.bench.report import Options, Result, stored
from tests.bench.video.medians import Rows

PARTS: dict[str, Callable[[Options], Rows]] = {
    "rates": channels_raw.rates,
    "loss": channels_raw.loss,
    "delay": channels_raw.delay,
    "chromium": channels_raw.chromium,
    "shares": channels_raw.shares,
    "busy": channels_kernels.busy,
    "camera": channels_kernels.camera,
}
"""Each has its own basis for comparison; the rounds of its rows are interleaved."""


def run(options: Options) -> Result:
    """The parts, one after the other; one that fails is reported, and the others go on."""
    wanted = [name for name in PARTS if not options.parts or name in options.parts]
    before: Rows = stored().get("channels", {}).get("rows", [])
    rows = [row for row in before if row["part"] not in wanted]
    failures: dict[str, str] = {}
    for name in wanted:
        print(f"channels, {name}: measuring", flush=True)
        try:
            found = PARTS[name](options)
        except Exception as error:  # whatever connections, a browser and kernels may do wrong
            failures[name] = f"{type(error).__name__}: {error}"
            continue
        rows += [{"part": name, **row} for row in found]
        failures |= {f"{name}, row {number}": row["error"] for number, row in enumerate(found) if "error" in row}
    print("\n".join(table(rows)), end="\n\n")
    return Result({"rows": rows}, targets(rows), failures)
