"""The end of a message is lost, after which nothing comes whose acknowledgement would tell: RFC 8985's probe (test process)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.chunks import DATA, sack_chunk
from forge_rtc_nb.engine.datachannel.congestion import PROBE_MIN, RTO_MIN, SACK_DELAY
from tests.unit.sctp_network import DELAY, Fate, Network, answers, arrives, random_path, tell

PART = 1172
ROUND_TRIP = 2 * DELAY


def warm(packets: int = 40, **options: int) -> Network:
    """Round trips are known, and the window has room for a message."""
    network = Network(**options).establish()
    for _ in range(packets):
        network.client.association.send(0, 53, bytes(3 * PART), now=network.now)
    network.run(lambda: network.client.outbound.idle, seconds=10)
    network.client.events.clear()
    network.server.events.clear()
    network.client.sent.clear()
    return network


def tsns(packets: Iterable[bytes]) -> list[int]:
    return [int.from_bytes(value[:4], "big") for value in answers(packets, DATA)]


def loses(*numbers: int) -> Fate:
    """Packets with data, counted from now on; a packet is lost once."""
    count = -1

    def fate(data: bytes) -> Iterable[float]:
        nonlocal count
        count += bool(answers([data], DATA))
        return () if count in numbers and answers([data], DATA) else arrives(data)

    return fate


def time_of(network: Network, size: int) -> float:
    """Seconds until a message has arrived."""
    begun = network.now
    network.client.association.send(0, 53, bytes(size), now=begun)
    network.run(lambda: len(network.server.messages) == 1, seconds=20)
    assert network.server.messages == [(0, 53, bytes(size))]
    return network.now - begun


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_a_lost_end_arrives_two_round_trips_later(count: int) -> None:
    network = warm()
    network.client.fate = loses(count - 1)
    assert time_of(network, count * PART) == pytest.approx(DELAY + 3 * ROUND_TRIP, abs=1.1 * ROUND_TRIP)
    assert network.client.outbound.failures == 0
    sent = tsns(network.client.sent)
    assert len(sent) == count + 1
    assert sent[-1] == sent[-2]


def test_a_lost_message_of_one_packet_is_waited_for_as_long_as_its_acknowledgement_may_take() -> None:
    network = warm()
    network.client.fate = loses(0)
    assert time_of(network, 100) < SACK_DELAY + 4 * ROUND_TRIP < RTO_MIN


@given(st.data())
@settings(deadline=None)
def test_whatever_one_packet_is_lost_the_message_arrives_before_t3(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 30))
    network = warm()
    network.client.fate = loses(data.draw(st.integers(0, count - 1)))
    assert time_of(network, count * PART) < RTO_MIN


@pytest.mark.parametrize("lost", [2, 3, 6])
def test_several_lost_at_the_end_are_sent_again_when_the_probe_is_acknowledged(lost: int) -> None:
    network = warm()
    network.client.fate = loses(*range(10 - lost, 10))
    assert time_of(network, 10 * PART) < RTO_MIN
    network.run(lambda: network.client.outbound.idle, seconds=10)
    assert len(tsns(network.client.sent)) == 10 + lost
    assert network.client.outbound.failures == 0


def test_a_silent_peer_is_probed_once_and_then_t3_decides() -> None:
    network = warm()
    network.client.fate = lambda data: ()
    network.client.association.send(0, 53, bytes(5 * PART), now=network.now)
    network.flush(network.client)
    expires = network.client.outbound.t3
    network.run(lambda: network.client.outbound.failures > 0, seconds=10)
    assert network.now == pytest.approx(expires)
    first = network.client.outbound.flight.acknowledged + 1
    assert tsns(network.client.sent)[5:7] == [first + 4 & 0xFFFFFFFF, first & 0xFFFFFFFF]


@pytest.mark.parametrize(("loss", "jitter"), [(0.0, 0.0), (0.0, 0.01), (0.01, 0.0)])
def test_bulk_is_never_probed(loss: float, jitter: float) -> None:
    network = Network().establish()
    probed = 0

    def count() -> bool:
        nonlocal probed
        probed += network.client.outbound.flight.probe is not None
        return len(network.server.messages) == 200

    network.client.fate, network.server.fate = random_path(1, loss, jitter=jitter), random_path(2, 0.0)
    for _ in range(200):
        network.client.association.send(0, 53, bytes(65_536), now=network.now)
    network.run(count, seconds=300)
    assert len(network.server.messages) == 200
    assert probed == 0


@pytest.mark.parametrize("kind", ["limit", "shut"])
def test_what_may_be_sent_only_so_often_is_not_probed_nor_is_a_shut_window(kind: str) -> None:
    network = warm()
    if kind == "shut":
        outbound = network.client.outbound
        tell(network, network.client, sack_chunk(outbound.flight.acknowledged, 0, [], []))
    network.client.fate = lambda data: ()
    network.client.association.send(0, 53, bytes(PART), max_retransmits=1 if kind == "limit" else None, now=network.now)
    network.run(lambda: network.client.outbound.failures > 0, seconds=10)
    assert len(tsns(network.client.sent)) == 2


def window_after(network: Network) -> tuple[int, int]:
    """Before and after the last packet of a message was probed, and another message was acknowledged."""
    before = network.client.outbound.congestion.window
    time_of(network, 5 * PART)
    network.run(seconds=10)
    network.client.fate = network.server.fate = arrives
    network.server.events.clear()
    time_of(network, 5 * PART)
    network.run(lambda: network.client.outbound.idle, seconds=10)
    assert len(tsns(network.client.sent)) == 11
    return before, network.client.outbound.congestion.window


def test_a_loss_that_the_probe_has_mended_is_a_loss_for_the_window() -> None:
    network = warm()
    network.client.fate = loses(4)
    before, after = window_after(network)
    assert after == before // 2


def test_a_probe_that_was_not_needed_costs_no_window() -> None:
    network = warm()
    network.server.fate = lambda data: (DELAY + 3 * ROUND_TRIP,)
    before, after = window_after(network)
    assert after >= before


def test_on_a_short_path_a_pause_of_the_peer_is_no_silence() -> None:
    network = warm()
    network.client.outbound.congestion.round_trip.smoothed = 0.0001
    network.client.association.send(0, 53, bytes(5 * PART), now=network.now)
    network.flush(network.client)
    assert network.client.outbound.probe_at == pytest.approx(network.now + PROBE_MIN)
