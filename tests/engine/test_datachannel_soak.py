"""Data channels at full rate for minutes: memory stays flat, nothing stalls, every byte arrives (test process)."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from tests.bench.channels_raw import LIMIT, OURS, SMALL, Ends, opened
from tests.bench.data_raw_end import MESSAGE

SECONDS = float(os.environ.get("FORGE_RTC_SOAK_SECONDS", "600"))
SHORT = 2.0
ROUND, SLOW_ROUND = 2_000, 300
"""Messages of one transfer: 131 MB; fewer where packets are small or lost."""
WARM = 3
"""Rounds before memory is looked at: windows grow, and what is freed is kept."""
FLAT = 24 << 20
"""Bytes by which a process may grow afterwards: less than it would in seconds if it kept what it sends."""
STALL = 2.0
"""Twice what is promised."""


@pytest.mark.timeout(2 * SECONDS + 120)
@pytest.mark.parametrize("seconds", [SHORT, pytest.param(SECONDS, marks=pytest.mark.soak)], ids=["short", "long"])
@pytest.mark.parametrize(
    ("kind", "loss"), [(OURS, 0.0), (SMALL, 0.0), (OURS, 0.001)], ids=["large packets", "1200 bytes", "lossy"]
)
def test_memory_is_flat_and_nothing_stalls(kind: str, loss: float, seconds: float) -> None:
    with opened((kind, kind), loss) as ends:
        messages = ROUND if kind == OURS and not loss else SLOW_ROUND
        for _ in range(WARM):
            transfer(ends, messages)
        before, until, gaps = memory(ends), time.monotonic() + seconds, [0.0]
        while time.monotonic() < until:
            gaps.append(transfer(ends, messages))
        grown = [after - first for first, after in zip(before, memory(ends), strict=True)]
        sent = (len(gaps) - 1) * messages * MESSAGE / 1e9
        print(f"{kind}, {loss:.1%} lost: {sent:.1f} GB, longest gap {max(gaps):.2f} s, grown {grown} bytes")
        assert max(gaps) < STALL
        assert max(grown) < FLAT


def transfer(ends: Ends, messages: int) -> float:
    """Seconds of the longest gap between two messages."""
    sender, receiver = ends
    receiver.call("listen", messages=messages)
    receiver.begin("taken", seconds=LIMIT)
    sent = sender.call("give", 2 * LIMIT, messages=messages, seconds=LIMIT)
    got = receiver.result(2 * LIMIT)
    assert got["sums"] == sent
    return float(got["longest_gap"])


def memory(ends: Ends) -> list[int]:
    return [psutil.Process(end.pid).memory_info().rss for end in ends]
