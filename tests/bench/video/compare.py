"""The peers side by side: interleaved rounds at each size (bench process)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.bench.report import Options
from tests.bench.video.camera import FULL_HD, HD, SD, Camera
from tests.bench.video.medians import Rows
from tests.bench.video.peers import PEERS, Peer
from tests.bench.video.rig import Rig
from tests.bench.video.rounds import play

WARM_UP = 3.0
SIZES = (SD, HD, FULL_HD)


def measure_peers(rig: Rig, options: Options) -> Rows:
    """A row for each round; one that failed has an ``error``, and the others go on."""
    sizes = SIZES[1:] if options.quick else SIZES
    orders = [(camera, peer) for camera in sizes for _ in range(options.rounds) for peer in PEERS]
    return [_row(rig, peer, camera, options.seconds) for camera, peer in orders]


def _row(rig: Rig, peer: Peer, camera: Camera, seconds: float) -> dict[str, Any]:
    try:
        row = asdict(play(rig, peer, camera, seconds, WARM_UP))
    except Exception as error:  # whatever a browser and a kernel may do wrong
        return {"peer": peer.name, "camera": camera.name, "error": f"{type(error).__name__}: {error}"}
    figures = row["latency_ms"]
    print(f"  {camera.name:>8} {peer.label:<24}p50 {figures.get('p50')} ms, p95 {figures.get('p95')} ms", flush=True)
    return row
