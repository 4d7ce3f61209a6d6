"""What is measured on every path, between any two ends (bench process)."""

from __future__ import annotations

import statistics
from typing import Any, Protocol

from tests.bench.data_worker import LIMIT, PING_SIZES
from tests.bench.report import Options

ARRAYS = 7
"""Of which the median is the latency of one."""
PINGS = 200


class End(Protocol):
    """A `Worker`, or a page."""

    def begin(self, name: str, **arguments: Any) -> None: ...

    def result(self, limit: float = LIMIT) -> Any: ...

    def call(self, name: str, limit: float = LIMIT, **arguments: Any) -> Any: ...


def play(sender: End, receiver: End, options: Options) -> dict[str, float]:
    """Rate of a stream one way, latency of one array, round trips."""
    warm_up(sender, receiver)
    row = {"latency_ms": _latency(sender, receiver, 3 if options.quick else ARRAYS)}
    row |= {"mb_s": _rate(sender, receiver, options.seconds)}
    for name, size in PING_SIZES.items():
        row[f"round_trip_{name}_ms"] = _round_trips(sender, receiver, size, PINGS // 10 if options.quick else PINGS)
    return row


def warm_up(sender: End, receiver: End) -> None:
    """Windows begin small, and memory is not there yet."""
    _rate(sender, receiver, 0.5)


def _rate(sender: End, receiver: End, seconds: float) -> float:
    """10^6 bytes a second at the receiver, from the first whole message on."""
    receiver.begin("receive")
    sender.call("stream", seconds + LIMIT, seconds=seconds)
    got = receiver.result()
    return round(float(got["bytes"] / got["seconds"] / 1e6), 1) if got["seconds"] else 0.0


def _latency(sender: End, receiver: End, count: int) -> float:
    """From the call that sends an array to the moment at which the receiver holds all of it; one at a time."""
    times: list[float] = []
    for _ in range(count):
        receiver.begin("receive")
        begun = sender.call("send_array")
        times.append(float(receiver.result()["last"]) - begun)
    return round(1000 * statistics.median(times), 2)


def _round_trips(sender: End, receiver: End, size: int, count: int) -> float:
    receiver.begin("echo")
    p50: float = sender.call("round_trips", size=size, count=count)
    receiver.result()
    return p50
