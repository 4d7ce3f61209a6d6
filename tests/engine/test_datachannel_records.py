"""DTLS records by OpenSSL itself: what goes in comes out, and nothing that anybody sends does harm (test process)."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from forge_rtc_nb.engine.aiortc_compat.dtls_records import MAX_PLAIN, RecordLayer
from forge_rtc_nb.engine.datachannel.udp import MAX_RUN, MAX_SEGMENTS
from tests.engine.secure_pair import as_read, carry, connect

SIZES = st.lists(st.sampled_from([1, 28, 1188, 1200]) | st.integers(1, MAX_PLAIN), max_size=150)


@pytest.fixture
def pair() -> tuple[RecordLayer, RecordLayer]:
    client, server = connect()
    return RecordLayer(client), RecordLayer(server)


def datagrams(layer: RecordLayer, packets: list[bytes]) -> list[bytes]:
    """Each as it goes over the network."""
    cut = []
    for run, segment in layer.encrypt(packets):
        cut += [bytes(run[start : start + segment]) for start in range(0, len(run), segment)]
    return cut


def take(layer: RecordLayer, received: Sequence[bytes | bytearray]) -> list[bytes]:
    return layer.decrypt(*as_read(received))


@pytest.mark.parametrize("size", [1, 12, 1200, 1500, 1501, MAX_PLAIN - 1, MAX_PLAIN])
def test_a_packet_of_any_size_a_record_holds_arrives_whole(pair: tuple[RecordLayer, RecordLayer], size: int) -> None:
    for near, far in (pair, pair[::-1]):
        packet = os.urandom(size)
        assert take(far, datagrams(near, [packet])) == [packet]


def test_a_packet_larger_than_a_record_is_refused_and_others_still_go(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    with pytest.raises(ValueError, match="16385 bytes does not fit into a DTLS record"):
        list(near.encrypt([bytes(MAX_PLAIN + 1)]))
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


@settings(deadline=None, max_examples=40)
@given(SIZES)
def test_packets_come_out_as_they_went_in_one_a_datagram(sizes: list[int]) -> None:
    near, far = (RecordLayer(end) for end in connect())
    packets = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    sent = datagrams(near, packets)
    assert len(sent) == len(packets)
    assert take(far, sent) == packets


@settings(deadline=None, max_examples=40)
@given(SIZES)
def test_runs_are_what_one_system_call_takes(sizes: list[int]) -> None:
    near, _ = (RecordLayer(end) for end in connect())
    for run, segment in near.encrypt([bytes(size) for size in sizes]):
        assert 0 < segment <= len(run) <= max(MAX_RUN, segment)
        assert -(-len(run) // segment) <= MAX_SEGMENTS


def test_equal_packets_are_one_run_and_a_smaller_one_may_end_it(pair: tuple[RecordLayer, RecordLayer]) -> None:
    runs = [(len(run), segment) for run, segment in pair[0].encrypt([bytes(1000)] * 10 + [bytes(10)] + [bytes(1000)] * 2)]
    assert len(runs) == 2
    assert runs[1] == (2 * runs[0][1], runs[0][1])


def test_many_records_in_one_datagram_are_all_read(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    packets = [b"a", bytes(500), b"c"]
    assert take(far, [b"".join(datagrams(near, packets)), *datagrams(near, [b"d"])]) == [*packets, b"d"]


def test_what_comes_twice_is_one_packet(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    first, second = datagrams(near, [b"first", b"second"])
    assert take(far, [second, first, second, first]) == [b"second", b"first"]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_garbage_between_records_is_nothing(data: st.DataObject) -> None:
    near, far = (RecordLayer(end) for end in connect())
    sound = datagrams(near, [b"one", b"two", bytes(1200)])
    forged = bytearray(sound[2])
    place = data.draw(st.integers(0, len(forged) - 1))
    forged[place] ^= data.draw(st.integers(1, 255))
    cut = sound[2][: data.draw(st.integers(1, len(sound[2]) - 1))]
    garbage = bytes([data.draw(st.integers(20, 63))]) + data.draw(st.binary(max_size=200))
    assert take(far, [sound[0], bytes(forged), cut, garbage, sound[1], sound[2]]) == [b"one", b"two", bytes(1200)]
    assert not far.closed
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 40), st.sampled_from([13, 40, 1188, 9000]), st.booleans(), st.data())
def test_what_is_forged_in_a_run_costs_no_other_packet(count: int, size: int, ends: bool, data: st.DataObject) -> None:
    near, far = (RecordLayer(end) for end in connect())
    packets = [random.Random(number).randbytes(size) for number in range(count)] + [b"the end"] * ends
    sent = [bytearray(datagram) for datagram in datagrams(near, packets)]
    forged = data.draw(st.dictionaries(st.integers(0, len(sent) - 1), st.tuples(st.integers(0, 19), st.integers(1, 255))))
    for number, (place, change) in forged.items():
        sent[number][place] ^= change
    assert take(far, sent) == [packet for number, packet in enumerate(packets) if number not in forged]
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=60))
def test_in_a_run_too_what_comes_twice_is_one_packet(order: list[int]) -> None:
    near, far = (RecordLayer(end) for end in connect())
    packets = [bytes([number]) * 500 for number in range(20)]
    sent = datagrams(near, packets)
    assert take(far, [sent[number] for number in order]) == [packets[number] for number in dict.fromkeys(order)]


def test_many_records_in_the_datagram_that_ends_a_run_are_all_read(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    packets = [bytes(500)] * 3 + [b"a", b"b"]
    sent = datagrams(near, packets)
    assert take(far, [*sent[:3], b"".join(sent[3:])]) == packets
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


def test_only_what_is_not_data_may_be_answered(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    far.pending()
    assert take(far, datagrams(near, [b"one", b"two"])) == [b"one", b"two"]
    assert not far.may_answer
    assert take(far, [b"\x16\xfe\xfd" + bytes(30)]) == []
    assert far.may_answer


def test_a_forged_alert_closes_nothing(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    for epoch in (0, 1):
        for alert in (b"\x01\x00", b"\x02\x28"):  # close_notify, handshake_failure
            header = b"\x15\xfe\xfd" + epoch.to_bytes(2, "big") + bytes(5) + b"\x7f" + len(alert).to_bytes(2, "big")
            assert take(far, [header + alert]) == []
    assert not far.closed
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


def test_a_datagram_larger_than_any_record_does_not_hide_the_next(pair: tuple[RecordLayer, RecordLayer]) -> None:
    near, far = pair
    huge = b"\x17" + os.urandom(60_000)
    assert take(far, [huge]) == []
    assert take(far, datagrams(near, [b"after"])) == [b"after"]


def test_the_other_end_closes_after_what_it_sent() -> None:
    client, server = connect()
    near, far = RecordLayer(client), RecordLayer(server)
    sent = datagrams(near, [b"last words"])
    client.shutdown()
    assert take(far, [*sent, near.pending()]) == [b"last words"]
    assert far.closed


def test_after_closing_nothing_can_be_sent() -> None:
    client, server = connect()
    near = RecordLayer(client)
    client.shutdown()
    carry(client, server)
    with pytest.raises(ConnectionError):
        list(near.encrypt([b"too late"]))


def test_what_openssl_wants_to_say_goes_in_front_and_alone() -> None:
    client, server = connect()
    near, far = RecordLayer(client), RecordLayer(server)
    client.send(b"by another way")
    runs = [(bytes(run), segment) for run, segment in near.encrypt([b"x" * 14, b"y" * 14])]
    assert [len(run) // segment for run, segment in runs] == [1, 2]
    assert take(far, [runs[0][0]]) == [b"by another way"]


def test_what_is_private_in_pyopenssl_is_where_it_was() -> None:
    client, _ = connect()
    privates: Any = client
    bindings: Any = SSL
    for name in ("_ssl", "_into_ssl", "_from_ssl"):
        assert "*" in repr(bindings._ffi.typeof(getattr(privates, name)))
    for name in ("BIO_read", "BIO_write", "SSL_read", "SSL_write", "SSL_get_error", "SSL_get_shutdown", "ERR_clear_error"):
        assert callable(getattr(bindings._lib, name))
    for name in ("SSL_ERROR_WANT_READ", "SSL_ERROR_ZERO_RETURN", "SSL_RECEIVED_SHUTDOWN"):
        assert isinstance(getattr(bindings._lib, name), int)
