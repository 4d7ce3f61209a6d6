"""Packets without a checksum, where both ends know that DTLS finds what is broken: RFC 9653 (test process)."""

from __future__ import annotations

from random import Random

import pytest

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.chunks import (
    COMMON_HEADER,
    COOKIE_ECHO,
    INIT,
    INIT_ACK,
    NO_CHECKSUM,
    ZERO_CHECKSUM_ACCEPTABLE,
    Init,
    checksum_is_right,
    chunk,
    packet,
    packet_header,
)
from forge_rtc_nb.engine.datachannel.events import Message
from forge_rtc_nb.engine.datachannel.setup import Capacity
from tests.unit.sctp_network import Network

UNCHECKED = Capacity(unchecked=True)
BEGINNING = (INIT, INIT_ACK, COOKIE_ECHO)


def kind(data: bytes) -> int:
    return data[COMMON_HEADER]


def exchange(network: Network) -> None:
    for end in (network.client, network.server):
        end.association.send(1, 51, bytes(50_000), now=network.now)
        end.association.send(1, 51, b"short", now=network.now)
    network.run(lambda: len(network.client.messages) == len(network.server.messages) == 2)


def test_between_two_that_know_it_only_the_beginning_has_checksums() -> None:
    network = Network(capacity=UNCHECKED).establish()
    exchange(network)
    sent = network.client.sent + network.server.sent
    assert {kind(each) for each in sent if each[8:12] != NO_CHECKSUM} == set(BEGINNING)
    assert len([each for each in sent if each[8:12] == NO_CHECKSUM]) > 80
    assert all(checksum_is_right(each, unchecked=False) for each in sent if kind(each) in BEGINNING)


@pytest.mark.parametrize("who_knows", ["client", "server"])
def test_who_has_not_said_so_gets_checksums_and_may_leave_none_out(who_knows: str) -> None:
    network = Network()
    knows = getattr(network, who_knows)
    knows.association = Association(capacity=UNCHECKED, random=Random(3).randbytes)
    network.establish()
    exchange(network)
    assert all(checksum_is_right(each, unchecked=False) for each in knows.sent)
    assert any(each[8:12] == NO_CHECKSUM for each in network.other(knows).sent)


def test_another_method_than_dtls_is_none_that_we_know() -> None:
    init = Init(1, 2, 3, 4, 5, ((ZERO_CHECKSUM_ACCEPTABLE, b"\0\0\0\2"),))
    assert not Capacity.of(init).unchecked
    assert Capacity.of(Init(1, 2, 3, 4, 5, UNCHECKED.parameters())) == UNCHECKED


@pytest.mark.parametrize("begins", [INIT, COOKIE_ECHO])
def test_nothing_begins_without_a_checksum(begins: int) -> None:
    with_checksum = packet(packet_header(5000, 5000, 7), [chunk(begins, 0, bytes(16))])
    without = with_checksum[:8] + NO_CHECKSUM + with_checksum[COMMON_HEADER:]
    assert checksum_is_right(with_checksum, unchecked=True)
    assert not checksum_is_right(without, unchecked=True)


def test_a_checksum_that_is_wrong_is_wrong_though_none_would_do() -> None:
    network = Network(capacity=UNCHECKED).establish()
    network.client.fate = lambda data: ()
    network.client.association.send(1, 51, b"message", now=network.now)
    network.flush(network.client)
    sent, association = network.client.sent[-1], network.server.association
    association.receive(sent[:8] + b"\1\2\3\4" + sent[COMMON_HEADER:], network.now)
    assert not association.events
    association.receive(sent, network.now)
    assert [type(each) for each in association.events] == [Message]
