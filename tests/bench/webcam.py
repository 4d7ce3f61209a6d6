"""The webcam's way into the kernel, beside what a user would pick instead (bench process)."""

from __future__ import annotations

from dataclasses import asdict

from tests.bench.report import Options, Result, Target
from tests.bench.video.compare import Comparison, ratio
from tests.bench.video.rig import open_rig


def run(options: Options) -> Result:
    """All parts, one after the other; a part that fails is reported, and the others go on."""
    comparison = Comparison()
    with open_rig() as rig:
        comparison.run(rig, options)
        chromium = rig.browser.version
    print("\n".join(comparison.table()))
    data = {"chromium": chromium, "rounds": [asdict(r) for r in comparison.rounds]}
    return Result(data, targets(comparison), {"rounds": "; ".join(comparison.failures)} if comparison.failures else {})


def targets(comparison: Comparison) -> list[Target]:
    """What the issue promises."""

    def latency(peer: str, camera: str) -> float | None:
        return ratio(comparison.latency("ours", camera), comparison.latency(peer, camera))

    engine = ratio(comparison.cpu("ours", "720p30", "engine"), comparison.cpu("stock", "720p30", "kernel"))
    return [
        lower("720p30: latency p50, ratio to aiortc in a thread", latency("stock", "720p30"), 0.5),
        lower("720p30: latency p50, ratio to JPEG over comm", latency("jpeg", "720p30"), 1.1),
        lower("1080p30: latency p50, ratio to JPEG over comm", latency("jpeg", "1080p30"), 0.35),
        lower("720p30: engine's CPU, ratio to the kernel's with aiortc in a thread", engine, 1.1),
    ]


def lower(name: str, value: float | None, target: float) -> Target:
    return Target("webcam", name, None if value is None else round(value, 3), target, "lower")
