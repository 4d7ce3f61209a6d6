"""A UDP socket many datagrams a call: what the system does with them, and what it refuses (test process)."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any

import pytest

from forge_rtc_nb.engine.datachannel.udp import (
    HALF,
    MAX_SEGMENTS,
    PMTUDISC_DONT,
    PMTUDISC_PROBE,
    PMTUDISC_WANT,
    SOL_UDP,
    UDP_GRO,
    apart,
)
from tests.engine.udp_sockets import Refusing, arrivals, cut, two

LINUX = sys.platform == "linux"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("offload", [True, False], ids=["groups", "one by one"])
@pytest.mark.parametrize(
    ("size", "segment"), [(1, 1), (1237, 1237), (60 * 1237, 1237), (50 * 1237 + 5, 1237), (48_000, 16_000)]
)
def test_a_run_arrives_as_the_datagrams_it_is_made_of(
    family: socket.AddressFamily, offload: bool, size: int, segment: int
) -> None:
    with two(family) as (near, far, address):
        if not offload:
            near.offload_below = 0
        data = os.urandom(size)
        assert near.send_run(memoryview(data), segment, address) == size
        assert arrivals(far) == cut(data, segment)


def test_a_run_longer_than_one_call_takes_goes_in_several() -> None:
    with two() as (near, far, address):
        data = os.urandom(100 * (MAX_SEGMENTS + 10))
        assert near.send_run(memoryview(data), 100, address) == len(data)
        assert arrivals(far) == cut(data, 100)


@pytest.mark.skipif(not LINUX, reason="groups are Linux's")
def test_groups_need_fewer_calls() -> None:
    with two() as (near, far, address):
        near.send_run(memoryview(bytes(40 * 1200)), 1200, address)
        assert far._read(0) == (40 * 1200, 1200, near.sock.getsockname())
        assert far.sock.getsockopt(SOL_UDP, UDP_GRO) == 1


def test_what_is_read_in_a_row_is_one_run_as_long_as_it_has_one_size() -> None:
    with two() as (near, far, address):
        near.offload_below = 0
        for size in (400, 400, 400, 300, 400, 400):
            near.send_run(memoryview(bytes(size)), size, address)
        found = far.receive()
        assert found is not None
        assert found[0] == [(0, 1200, 400), (1200, 1500, 300), (1500, 2300, 400)]


def test_datagrams_of_two_senders_are_told_apart() -> None:
    with two() as (near, far, address), two() as (other, _, _):
        senders = (near, near, other, near, other, other)
        for number, sender in enumerate(senders):
            sender.send_run(memoryview(bytes([number]) * 1000), 400, address)
        found = []
        while (got := far.receive()) is not None:
            found.append((b"".join(far.buffer[start:end] for start, end in apart(got[0])), got[1]))
        expected = [
            (b"".join(bytes([number]) * 1000 for number in numbers), sender.sock.getsockname())
            for numbers, sender in (((0, 1), near), ((2,), other), ((3,), near), ((4, 5), other))
        ]
        assert found == expected


def test_what_does_not_fit_into_the_buffer_is_read_next() -> None:
    with two() as (near, far, address):
        sent = [os.urandom(size) for size in (60_000, 60_000, 5_000, 65_507, 1)]
        for data in sent:
            near.send_run(memoryview(data), len(data), address)
        found = far.receive()
        assert found is not None
        assert HALF < found[0][-1][1] < len(far.buffer)
        assert not far.drained
        assert [bytes(far.buffer[start:end]) for start, end in apart(found[0])] + arrivals(far) == sent
        assert far.drained


@pytest.mark.skipif(not LINUX, reason="groups are Linux's")
def test_where_the_kernel_refuses_groups_each_datagram_goes_alone() -> None:
    with two() as (near, far, address):
        near.sock.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK: no checksums, and so no UDP_SEGMENT
        data = os.urandom(10 * 1200)
        for _ in range(2):
            assert near.send_run(memoryview(data), 1200, address) == len(data)
            assert arrivals(far) == cut(data, 1200)
        assert near.offload_below == 0


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.EMSGSIZE], ids=errno.errorcode.get)
def test_a_refused_group_is_not_lost_and_not_tried_again(error: int) -> None:
    with two() as (near, far, address):
        privates: Any = near
        near.offload_below = 65536
        privates._sock = refusing = Refusing(near.sock, groups=error)
        data = os.urandom(5 * 1200)
        for _ in range(2):
            assert near.send_run(memoryview(data), 1200, address) == len(data)
            assert arrivals(far) == cut(data, 1200)
        assert refusing.calls == ["sendmsg", *["sendto"] * 10]
        privates._sock = refusing._sock


def test_too_large_a_group_does_not_speak_against_smaller_ones() -> None:
    with two() as (near, _, address):
        privates: Any = near
        near.offload_below = 65536
        privates._sock = refusing = Refusing(near.sock, groups=errno.EMSGSIZE)
        near.send_run(memoryview(bytes(32_000)), 16_000, address)
        refusing._groups = 0
        near.send_run(memoryview(bytes(2400)), 1200, address)
        assert refusing.calls == ["sendmsg", "sendto", "sendto", "sendmsg"] if LINUX else True
        privates._sock = refusing._sock


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOBUFS], ids=errno.errorcode.get)
def test_a_full_socket_takes_what_it_can(error: int) -> None:
    with two() as (near, far, address):
        privates: Any = near
        near.offload_below = 0
        privates._sock = refusing = Refusing(near.sock, single=error)
        data = os.urandom(3 * 1200)
        assert near.send_run(memoryview(data), 1200, address) == 0
        assert near.send_run(memoryview(data), 1200, address) == len(data)
        assert arrivals(far) == cut(data, 1200)
        privates._sock = refusing._sock


def test_a_datagram_that_no_path_carries_is_lost_and_the_next_goes() -> None:
    with two() as (near, far, address):
        assert near.send_run(memoryview(bytes(65_535)), 65_535, address) == 65_535
        assert near.send_run(memoryview(b"next"), 4, address) == 4
        assert arrivals(far) == [b"next"]


def test_an_empty_datagram_hides_nothing() -> None:
    with two() as (near, far, address):
        near.sock.sendto(b"", address)
        near.sock.sendto(b"x", address)
        assert arrivals(far) == [b"x"]


@pytest.mark.skipif(not LINUX, reason="an option of Linux")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_fragments_are_as_is_asked_for(family: socket.AddressFamily) -> None:
    with two(family) as (near, far, address):
        level, option = (41, 23) if family == socket.AF_INET6 else (0, 10)
        first = near.sock.getsockopt(level, option)
        near.may_fragment()
        assert near.sock.getsockopt(level, option) == PMTUDISC_DONT
        near.fragment_if_known()
        assert near.sock.getsockopt(level, option) == first == PMTUDISC_WANT
        assert near.never_fragment()
        assert near.sock.getsockopt(level, option) == PMTUDISC_PROBE
        near.send_run(memoryview(bytes(20_000)), 20_000, address)  # loopback takes 65,536
        assert arrivals(far) == [bytes(20_000)]
