"""The last packet of a message is made as long as those before it, where more follow: they go out together (test process)."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.chunks import DATA, FIRST, LAST, PAD, chunks_of, packet
from forge_rtc_nb.engine.datachannel.outbound import MOST_FILLING
from forge_rtc_nb.engine.datachannel.setup import Capacity
from tests.unit.sctp_network import End, Network, data_chunk

OURS = Capacity(16_352)


def data_packets(end: End) -> list[bytes]:
    return [each for each in end.sent if next(chunks_of(each))[0] == DATA]


def filling(packets: list[bytes]) -> int:
    """Bytes of all PAD chunks."""
    return sum(len(value) + 4 for each in packets for kind, _, value in chunks_of(each) if kind == PAD)


def sent(count: int, size: int, **options: Any) -> Network:
    network = Network(**options).establish()
    messages = [Random(number).randbytes(size) for number in range(count)]
    for message in messages:
        network.client.association.send(0, 53, message, now=network.now)
    network.run(lambda: len(network.server.messages) == count)
    assert network.server.messages == [(0, 53, message) for message in messages]
    return network


@pytest.mark.parametrize("packet_size", [1200, 16_208])
@pytest.mark.parametrize("size", [65_536, 65_533, 64_512, 100_001])
def test_packets_of_one_stream_of_messages_have_one_size(packet_size: int, size: int) -> None:
    network = sent(20, size, packet_size=packet_size, capacity=OURS)
    packets = data_packets(network.client)
    assert filling(packets) <= 20 * MOST_FILLING
    runs = [(length, len(list(run))) for length, run in groupby(packets, len)]
    assert len(runs) <= 2, "but for the very last packet, which nothing follows"
    assert max(map(len, packets)) <= packet_size


def test_others_get_no_filling() -> None:
    assert filling(sent(20, 65_533, packet_size=1200).client.sent) == 0


def test_what_nothing_follows_is_not_filled() -> None:
    assert filling(sent(1, 65_533, packet_size=1200, capacity=OURS).client.sent) == 0


def test_an_end_that_leaves_room_takes_what_follows_instead() -> None:
    network = sent(40, 1_400, packet_size=1200, capacity=OURS)
    assert filling(network.client.sent) == 0
    assert len(data_packets(network.client)) <= 2 * 40


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40), st.integers(1, 9))
def test_whatever_follows_a_chunk_is_read_as_chunks(rest: bytes, size: int) -> None:
    """A PAD chunk is skipped, anything else is what it is for a packet of any chunks."""
    network = Network(capacity=OURS).establish()
    server = network.server.association
    chunk = data_chunk(network.server.inbound.tsn + 1, FIRST | LAST, 3, 0, bytes(size))
    server.receive(packet(server._expects, [chunk, rest]), network.now)
    network.run(seconds=0.5)
    assert (3, 53, bytes(size)) in network.server.messages


@pytest.mark.parametrize(
    "filler", [b"\x84\0\0\x04", b"\x84\0\0\x08abcd", b"\x84\0\0\x04\x84\0\0\x04", b"\x84\0\0\x0c", b"\x84\0"]
)
def test_a_filling_of_any_kind_costs_no_data(filler: bytes) -> None:
    network = Network(capacity=OURS).establish()
    server = network.server.association
    chunk = data_chunk(network.server.inbound.tsn + 1, FIRST | LAST, 3, 0, b"data")
    server.receive(packet(server._expects, [chunk, filler]), network.now)
    network.run(seconds=0.5)
    assert network.server.messages == [(3, 53, b"data")]
    assert network.server.closed == []
