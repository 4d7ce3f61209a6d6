"""What goes into an SCTP association comes out of the other one, whatever the path does to its packets (test process)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.events import PeerReset, ResetDone
from forge_rtc_nb.engine.datachannel.setup import UNKNOWN, Capacity
from tests.unit.sctp_network import DELAY, End, Network, random_path

SIZES = [1, 2, 3, 4, 100, 1171, 1172, 1173, 2344, 5000, 65_536, 262_144]

PATHS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "loss": st.sampled_from([0.0, 0.01, 0.1, 0.25]),
        "duplicates": st.sampled_from([0.0, 0.1]),
        "jitter": st.sampled_from([0.0, 0.002, 0.03]),
    }
)
RELIABLE: dict[str, Any] = {}
UNORDERED: dict[str, Any] = {"ordered": False}
KINDS = [RELIABLE, UNORDERED, {"max_retransmits": 0}, {"max_retransmits": 2, "ordered": False}, {"max_lifetime": 0.05}]
"""Of the messages on streams 0 to 4."""

OURS = Capacity(16_352, unchecked=True)
"""Both ends are ours: as `UNKNOWN` they might be anybody's."""
STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, len(KINDS) - 1), st.sampled_from(SIZES), st.sampled_from([0.0, 0.0, 0.005, 0.1])),
    min_size=1,
    max_size=40,
)
"""Who sends, on which stream, how much, and what time passes then."""


def send_all(network: Network, steps: list[tuple[bool, int, int, float]]) -> tuple[list[Any], list[Any]]:
    """What either side has sent, (stream, PPID, data)."""
    random, sent = Random(1), ([], [])  # type: ignore[var-annotated]
    for number, (by_client, stream, size, pause) in enumerate(steps):
        end = network.client if by_client else network.server
        data = (number.to_bytes(4, "big") + random.randbytes(size))[-size:]
        end.association.send(stream, number, data, now=network.now, **KINDS[stream])
        sent[by_client].append((stream, number, data))
        network.run(seconds=pause)
    return sent[True], sent[False]


def check_received(sent: list[Any], received: list[Any]) -> None:
    """Each at most once; those on reliable streams all, those on ordered streams in order."""
    assert Counter(received) <= Counter(sent)
    for stream in (0, 1):
        assert Counter(each for each in received if each[0] == stream) == Counter(each for each in sent if each[0] == stream)
    for stream in (0, 2, 4):
        numbers = [number for each, number, _ in received if each == stream]
        assert numbers == sorted(numbers)


def check_nothing_is_left(network: Network) -> None:
    """Both ends hold nothing of what was sent."""
    for end in (network.client, network.server):
        assert end.outbound.idle
        assert end.outbound.flight.size == 0
        assert end.inbound.window == end.inbound._window
        assert not end.inbound._ahead


@given(PATHS, PATHS, STEPS, st.sampled_from([576, 1200, 16_352]), st.sampled_from([1, 7, 64]), st.sampled_from([OURS, UNKNOWN]))
@settings(max_examples=80, deadline=None)
def test_everything_arrives_as_it_was_sent(
    there: Any, back: Any, steps: Any, packet_size: int, most: int, capacity: Capacity
) -> None:
    network = Network(most, packet_size=packet_size, capacity=capacity).establish()
    network.client.fate, network.server.fate = random_path(**there), random_path(**back)
    sent = send_all(network, steps)
    network.run(seconds=500)
    if not (network.client.closed or network.server.closed):  # ten time-outs in a row: that path carries nothing
        check_received(sent[0], network.server.messages)
        check_received(sent[1], network.client.messages)
        check_nothing_is_left(network)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("options", [{}, {"packet_size": 16_352}, {"packet_size": 16_352, "capacity": OURS}], ids=str)
def test_data_may_be_any_buffer(kind: Any, options: dict[str, Any]) -> None:
    network = Network(**options).establish()
    data = Random(1).randbytes(100_003)
    network.client.association.send(0, 53, kind(data), now=network.now)
    network.run(lambda: bool(network.server.messages))
    assert network.server.messages == [(0, 53, data)]
    assert type(network.server.messages[0][2]) is bytes


def test_what_cannot_be_sent_is_refused() -> None:
    network = Network().establish()
    for stream, data in ((-1, b"x"), (65_535, b"x"), (0, b"")):
        with pytest.raises(ValueError, match="stream|empty"):
            network.client.association.send(stream, 53, data, now=network.now)


def test_small_messages_share_packets() -> None:
    network = Network().establish()
    before = len(network.client.sent)
    for _ in range(100):
        network.client.association.send(0, 53, bytes(90), now=network.now)
    network.run(lambda: len(network.server.messages) == 100)
    assert len(network.client.sent) - before <= 12


def _has(end: End, messages: int) -> bool:
    return len(end.messages) == messages


def test_an_answer_takes_the_acknowledgement_along() -> None:
    network = Network().establish()
    ends = (network.client, network.server)
    network.run(seconds=1.0)
    before = [len(end.sent) for end in ends]
    for number in range(20):
        for end in ends:
            end.association.send(0, 53, b"x", now=network.now)
            network.run(partial(_has, network.other(end), number + 1))
    assert [len(end.sent) for end in ends] == [count + 20 for count in before]


def test_a_large_message_goes_out_in_packets_of_equal_size() -> None:
    network = Network().establish()
    before = len(network.client.sent)
    network.client.association.send(0, 53, bytes(65_536), now=network.now)
    network.run(lambda: bool(network.server.messages))
    sizes = Counter(len(each) for each in network.client.sent[before:])
    assert sizes.most_common(1)[0] == (1200, 55)


def test_streams_take_turns_by_bytes() -> None:
    network = Network().establish()
    sizes = {1: 10_000, 2: 40_000, 3: 160_000}
    for stream, size in sizes.items():
        for _ in range(1_600_000 // size):
            network.client.association.send(stream, 53, bytes(size), now=network.now)
    network.run(lambda: sum(len(data) for _, _, data in network.server.messages) >= 2_400_000)
    shares = Counter[int]()
    for stream, _, data in network.server.messages:
        shares[stream] += len(data)
    assert min(shares.values()) >= 0.75 * max(shares.values())


def test_a_gap_on_one_stream_does_not_hold_up_another() -> None:
    network = Network().establish()
    network.client.fate = lambda packet: ()
    network.client.association.send(0, 53, b"lost", now=network.now)
    network.flush(network.client)
    network.client.fate = lambda packet: (DELAY,)
    for stream in (0, 1, 1):
        network.client.association.send(stream, 53, b"there", now=network.now)
        network.flush(network.client)
    network.run(seconds=0.015)
    assert network.server.messages == [(1, 53, b"there")] * 2
    network.run(lambda: len(network.server.messages) == 4)
    assert network.server.messages[2:] == [(0, 53, b"lost"), (0, 53, b"there")]


def test_what_is_buffered_is_what_was_never_sent() -> None:
    network = Network().establish()
    network.client.association.send(2, 53, bytes(30_000), now=network.now)
    assert network.client.association.buffered(2) == 30_000
    network.run(lambda: network.client.association.buffered(2) < 25_000)
    assert network.client.association.buffered(2)
    network.run(lambda: not network.client.association.buffered(2))


def streams_of(events: list[Any]) -> Counter[int]:
    return Counter(stream for event in events for stream in event.streams)


@given(PATHS, PATHS, st.lists(st.sampled_from([1, 3000, 20_000]), max_size=5))
@settings(max_examples=40, deadline=None)
def test_streams_are_reset_after_their_data_and_begin_anew(there: Any, back: Any, sizes: list[int]) -> None:
    network = Network().establish()
    network.client.fate, network.server.fate = random_path(**there), random_path(**back)
    client, server = network.client, network.server
    for number in (1, 2):
        sent = [(stream, 53, bytes(size)) for size in sizes for stream in (4, 5)]
        for message in sent:
            client.association.send(*message, now=network.now)
        got = len(server.messages)
        client.association.reset([4, 5])
        network.run(lambda: streams_of(client.of(ResetDone)) == {4: number, 5: number})  # noqa: B023 - runs at once
        if client.closed or server.closed:
            return
        assert streams_of(server.of(PeerReset)) == {4: number, 5: number}
        assert Counter(server.messages[got:]) == Counter(sent)
        assert client.outbound.schedule.queue(4).sequence == 0
    assert all(event.performed for event in client.of(ResetDone))
