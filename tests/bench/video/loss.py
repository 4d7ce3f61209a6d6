"""What lost datagrams do to latency, in both directions, through one proxy (bench process)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tests.bench.report import Options
from tests.bench.video.camera import HD
from tests.bench.video.peers import OURS
from tests.bench.video.rig import Rig
from tests.bench.video.rounds import play
from tests.udp_proxy import UdpProxy

LOSSES = (0.0, 0.02, 0.05)
WARM_UP = 3.0


def measure_loss(rig: Rig, options: Options) -> list[dict[str, Any]]:
    """Rounds with ``loss`` 0 to 1; each a new connection, which knows nothing but this loss."""
    return [_once(rig, loss, options.seconds, seed) for seed in range(options.rounds) for loss in LOSSES]


def _once(rig: Rig, loss: float, seconds: float, seed: int) -> dict[str, Any]:
    with UdpProxy(loss, seed) as proxy:
        row = asdict(play(rig, OURS, HD, seconds, WARM_UP, proxy.script))
        return {"loss": loss, "forwarded": proxy.forwarded, "dropped": proxy.dropped, **row}
