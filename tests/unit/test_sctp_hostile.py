"""What no peer should send: SCTP associations drop it, or end, and hold no more than they may (test process)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.chunks import (
    AT_ONCE,
    CHECKSUM,
    ERROR,
    FIRST,
    HEARTBEAT,
    HEARTBEAT_ACK,
    LAST,
    RE_CONFIG,
    SACK,
    UNORDERED,
    chunk,
    forward_tsn_chunk,
    packet,
    parse_sack,
    sack_chunk,
    words,
)
from forge_rtc_nb.engine.datachannel.events import TooLarge
from forge_rtc_nb.engine.datachannel.lifecycle import State
from tests.unit.sctp_network import DELAY, End, Fate, Network, answers, check, data_chunk, tell

WINDOW = 200_000


def established() -> Network:
    return Network(receive_window=WINDOW, max_message=50_000).establish()


def next_tsn(end: End) -> int:
    return int(end.inbound.tsn) + 1


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_dropped(data: bytes) -> None:
    network = established()
    for end in (network.client, network.server):
        association = end.association
        association.receive(data, network.now)
        association.receive(packet(association._expects, [data]), network.now)
        association.receive(association._expects + CHECKSUM.pack(0) + data, network.now)
        check(end)
        network.flush(end)


@given(st.integers(0, 255), st.integers(0, 15), st.binary(max_size=80))
@settings(max_examples=400, deadline=None)
def test_chunks_of_every_type_with_any_content_are_survived(kind: int, flags: int, value: bytes) -> None:
    network = established()
    network.server.association.send(0, 53, bytes(5000), now=network.now)
    network.flush(network.server)
    tell(network, network.server, chunk(kind, flags, value))
    if network.server.association.state is State.ESTABLISHED:
        network.run(lambda: bool(network.client.messages))
        assert network.client.messages[-1:] == [(0, 53, bytes(5000))] or network.server.closed


def corrupts(network: Network, end: End, random: Random) -> Fate:
    """A path on which somebody changes packets and makes their checksums right."""

    def fate(data: bytes) -> Iterable[float]:
        if random.random() < 0.2:
            changed = bytearray(data)
            at = random.randrange(12, len(changed))
            how = random.randrange(4)
            if how == 0:
                changed[at] = random.randrange(256)
            elif how == 1:
                del changed[at:]
            elif how == 2:
                changed[at:at] = random.randbytes(4)
            else:
                changed[at : at + 2] = b"\xff\xff"
            other = network.other(end)
            other.association.receive(packet(data[:8], [bytes(changed[12:])]), network.now)
            other.association.end_batch(network.now)
            check(other)
        return (DELAY,)

    return fate


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_changed_packets_with_right_checksums_are_survived(seed: int) -> None:
    network, random = Network(), Random(seed)
    for end in (network.client, network.server):
        end.fate = corrupts(network, end, random)
        end.association.send(1, 53, random.randbytes(20_000), now=network.now)
    network.client.association.connect(network.now)
    network.client.association.reset([1])
    network.run(seconds=100)
    for end in (network.client, network.server):
        assert end.association.state in State


def test_a_sack_for_what_was_never_sent_is_ignored() -> None:
    network = established()
    network.client.association.send(0, 53, bytes(3000), now=network.now)
    network.flush(network.client)
    flight = network.client.outbound.flight
    before = flight.size, flight.acknowledged
    for tsn in (flight.next_tsn, flight.next_tsn + 1000, flight.next_tsn + 2**31 - 5, flight.acknowledged - 1):
        tell(network, network.client, sack_chunk(tsn, WINDOW, [], []))
    for gaps in ([(1, 4)], [(3, 2)], [(0, 1)], [(2, 2), (1, 1)], [(1, 65_535)], [(2, 2), (2, 3)]):
        tell(network, network.client, sack_chunk(flight.acknowledged, WINDOW, gaps, []))
    assert (flight.size, flight.acknowledged) == before


def test_a_sack_with_thousands_of_gaps_is_taken() -> None:
    network = Network(most=100_000, queue_limit=1 << 24).establish()
    outbound = network.client.outbound
    outbound.congestion.window = outbound.peer_window = 1 << 24
    outbound.congestion.round_trip.shortest = 1e-6
    network.client.fate = lambda data: ()
    for _ in range(8000):
        network.client.association.send(0, 53, bytes(1172), now=network.now)
    network.flush(network.client)
    flight = outbound.flight
    assert flight.next_tsn - flight.acknowledged - 1 == 8000
    gaps = [(number, number) for number in range(2, 8001, 2)]
    tell(network, network.client, sack_chunk(flight.acknowledged, 1 << 24, gaps, []))
    assert outbound.congestion.recovering


def test_tsns_far_ahead_are_dropped() -> None:
    network = established()
    for ahead in (65_536, 100_000, 2**31 - 2):
        tell(network, network.server, data_chunk(next_tsn(network.server) - 1 + ahead, FIRST | LAST, 0, 0, b"x"))
    assert not network.server.inbound._ahead
    tell(network, network.server, data_chunk(next_tsn(network.server) - 1 + 65_535, FIRST | LAST, 0, 1, b"x"))
    assert len(network.server.inbound._ahead) == 1
    assert not network.server.messages


@pytest.mark.parametrize("step", [1, 2, -1])
def test_tiny_fragments_that_never_end_are_bounded(step: int) -> None:
    """Without gaps, with a gap between any two, and in reverse."""
    network = established()
    server = network.server
    first = next_tsn(server) + 1
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        at = number * step if step > 0 else 20_000 - number
        part = packet(server.association._expects, [data_chunk(first + at, 0, 0, 0, b"x")])
        server.association.receive(part, network.now)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used < 3 * WINDOW
    check(server)
    tell(network, server, chunk(HEARTBEAT, 0, b""))
    assert server.inbound.window < 256


def test_messages_that_wait_for_one_that_never_comes_are_bounded() -> None:
    network = established()
    for number in range(2000):
        tell(network, network.server, data_chunk(next_tsn(network.server), FIRST | LAST, 0, number + 1, bytes(1000)))
        if network.server.closed:
            break
    assert network.server.closed == ["messages whose predecessors never came fill the window"]


@given(st.permutations(range(70)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_message_larger_than_was_agreed_is_not_kept_and_others_arrive(order: list[int], unordered: bool) -> None:
    """Stream 0 has one of 60 chunks of 1000 bytes and a small one after it, stream 1 three of three, in any order."""
    network = established()
    server, first, kind = network.server, next_tsn(network.server), UNORDERED if unordered else 0
    chunks = [(0, 0, number, 60, bytes(1000)) for number in range(60)]
    chunks += [(1, message, number, 3, bytes([message])) for message in range(3) for number in range(3)]
    chunks.append((0, 1, 0, 1, b"next"))
    for place in order:
        stream, sequence, number, count, data = chunks[place]
        flags = kind | (FIRST if number == 0 else 0) | (LAST if number == count - 1 else 0)
        tell(network, server, data_chunk(first + place, flags, stream, sequence, data))
    assert {each.stream for each in server.of(TooLarge)} == {0}
    assert sorted(server.messages) == [(0, 53, b"next"), *((1, 53, bytes([message] * 3)) for message in range(3))]
    assert server.inbound.window == WINDOW
    assert not server.closed


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_message_without_end_takes_no_memory(ahead: int) -> None:
    network = established()
    tsn = next_tsn(network.server) + ahead
    for number in range(3000):
        tell(network, network.server, data_chunk(tsn + number, 0 if number else FIRST, 0, 0, bytes(1000)))
    assert network.server.inbound.window >= WINDOW - 1000
    assert len(network.server.of(TooLarge)) == 1
    assert not network.server.closed


def test_data_without_data_ends_it() -> None:
    network = established()
    tell(network, network.server, data_chunk(next_tsn(network.server), FIRST | LAST, 0, 0, b""))
    assert network.server.closed == ["a DATA chunk without data"]


def test_who_goes_on_without_ending_a_message_loses_that_message_only() -> None:
    network = established()
    server, tsn = network.server, next_tsn(network.server)
    for number, (flags, data) in enumerate([(FIRST, b"a"), (0, b"b"), (FIRST | LAST, b"c"), (0, b"d"), (LAST, b"e")]):
        tell(network, server, data_chunk(tsn + number, flags | UNORDERED, 0, 0, data))
    tell(network, server, data_chunk(tsn + 5, FIRST | LAST, 0, 0, b"f"))
    assert [data for _, _, data in server.messages] == [b"c", b"f"]
    assert server.inbound.window == WINDOW


def test_a_forward_tsn_may_jump_over_everything() -> None:
    network = established()
    server, tsn = network.server, next_tsn(network.server)
    tell(network, server, data_chunk(tsn, FIRST, 0, 0, bytes(1000)), data_chunk(tsn + 5, LAST, 0, 0, bytes(1000)))
    tell(network, server, forward_tsn_chunk(tsn + 2**30, [(stream, 7) for stream in range(200)] * 5))
    assert server.inbound.tsn == tsn + 2**30
    assert server.inbound.window == WINDOW
    tell(network, server, forward_tsn_chunk(tsn, [(0, 60_000)]))
    tell(network, server, data_chunk(tsn + 2**30 + 1, FIRST | LAST, 0, 8, b"next"))
    assert server.messages == [(0, 53, b"next")]


def test_a_flood_of_questions_has_few_answers() -> None:
    network = established()
    association = network.server.association
    for number in range(1000):
        association.receive(packet(association._expects, [chunk(HEARTBEAT, 0, words(1, number))]), network.now)
        association.receive(packet(association._expects, [chunk(RE_CONFIG, 0, words(0x000D0010, number, 0, 0))]), network.now)
        association.receive(packet(association._expects, [chunk(0xC5, 0, bytes(60))]), network.now)
        association.receive(packet(association._expects[:4] + bytes(4), [chunk(1, 0, words(5, 9999, 0x10001, 7))]), network.now)
    assert sum(map(len, association.take_packets(network.now, 1000))) < 20_000


def test_unknown_chunks_are_treated_as_their_type_says() -> None:
    for kind, reported, goes_on in ((0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)):
        network = established()
        sent = tell(network, network.server, chunk(kind, 0, b"what"), chunk(HEARTBEAT, 0, b"hello"))
        assert bool(answers(sent, ERROR)) == reported
        assert answers(sent, HEARTBEAT_ACK) == [b"hello"] * goes_on


def test_repeated_data_is_told_at_once_and_delivered_once() -> None:
    network = established()
    tsn = next_tsn(network.server)
    tell(network, network.server, data_chunk(tsn, FIRST | LAST | AT_ONCE, 0, 0, b"x"))
    sent = tell(network, network.server, data_chunk(tsn, FIRST | LAST, 0, 0, b"x"))
    (sack,) = answers(sent, SACK)
    assert parse_sack(sack)[0] == tsn & 0xFFFFFFFF
    assert sack[12:] == words(tsn)
    assert network.server.messages == [(0, 53, b"x")]
