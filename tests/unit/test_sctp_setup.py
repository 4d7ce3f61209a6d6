"""How SCTP associations begin and end, whatever is lost, repeated or made up on the way (test process)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.chunks import (
    ABORT,
    CHECKSUM,
    COOKIE_ACK,
    COOKIE_ECHO,
    ERROR,
    INIT,
    INIT_ACK,
    SHUTDOWN_COMPLETE,
    chunk,
    chunks_of,
    packet,
)
from forge_rtc_nb.engine.datachannel.events import Closed, Established, Restarted
from forge_rtc_nb.engine.datachannel.lifecycle import State
from tests.unit.sctp_network import DELAY, End, Fate, Network, arrives, random_path, seeded


def kinds(packets: Iterable[bytes]) -> list[int]:
    return [kind for each in packets for kind, _, _ in chunks_of(each)]


def loses(kind: int, times: int) -> Fate:
    """A path that loses the first packets with such a chunk."""
    left = [times]

    def fate(data: bytes) -> Iterable[float]:
        if kind in kinds([data]) and left[0]:
            left[0] -= 1
            return ()
        return (DELAY,)

    return fate


def both(network: Network) -> tuple[End, End]:
    return network.client, network.server


def exchange(network: Network) -> None:
    """Messages go both ways."""
    for end in both(network):
        end.association.send(1, 51, b"here", now=network.now)
    network.run(lambda: all(end.messages for end in both(network)))
    assert [end.messages for end in both(network)] == [[(1, 51, b"here")]] * 2


def test_four_packets_establish_it() -> None:
    network = Network().establish()
    assert kinds(network.client.sent + network.server.sent) == [INIT, COOKIE_ECHO, INIT_ACK, COOKIE_ACK]
    assert [end.events for end in both(network)] == [[Established()], [Established()]]
    exchange(network)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("kind", [INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK])
def test_what_is_lost_on_the_way_is_sent_again(kind: int, times: int) -> None:
    network = Network()
    for end in both(network):
        end.fate = loses(kind, times)
    network.establish()
    exchange(network)


@pytest.mark.parametrize("delays", [(0.0, 0.0), (0.0, 0.004), (0.0, DELAY), (0.0, 0.03)])
def test_inits_of_both_sides_become_one_association(delays: tuple[float, float]) -> None:
    network = Network()
    network.client.association.connect(network.now)
    network.run(seconds=delays[1])
    network.server.association.connect(network.now)
    network.run(lambda: all(end.events for end in both(network)))
    network.run(seconds=5)
    assert [end.events for end in both(network)] == [[Established()], [Established()]]
    exchange(network)


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_bad_path_only_delays_it(seed: int, both_begin: bool) -> None:
    network = Network()
    network.client.fate = random_path(seed, 0.3, 0.3, 0.1)
    network.server.fate = random_path(seed + 1, 0.3, 0.3, 0.1)
    network.client.association.connect(network.now)
    if both_begin:
        network.server.association.connect(network.now)
    network.run(lambda: all(end.events for end in both(network)))
    if not any(end.closed for end in both(network)):
        network.client.fate = network.server.fate = arrives
        exchange(network)
        assert [len(end.of(Established)) for end in both(network)] == [1, 1]


def test_nobody_there_ends_it_after_nine_inits() -> None:
    network = Network()
    network.client.fate = lambda packet: ()
    network.client.association.connect(network.now)
    network.run()
    assert kinds(network.client.sent) == [INIT] * 9
    assert network.client.events == [Closed("the peer does not answer")]
    assert network.client.association.deadline is None


def test_a_cookie_that_we_have_not_made_is_ignored() -> None:
    network = Network()
    network.client.association.connect(network.now)
    network.run(lambda: network.client.association.state is State.COOKIE_ECHOED)
    echo = (
        network.client.association.take_packets(network.now, 10)[0] if not network.client.sent[1:] else network.client.sent[-1]
    )
    value = next(value for kind, _, value in chunks_of(echo) if kind == COOKIE_ECHO)
    for at in range(0, len(value), 7):
        forged = bytearray(value)
        forged[at] ^= 1
        network.server.association.receive(packet(echo[:8], [chunk(COOKIE_ECHO, 0, bytes(forged))]), network.now)
    assert network.server.association.state is State.CLOSED
    network.run(lambda: bool(network.server.events))
    exchange(network)


def test_a_cookie_that_is_too_old_is_refused_and_a_new_one_asked_for() -> None:
    network = Network()

    def late(data: bytes) -> Iterable[float]:
        return (70.0,) if COOKIE_ECHO in kinds([data]) and kinds(network.client.sent).count(COOKIE_ECHO) <= 7 else (DELAY,)

    network.client.fate = late
    network.establish()
    assert ERROR in kinds(network.server.sent)
    exchange(network)


def test_a_repeated_cookie_is_answered_again_and_changes_nothing() -> None:
    network = Network().establish()
    exchange(network)
    echo = next(each for each in network.client.sent if COOKIE_ECHO in kinds([each]))
    before = len(network.server.sent)
    network.carry(network.client, echo)
    network.run(seconds=1)
    assert COOKIE_ACK in kinds(network.server.sent[before:])
    assert network.server.of(Established) == [Established()]
    exchange_again(network)


def exchange_again(network: Network) -> None:
    for end in both(network):
        end.association.send(1, 51, b"again", now=network.now)
    network.run(lambda: all((1, 51, b"again") in end.messages for end in both(network)))
    assert all(end.messages[-1] == (1, 51, b"again") for end in both(network))


def test_a_peer_that_begins_anew_restarts_it() -> None:
    network = Network().establish()
    exchange(network)
    network.server.association.send(1, 51, b"lost", now=network.now)
    network.client = End(Association(random=seeded(3)))
    network.client.association.connect(network.now)
    network.run(lambda: bool(network.client.events and network.server.of(Restarted)))
    assert network.server.of(Restarted) == [Restarted()]
    exchange_again(network)
    assert (1, 51, b"lost") not in network.client.messages


def test_an_init_alone_does_not_disturb_an_association() -> None:
    network = Network().establish()
    stranger = Association(random=seeded(9))
    stranger.connect(network.now)
    for init in stranger.take_packets(network.now, 10):
        network.server.association.receive(init, network.now)
    exchange(network)
    assert not network.server.of(Restarted)


def test_packets_with_another_tag_ports_or_checksum_are_ignored() -> None:
    network = Network().establish()
    network.client.fate = lambda packet: ()
    network.client.association.send(1, 51, b"x" * 100, now=network.now)
    network.flush(network.client)
    good = network.client.sent[-1]
    abort = packet(good[:8], [chunk(ABORT)])
    server = network.server.association
    for data in (good, abort):
        for at in range(8):
            changed = bytearray(data[:8])
            changed[at] ^= 1
            server.receive(packet(bytes(changed), [data[12:]]), network.now)
        for checksum in (b"\0\0\0\0", CHECKSUM.pack(1), bytes(reversed(data[8:12]))):
            server.receive(data[:8] + checksum + data[12:], network.now)
        server.receive(data[:-1] + bytes([data[-1] ^ 1]), network.now)
    network.flush(network.server)
    assert network.server.events == [Established()]
    assert server.state is State.ESTABLISHED
    server.receive(bytearray(good), network.now)
    network.flush(network.server)
    assert network.server.messages == [(1, 51, b"x" * 100)]


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_close_waits_for_all_that_was_sent(loss: float, at_once: bool) -> None:
    network = Network().establish()
    network.client.fate, network.server.fate = random_path(4, loss), random_path(5, loss)
    network.client.association.send(1, 51, bytes(100_000), now=network.now)
    network.client.association.close(network.now)
    if at_once:
        network.server.association.close(network.now)
    network.run(lambda: all(end.closed for end in both(network)))
    assert network.server.messages == [(1, 51, bytes(100_000))]
    assert network.client.closed == network.server.closed == [None]
    with pytest.raises(ConnectionError):
        network.client.association.send(1, 51, b"x", now=network.now)


def test_an_abort_ends_both_sides_and_says_why() -> None:
    network = Network().establish()
    network.client.association.abort("enough")
    network.run(lambda: bool(network.server.closed))
    assert network.client.closed == ["enough"]
    assert network.server.closed == ["the peer has aborted: enough"]
    assert network.server.association.deadline is network.client.association.deadline is None


def test_only_a_reflected_tag_ends_it_without_ours() -> None:
    network = Network().establish()
    client = network.client.association
    assert client._block is not None
    toward_us = client._expects
    peers = toward_us[:4] + client._block.packer.header[4:8]
    client.receive(packet(peers, [chunk(ABORT)]), network.now)
    client.receive(packet(peers, [chunk(SHUTDOWN_COMPLETE, 1)]), network.now)
    assert client.events == deque()
    client.receive(packet(peers, [chunk(ABORT, 1)]), network.now)
    assert client.events == deque([Closed("the peer has aborted")])


def test_messages_may_wait_for_the_association() -> None:
    network = Network()
    network.client.association.send(3, 51, bytes(5000), now=network.now)
    assert network.client.association.buffered(3) == 5000
    network.establish()
    network.run(lambda: bool(network.server.messages))
    assert network.server.messages == [(3, 51, bytes(5000))]
    assert network.client.association.buffered(3) == 0
