"""Data beside pictures: little at a time, and all of it arrives (test process)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from forge_rtc_nb.engine.aiortc_compat.courtesy import BURST, MEMORY, SHORTEST, Courtesy, courtesy
from tests.engine.fast_pair import FastPair, dtls, fast_pair
from tests.engine.pairs import connected_pair
from tests.support import await_for

MESSAGES = [bytes([number]) * 100_000 for number in range(30)]


def bursts(pair: FastPair, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many packets the near end sends at once, from now on."""
    transport, sizes = dtls(pair.near), []
    send: Any = transport.send_packets

    def count(packets: Sequence[bytes]) -> None:
        sizes.append(len(packets))
        send(packets)

    monkeypatch.setattr(transport, "send_packets", count)
    return sizes


async def send_all(pair: FastPair) -> None:
    for message in MESSAGES:
        pair.out.send(message)
    await await_for(lambda: len(pair.heard) == len(MESSAGES), what="all messages")
    assert pair.heard == MESSAGES


async def test_while_pictures_come_data_goes_a_few_packets_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "_until", float("inf"))
    async with fast_pair() as pair:
        sizes = bursts(pair, monkeypatch)
        await send_all(pair)
        assert max(sizes) <= BURST + 2  # a SACK, and a packet that was begun


async def test_without_pictures_data_goes_as_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "_until", 0.0)
    async with fast_pair() as pair:
        sizes = bursts(pair, monkeypatch)
        await send_all(pair)
        assert max(sizes) > BURST + 2


async def test_a_picture_that_somebody_reads_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(courtesy, "_until", 0.0)
    monkeypatch.setattr(Courtesy, "picture", lambda self: asked.append(True))
    async with connected_pair() as pair:
        await pair.show_until_seen(50)
        assert asked


def test_it_ends_with_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    one = Courtesy()
    assert not one.wanted(now)
    one.picture()
    assert one.wanted(now + 0.9 * MEMORY)
    assert not one.wanted(now + MEMORY)
    assert one.rest(0.0) == SHORTEST
    assert one.rest(0.01) > 0.01
