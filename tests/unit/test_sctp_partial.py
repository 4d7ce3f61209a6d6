"""Messages that an SCTP association gives up, and streams that are reset: what exactly is said on the wire (test process)."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.chunks import (
    DATA,
    FIRST,
    FORWARD_TSN,
    LAST,
    MASK,
    RE_CONFIG,
    chunk,
    forward_tsn_chunk,
    parameter,
    parameters_of,
    parse_forward_tsn,
    sack_chunk,
    words,
)
from forge_rtc_nb.engine.datachannel.delivery import HELD, Delivery
from forge_rtc_nb.engine.datachannel.events import Event, Message, PeerReset, ResetDone
from forge_rtc_nb.engine.datachannel.reset import (
    BAD_SEQUENCE,
    DENIED,
    IN_PROGRESS,
    INCOMING_RESET,
    OUTGOING_RESET,
    PERFORMED,
    RESPONSE,
)
from tests.unit.sctp_network import DELAY, End, Network, answers, arrives, data_chunk, tell


def silent() -> Network:
    """Nothing that the client sends arrives."""
    network = Network().establish()
    network.client.outbound.congestion.round_trip.shortest = 1e-6
    network.client.fate = lambda data: ()
    return network


def first_tsn(end: End) -> int:
    return end.association._life.identity.tsn


def wait_for_t3(network: Network) -> list[bytes]:
    """What the client sends then."""
    before, failures = len(network.client.sent), network.client.outbound.failures
    network.run(lambda: network.client.outbound.failures > failures, seconds=10)
    return network.client.sent[before:]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_message_is_sent_again_so_often_and_then_given_up(limit: int) -> None:
    network = silent()
    network.client.association.send(3, 53, b"lossy", max_retransmits=limit, now=network.now)
    network.flush(network.client)
    for _ in range(limit):
        sent = wait_for_t3(network)
        assert answers(sent, DATA)
        assert not answers(sent, FORWARD_TSN)
    sent = wait_for_t3(network)
    assert not answers(sent, DATA)
    assert parse_forward_tsn(answers(sent, FORWARD_TSN)[0]) == (first_tsn(network.client), [(3, 0)])
    network.client.fate = lambda data: (DELAY,)
    network.client.association.send(3, 53, b"next", now=network.now)
    network.run(lambda: bool(network.server.messages))
    assert network.server.messages == [(3, 53, b"next")]


def test_a_message_whose_time_is_over_before_it_was_sent_costs_no_tsn() -> None:
    network = silent()
    network.client.association.send(0, 53, bytes(100_000), now=network.now)
    network.client.association.send(1, 53, bytes(5000), max_lifetime=0.01, now=network.now)
    network.client.association.send(1, 53, b"next", now=network.now)
    network.run(seconds=0.05)
    network.client.fate = lambda data: (DELAY,)
    network.run(lambda: len(network.server.messages) == 2)
    assert network.server.messages == [(0, 53, bytes(100_000)), (1, 53, b"next")]
    assert network.client.association.buffered(1) == 0
    assert not answers(network.client.sent, FORWARD_TSN)


def test_a_message_given_up_half_sent_ends_with_a_tsn_that_never_goes_out() -> None:
    network = silent()
    client, first = network.client, first_tsn(network.client)
    client.association.send(2, 53, bytes(100_000), max_lifetime=0.1, now=network.now)
    network.flush(client)
    count = len(answers(client.sent, DATA))
    tell(network, client, sack_chunk(first + count - 1, 0, [], []))
    network.now += 0.2
    sent = tell(network, client, sack_chunk(first + count, 1 << 20, [], []))
    assert parse_forward_tsn(answers(sent, FORWARD_TSN)[0]) == ((first + count + 1) & MASK, [(2, 0)])
    assert client.association.buffered(2) == 0
    tell(network, client, sack_chunk(first + count + 1, 1 << 20, [], []))
    assert client.outbound.idle


def test_without_forward_tsn_at_the_peer_everything_is_reliable() -> None:
    network = silent()
    network.client.outbound.forwards = False
    network.client.association.send(3, 53, b"lossy", max_retransmits=0, max_lifetime=0.01, now=network.now)
    network.flush(network.client)
    assert answers(wait_for_t3(network), DATA)
    assert answers(wait_for_t3(network), DATA)


def test_a_forward_tsn_delivers_what_waited_for_what_will_not_come() -> None:
    network = Network().establish()
    server = network.server
    tsn = server.inbound.tsn + 1
    for number in (1, 2, 5):
        tell(network, server, data_chunk(tsn + number, FIRST | LAST, 4, number, bytes([number])))
    tell(network, server, data_chunk(tsn + 4, LAST, 4, 4, b"tail"))
    assert not server.messages
    tell(network, server, forward_tsn_chunk(tsn, [(4, 0)]))
    assert server.messages == [(4, 53, b"\1"), (4, 53, b"\2")]
    tell(network, server, forward_tsn_chunk(tsn + 4, [(4, 4)]))
    assert server.messages[2:] == [(4, 53, b"\5")]
    assert server.inbound.tsn == tsn + 5
    assert server.inbound.window == server.inbound._window


def request(network: Network, number: int, last: int, *streams: int) -> list[tuple[int, bytes]]:
    """The peer asks the server to take a reset of its streams; returns what it is answered."""
    end = network.server
    sequence = first_tsn(network.client) + number
    body = words(sequence, 0, end.inbound.tsn + last) + b"".join(stream.to_bytes(2, "big") for stream in streams)
    sent = tell(network, end, chunk(RE_CONFIG, 0, parameter(OUTGOING_RESET, body)))
    return [each for value in answers(sent, RE_CONFIG) for each in parameters_of(value)]


def answered(network: Network, number: int, result: int) -> list[tuple[int, bytes]]:
    return [(RESPONSE, words(first_tsn(network.client) + number, result))]


def test_a_reset_waits_for_the_data_before_it() -> None:
    network = Network().establish()
    server = network.server
    tsn = server.inbound.tsn + 1
    assert request(network, 0, 1, 7) == []
    assert request(network, 0, 1, 7) == answered(network, 0, IN_PROGRESS)
    assert not server.of(PeerReset)
    sent = tell(network, server, data_chunk(tsn, FIRST | LAST, 7, 0, b"last"))
    assert [each for value in answers(sent, RE_CONFIG) for each in parameters_of(value)] == answered(network, 0, PERFORMED)
    assert server.events[-2:] == [Message(7, 53, b"last"), PeerReset((7,))]
    assert server.messages == [(7, 53, b"last")]
    assert request(network, 1, 0, 7) == answered(network, 1, PERFORMED), "who heard in progress asks under a new number"
    assert server.of(PeerReset) == [PeerReset((7,))]
    tell(network, server, data_chunk(tsn + 1, FIRST | LAST, 7, 0, b"first"))
    assert server.messages[1:] == [(7, 53, b"first")]


def test_a_request_is_carried_out_once_and_answered_each_time() -> None:
    network = Network().establish()
    for _ in range(3):
        assert request(network, 0, 0, 1, 2) == answered(network, 0, PERFORMED)
    assert request(network, 1, 0, 1, 2) == answered(network, 1, PERFORMED)
    assert request(network, 5, 0, 1, 2) == answered(network, 5, BAD_SEQUENCE)
    assert network.server.of(PeerReset) == [PeerReset((1, 2))] * 2


def test_a_request_to_reset_our_streams_is_refused() -> None:
    network = Network().establish()
    sequence = first_tsn(network.client)
    sent = tell(network, network.server, chunk(RE_CONFIG, 0, parameter(INCOMING_RESET, words(sequence, 0))))
    assert parameters_of(answers(sent, RE_CONFIG)[0]) == answered(network, 0, DENIED)


def test_a_stream_is_held_while_its_reset_is_under_way_and_goes_on_if_that_is_refused() -> None:
    network = silent()
    client = network.client
    client.association.send(9, 53, b"old", now=network.now)
    client.association.reset([9])
    network.flush(client)
    (asked,) = answers(client.sent, RE_CONFIG)
    sequence = int.from_bytes(asked[4:8], "big")
    client.association.send(9, 53, b"new", now=network.now)
    network.flush(client)
    assert client.association.buffered(9) == 3
    tell(network, client, chunk(RE_CONFIG, 0, parameter(RESPONSE, words(sequence + 1, PERFORMED))))
    assert not client.of(ResetDone)
    sent = tell(network, client, chunk(RE_CONFIG, 0, parameter(RESPONSE, words(sequence, DENIED))))
    assert client.of(ResetDone) == [ResetDone((9,), False)]
    assert answers(sent, DATA)[0][6:8] == b"\0\1", "the sequence goes on"


def test_a_reset_in_progress_is_asked_for_again_under_a_new_number() -> None:
    network = silent()
    client = network.client
    client.association.reset([9])
    network.flush(client)
    (asked,) = answers(client.sent, RE_CONFIG)
    sequence = int.from_bytes(asked[4:8], "big")
    tell(network, client, chunk(RE_CONFIG, 0, parameter(RESPONSE, words(sequence, IN_PROGRESS))))
    network.run(lambda: len(answers(client.sent, RE_CONFIG)) == 2, seconds=5)
    again = answers(client.sent, RE_CONFIG)[1]
    assert int.from_bytes(again[4:8], "big") == sequence + 1
    assert again[12:] == asked[12:]
    tell(network, client, chunk(RE_CONFIG, 0, parameter(RESPONSE, words(sequence + 1, PERFORMED))))
    assert client.of(ResetDone) == [ResetDone((9,), True)]
    assert client.association.deadline is None


@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 60)), st.lists(st.integers(0, 60), max_size=4))
@settings(deadline=None)
def test_what_waited_is_delivered_in_order_however_many_are_skipped(first: int, waiting: set[int], skips: list[int]) -> None:
    events: deque[Event] = deque()
    delivery = Delivery(events)
    delivery.next[1] = first
    for number in waiting:
        delivery.deliver(Message(1, 53, bytes([number])), (first + number) & 0xFFFF)
    for number in skips:
        delivery.skip(1, (first + number) & 0xFFFF)
    reached = max(skips, default=-1) + 1
    while skips and reached in waiting:
        reached += 1
    delivered = [number for number in sorted(waiting) if number < reached]
    assert list(events) == [Message(1, 53, bytes([number])) for number in delivered]
    assert delivery.held == sum(HELD + 1 for number in waiting if number not in delivered)


def test_of_many_messages_that_are_lost_at_once_each_is_given_up_or_sent_again() -> None:
    network = silent()
    network.client.outbound.congestion.window = 1 << 20
    for number in range(300):
        limit = None if number % 3 else 0
        network.client.association.send(
            1, 53, bytes([number % 256]) * 300, max_retransmits=limit, ordered=False, now=network.now
        )
    network.flush(network.client)
    network.client.fate = arrives
    network.run(lambda: network.client.outbound.idle, seconds=60)
    assert len(network.server.messages) >= 200
    assert {data[0] for _, _, data in network.server.messages} >= {number % 256 for number in range(300) if number % 3}
    assert network.server.inbound.window == network.server.inbound._window
