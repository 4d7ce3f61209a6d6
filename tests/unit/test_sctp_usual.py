"""Packets as most are take a shorter way through an SCTP association, to the same end (test process)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.chunks import DATA, FIRST, PAD, SACK, chunk, packet, sack_chunk
from forge_rtc_nb.engine.datachannel.setup import Capacity
from tests.unit.sctp_network import DELAY, Network, data_chunk

SIZES = [1, 6, 4052, 4053, 9001]

Part = tuple[str, int, int]
"""What kind of chunk, and two small numbers for it."""


def both() -> tuple[Network, Network]:
    """The same twice, with ten packets of the client on their way; the second one's client takes everything the long way."""
    networks = []
    for _ in range(2):
        network = Network(capacity=Capacity(unchecked=True)).establish()
        network.client.fate = lambda data: ()
        network.client.association.send(0, 53, bytes(5_860), now=network.now)
        network.client.association.send(0, 53, bytes(5_860), max_retransmits=0, now=network.now)
        network.flush(network.client)
        network.now += DELAY
        networks.append(network)
    networks[1].client.association._receive_usual = lambda data, now: False  # type: ignore[method-assign]
    return networks[0], networks[1]


def made(network: Network, parts: list[Part], unchecked: bool) -> bytes:
    """A packet of those chunks as the server would send it."""
    sent, heard = network.client.association._life.identity.tsn, network.client.inbound.tsn + 1
    chunks = {
        "sack": lambda a, b: sack_chunk(sent + a - 1, 1 << 16, [], []),
        "gaps": lambda a, b: sack_chunk(sent + a - 1, 1 << 16, [(2, 2 + b)], []),
        "twice": lambda a, b: sack_chunk(sent + a - 1, 1 << 16, [], [sent + b]),
        "lies": lambda a, b: sack_chunk(sent + a - 1, 1 << 16, [], [])[:-4] + bytes([0, a, 0, b]),
        "long": lambda a, b: chunk(SACK, 0, sack_chunk(sent + a - 1, 1 << 16, [], [])[4:] + bytes(4)),
        "data": lambda a, b: data_chunk(heard + a, b, 0, 0, bytes(SIZES[a])),
        "empty": lambda a, b: data_chunk(heard + a, 3, 0, 0, b""),
        "short": lambda a, b: chunk(DATA, 3, bytes(a)),
        "pad": lambda a, b: chunk(PAD, 0, bytes(SIZES[b % 5] & ~3)),
        "junk": lambda a, b: bytes(range(a)),
    }
    whole = packet(network.client.association._expects, [chunks[kind](a, b) for kind, a, b in parts])
    return whole[:8] + bytes(4) + whole[12:] if unchecked else whole


def seen(association: Association, now: float) -> tuple[object, ...]:
    """What can be told of it from outside, and of what it has under way."""
    events = list(association.events)
    association.end_batch(now)
    block = association._block
    assert block is not None
    sends, takes = block.outbound, block.inbound
    halves = sends.flight.acknowledged, sends.flight.size, sends.peer_window, takes.tsn, takes.unacknowledged, takes.window
    pace = vars(sends.congestion.round_trip), sends.congestion.window, sends.congestion.threshold, sends.failures
    return association.state, events, halves, str(pace), association.take_packets(now, 64), association.deadline


KINDS = ["sack", "sack", "data", "gaps", "twice", "lies", "long", "data", "empty", "short", "pad", "junk"]
FAULTS = ["", "", "", "flipped", "cut", "tag", "closing"]
PAUSES = st.sampled_from([0.0, 0.001, 0.05, 0.5, 11.0])
PARTS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 4), st.integers(0, 15)), min_size=1, max_size=3)


def broken(data: bytes, fault: str) -> bytes:
    """The packet with such a fault."""
    if fault == "flipped":
        return data[:-1] + bytes([data[-1] ^ 1])
    if fault == "tag":
        return data[:7] + bytes([data[7] ^ 1]) + data[8:]
    return data[: len(data) // 2 & ~3] if fault == "cut" else data


@settings(max_examples=400, deadline=None)
@given(packets=st.lists(st.tuples(PARTS, st.booleans(), st.sampled_from(FAULTS), PAUSES), min_size=1, max_size=6))
def test_the_shorter_way_leads_to_the_same(packets: list[tuple[list[Part], bool, str, float]]) -> None:
    pair = both()
    for parts, unchecked, fault, pause in packets:
        seens = []
        for network in pair:
            data = broken(made(network, parts, unchecked), fault)
            if fault == "closing":
                network.client.association.close(network.now)
            network.now += pause
            network.client.association.on_timer(network.now)
            network.client.association.receive(data, network.now)
            seens.append(seen(network.client.association, network.now))
        assert seens[0] == seens[1]


@pytest.mark.parametrize("ahead", [0, 1], ids=["in order", "out of order"])
def test_what_fills_a_packet_is_not_kept(ahead: int) -> None:
    network, _ = both()
    inbound = network.client.inbound
    chunks = [data_chunk(inbound.tsn + 1 + ahead, FIRST, 0, 0, b"a"), chunk(PAD, 0, bytes(9000))]
    network.client.association.receive(packet(network.client.association._expects, chunks), network.now)
    parts = inbound._reassembly._by_first[inbound.tsn + 2].parts if ahead else inbound._parts
    assert [type(part) for part in parts] == [bytes]


@pytest.mark.parametrize("parts", [["sack"], ["data"], ["sack", "data"], ["data", "pad"], ["sack", "data", "pad"]])
def test_most_packets_take_it(parts: list[str]) -> None:
    network, _ = both()
    association = network.client.association
    association._receive_any = None  # type: ignore[method-assign, assignment]
    association.receive(made(network, [(part, 1, 0) for part in parts], unchecked=True), network.now)


@pytest.mark.parametrize("parts", [["gaps"], ["twice"], ["sack", "sack"], ["data", "data"], ["pad"], ["data", "sack"]])
def test_others_do_not(parts: list[str]) -> None:
    network, _ = both()
    data = made(network, [(part, 1, 0) for part in parts], unchecked=True)
    assert not network.client.association._receive_usual(data, network.now)
