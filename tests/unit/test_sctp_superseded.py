"""Of acknowledgements that are read together only those are looked at that tell something of their own (test process)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.chunks import (
    CHUNK_HEADER,
    COMMON_HEADER,
    COOKIE_ACK,
    PLAIN_SACK,
    chunk,
    packet,
    packet_header,
    parse_sack,
    sack_chunk,
    without_superseded,
)
from forge_rtc_nb.engine.datachannel.flight import Flight
from forge_rtc_nb.engine.datachannel.outgoing import Outgoing, Queue

HEADER = packet_header(5000, 5000, 7)


def sack(tsn: int, *, window: int = 1000, gaps: tuple[tuple[int, int], ...] = (), duplicates: tuple[int, ...] = ()) -> bytes:
    return packet(HEADER, [sack_chunk(tsn, window, list(gaps), list(duplicates))])


def left(*packets: bytes) -> list[bytes]:
    return list(without_superseded(packets))


def test_of_acknowledgements_in_a_row_the_last_is_left() -> None:
    assert len(sack(1)) == PLAIN_SACK
    assert left(sack(1), sack(3), sack(3, window=5), sack(5)) == [sack(5)]
    assert left(sack(1), sack(1, window=0)) == [sack(1, window=0)]
    assert left(sack(0xFFFFFFFE), sack(2)) == [sack(2)]
    assert left() == []


def test_those_that_came_late_do_not_take_the_place_of_newer_ones() -> None:
    assert left(sack(5), sack(3), sack(4)) == [sack(5), sack(4)]


def test_what_tells_more_stays_and_everything_stays_in_order() -> None:
    with_gap, with_duplicate = sack(2, gaps=((2, 3),)), sack(3, duplicates=(1,))
    data = packet(HEADER, [chunk(0, 3, bytes(16))])
    assert len(data) > PLAIN_SACK
    both = packet(HEADER, [chunk(COOKIE_ACK), sack_chunk(4, 1000, [], [])])
    stay = [sack(1), with_gap, sack(2), with_duplicate, sack(3), data, sack(4), both, sack(5), data[:12], b""]
    assert left(*stay) == stay


def test_of_two_associations_both_stay() -> None:
    other = packet(packet_header(5000, 5000, 8), [sack_chunk(9, 1000, [], [])])
    assert left(sack(1), other) == [sack(1), other]


def test_a_packet_of_the_same_size_with_something_else_stays() -> None:
    reset = packet(HEADER, [chunk(COOKIE_ACK), chunk(130, 0, bytes(8))])
    assert len(reset) == PLAIN_SACK
    assert left(sack(1), reset, sack(2)) == [sack(1), reset, sack(2)]


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([(), ((2, 3),), ((2, 2), (5, 6))])), max_size=12))
def test_the_sender_knows_the_same(told: list[tuple[int, tuple[tuple[int, int], ...]]]) -> None:
    packets = [sack(0xFFFFFFF5 + tsn, gaps=gaps) for tsn, gaps in told]
    assert known(packets) == known(left(*packets))


def known(packets: list[bytes]) -> tuple[int, int, int]:
    """How far 20 packets are acknowledged after these, how many are under way and how many lost."""
    flight = Flight(0xFFFFFFF6)
    message = Outgoing(Queue(0), 53, bytes(20), True, None, None)
    for start in range(20):
        flight.add(message, start, 1, 0.0)
    for each in packets:
        tsn, _, gaps = parse_sack(each[COMMON_HEADER + CHUNK_HEADER :])
        flight.acknowledge(tsn, gaps, 1)
    return flight.acknowledged, flight.size, len(flight.lost)
