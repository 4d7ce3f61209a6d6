"""Encoding for viewers: quality, and what each viewer costs: ``python -m tests.bench media_encode`` (bench process)."""

from __future__ import annotations

import statistics
from typing import Any

from tests.bench import media_quality, media_viewers
from tests.bench.report import Options, Result, Target

PARTS = ("quality", "viewers")


def run(options: Options) -> Result:
    """Both parts, or those that are asked for."""
    parts = options.parts or PARTS
    data: dict[str, Any] = {}
    targets: list[Target] = []
    if "quality" in parts:
        sizes = ["480p"] if options.quick else list(media_quality.SIZES)
        data["quality"] = media_quality.measure(sizes, 30 if options.quick else 90)
        targets += quality_targets(data["quality"])
    if "viewers" in parts:
        data["viewers"] = media_viewers.measure(options.rounds, options.seconds)
        targets += viewer_targets(data["viewers"])
    return Result(data, targets)


def quality_targets(rows: list[dict[str, Any]]) -> list[Target]:
    psnr = {(row["size"], row["codec"], row["what"]): row["psnr"] for row in rows}
    targets = []
    for size, codec in dict.fromkeys((row["size"], row["codec"]) for row in rows):
        # aiortc prefers VP8 where nobody says otherwise.
        best = psnr[size, "VP8", "stock, highest"]
        for name in ("lowest", "highest"):
            gain = psnr[size, codec, f"ours, as stock's {name}"] - psnr[size, codec, f"stock, {name}"]
            text = f"{size} {codec}: dB more than stock at its {name} bitrate"
            targets.append(Target("media_encode", text, gain, -0.2, "higher"))
        text = f"{size} {codec}: dB more at our default than stock's VP8 at its highest"
        targets.append(Target("media_encode", text, psnr[size, codec, "ours, default"] - best, 1.5, "higher"))
    return targets


def viewer_targets(rows: list[dict[str, Any]]) -> list[Target]:
    def cost(viewers: int) -> float:
        found: list[float] = [row["ms a frame"] for row in rows if (row["kind"], row["viewers"]) == ("ours", viewers)]
        return statistics.median(found)

    text = "CPU a frame with 16 viewers, times that with one"
    return [Target("media_encode", text, cost(16) / cost(1), 1.5, "lower")]
