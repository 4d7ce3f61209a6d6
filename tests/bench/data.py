"""Arrays from kernel to kernel, beside the bare data channel and what a user would pick instead (bench process)."""

from __future__ import annotations

from typing import Any

from tests.bench.data_paths import PATHS, Open
from tests.bench.data_play import play
from tests.bench.data_tables import table, targets
from tests.bench.report import Options, Result, stored
from tests.bench.video.rig import Rig, open_rig


def run(options: Options) -> Result:
    """Every path in turn, in each round; one that fails is reported, and the others go on."""
    wanted = [name for name in PATHS if not options.parts or name in options.parts]
    rows: list[dict[str, Any]] = [row for row in _stored() if row["path"] not in wanted]
    with open_rig() as rig:
        chromium = rig.browser.version
        for number in range(options.rounds):
            print(f"data, round {number + 1} of {options.rounds}: measuring", flush=True)
            rows += [_row(PATHS[name].open, rig, name, options) for name in wanted]
    print("\n".join(table(rows)), end="\n\n")
    failures = {f"{row['path']}, row {number}": row["error"] for number, row in enumerate(rows) if "error" in row}
    return Result({"chromium": chromium, "rows": rows}, targets(rows), failures)


def _stored() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = stored().get("data", {}).get("rows", [])
    return rows


def _row(open_: Open, rig: Rig, name: str, options: Options) -> dict[str, Any]:
    try:
        with open_(rig) as (sender, receiver):
            row: dict[str, Any] = {"path": name, **play(sender, receiver, options)}
    except Exception as error:  # whatever connections, a browser and kernels may do wrong
        return {"path": name, "error": f"{type(error).__name__}: {error}"}
    print(f"  {name:<20}{row['mb_s']:8.1f} MB/s, one array {row['latency_ms']:7.1f} ms", flush=True)
    return row
