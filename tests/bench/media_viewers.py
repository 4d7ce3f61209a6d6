"""What one more viewer costs the process that sends: ours and stock aiortc, 720p30 (bench process)."""

from __future__ import annotations

from typing import Any

from tests.bench.data_worker import Worker

COUNTS = {"ours": (1, 4, 16), "stock": (1, 4)}
WARM_UP = 3.0


def round_of(kind: str, viewers: int, seconds: float) -> dict[str, Any]:
    """One sender with so many viewers: CPU milliseconds for each source frame that was encoded, and what was lost."""
    with Worker("tests.bench.media_end", kind) as sender, Worker("tests.bench.media_end", "sinks") as sinks:
        for _ in range(viewers):
            sinks.call("accept", sdp=sender.call("answer", sdp=sinks.call("offer")))
        sender.call("measure", seconds=WARM_UP)
        before = sinks.call("frames")
        figures = sender.call("measure", seconds=seconds)
        received = sinks.call("frames") - before
    row = {"kind": kind, "viewers": viewers, **figures, "seconds": seconds, "received": received / viewers}
    row["ms a frame"] = 1000 * figures["cpu"] / figures["encoded"]
    row["kB a frame"] = figures["bytes"] / figures["encoded"] / 1000
    return row


def measure(rounds: int, seconds: float) -> list[dict[str, Any]]:
    """All counts, interleaved."""
    rows = []
    for _ in range(rounds):
        for kind, counts in COUNTS.items():
            for viewers in counts:
                rows.append(row := round_of(kind, viewers, seconds))
                print(as_line(row), flush=True)
    return rows


def as_line(row: dict[str, Any]) -> str:
    encoded, received = (row[name] / row["seconds"] for name in ("encoded", "received"))
    return (
        f"{row['kind']:6}{row['viewers']:3} viewers: {row['ms a frame']:6.1f} ms CPU and {row['kB a frame']:5.1f} kB a frame, "
        f"{encoded:5.1f} fps encoded, {received:5.1f} received, {row['dropped']:.0f} dropped"
    )
