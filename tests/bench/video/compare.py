"""The peers side by side: interleaved rounds at each size, medians over the rounds (bench process)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from tests.bench.report import Options
from tests.bench.video.camera import FULL_HD, HD, SD, Camera
from tests.bench.video.peers import PEERS, Peer
from tests.bench.video.rig import Rig
from tests.bench.video.rounds import Round, play

WARM_UP = 3.0
COLUMNS = ("p50 ms", "p95 ms", "fps", "kbit/s", "kernel %", "engine %", "browser %", "server %", "1st array s", "full size s")


class Comparison:
    """Rounds so far; usable with any number of them."""

    def __init__(self) -> None:
        self.rounds: list[Round] = []
        self.failures: list[str] = []

    def run(self, rig: Rig, options: Options) -> None:
        """A round that fails is noted, and the others go on."""
        for camera in _cameras(options):
            for _ in range(options.rounds):
                for peer in PEERS:
                    self._one(rig, peer, camera, options.seconds)

    def _one(self, rig: Rig, peer: Peer, camera: Camera, seconds: float) -> None:
        try:
            self.rounds.append(play(rig, peer, camera, seconds, WARM_UP))
            print(f"  {camera.name:>8} {peer.label:<24} {self.rounds[-1].latency_ms}", flush=True)
        except Exception as error:  # whatever a browser and a kernel may do wrong
            self.failures.append(f"{peer.name} at {camera.name}: {error}")

    def of(self, peer: str, camera: str) -> list[Round]:
        """The rounds of one peer and size."""
        return [r for r in self.rounds if (r.peer, r.camera) == (peer, camera)]

    def latency(self, peer: str, camera: str, quantile: str = "p50") -> float | None:
        """Median over the rounds, in ms."""
        return median(r.latency_ms.get(quantile) for r in self.of(peer, camera))

    def cpu(self, peer: str, camera: str, group: str) -> float | None:
        """Median over the rounds, in percent of a core."""
        return median(r.cpu[group] for r in self.of(peer, camera))

    def table(self) -> list[str]:
        """Lines for the terminal: medians."""
        lines = [f"{'webcam to numpy, medians of rounds':<36}" + "".join(f"{name:>12}" for name in COLUMNS)]
        shown = [(camera, peer) for camera in dict.fromkeys(r.camera for r in self.rounds) for peer in PEERS]
        return lines + [_line(camera, peer, found) for camera, peer in shown if (found := self.of(peer.name, camera))]


def median(values: Iterable[float | None]) -> float | None:
    """Of what is there."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def ratio(one: float | None, other: float | None) -> float | None:
    """None where either is missing."""
    return one / other if one is not None and other else None


def _cameras(options: Options) -> tuple[Camera, ...]:
    return (HD, FULL_HD) if options.quick else (SD, HD, FULL_HD)


def _line(camera: str, peer: Peer, rounds: list[Round]) -> str:
    return f"  {camera:<9}{peer.label:<25}" + "".join(_cell(value) for value in _medians(rounds))


def _medians(rounds: list[Round]) -> list[float | None]:
    rows: list[list[Any]] = [
        [
            *(r.latency_ms.get("p50"), r.latency_ms.get("p95"), r.fps, r.kbit_s),
            *(r.cpu[group] for group in ("kernel", "engine", "browser", "server")),
            *(r.first_array_s, r.full_size_s),
        ]
        for r in rounds
    ]
    return [median(column) for column in zip(*rows, strict=True)]


def _cell(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.4g}':>12}"
