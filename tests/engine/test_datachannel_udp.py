"""A UDP socket many datagrams a call: what the system does with them, and what it refuses (test process)."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from forge_rtc_nb.engine.datachannel import udp_transport
from forge_rtc_nb.engine.datachannel.udp import (
    HALF,
    MAX_SEGMENTS,
    PMTUDISC_DONT,
    PMTUDISC_PROBE,
    PMTUDISC_WANT,
    SOL_UDP,
    UDP_GRO,
    Address,
    Run,
    UdpSocket,
    apart,
)
from forge_rtc_nb.engine.datachannel.udp_transport import UdpTransport
from tests.engine.fast_pair import run_on
from tests.support import await_for

LINUX = sys.platform == "linux"
LOOPS = ["asyncio"] if sys.platform == "win32" else ["asyncio", "uvloop"]


def bound(family: socket.AddressFamily = socket.AF_INET) -> UdpSocket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return UdpSocket(sock)


@contextmanager
def two(family: socket.AddressFamily = socket.AF_INET) -> Iterator[tuple[UdpSocket, UdpSocket, Address]]:
    near, far = bound(family), bound(family)
    try:
        yield near, far, far.sock.getsockname()[:2]
    finally:
        near.close()
        far.close()


def arrivals(sock: UdpSocket) -> list[bytes]:
    """All that is there, apart."""
    got = []
    while (found := sock.receive()) is not None:
        got += [bytes(sock.buffer[start:end]) for start, end in apart(found[0])]
    return got


def cut(data: bytes, segment: int) -> list[bytes]:
    return [data[start : start + segment] for start in range(0, len(data), segment)]


# ---- the socket ----


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


class Refusing:
    """A socket that takes no groups, or nothing for a while."""

    def __init__(self, sock: socket.socket, groups: int = 0, single: int = 0, times: int = 1) -> None:
        self._sock, self._groups, self._single, self._times = sock, groups, single, times
        self.calls: list[str] = []

    def sendmsg(self, *arguments: Any) -> int:
        self.calls.append("sendmsg")
        if self._groups:
            raise OSError(self._groups, os.strerror(self._groups))
        return self._sock.sendmsg(*arguments)

    def sendto(self, *arguments: Any) -> int:
        self.calls.append("sendto")
        if self._single and self._times:
            self._times -= 1
            raise OSError(self._single, os.strerror(self._single))
        return self._sock.sendto(*arguments)


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


# ---- the transport ----


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.batches = self.writables = 0
        self.lost: list[Exception | None] = []
        self.may_wait = True

    def datagrams_received(self, buffer: bytearray, runs: list[Run], address: Address) -> None:
        self.got += [bytes(buffer[start:end]) for start, end in apart(runs)]

    def batch_ended(self) -> None:
        self.batches += 1

    def writable(self) -> None:
        self.writables += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_transport_reads_all_there_is_and_then_says_so(loop: str) -> None:
    async def test() -> None:
        listener = Listener()
        transport = UdpTransport(asyncio.get_running_loop(), bound(), listener)
        with two() as (near, _, _):
            data = os.urandom(30 * 1000)
            near.offload_below = 0
            near.send_run(memoryview(data), 1000, transport.get_extra_info("sockname"))
            near.sock.sendto(b"", transport.get_extra_info("sockname"))
            await await_for(lambda: listener.batches, what="the end of a batch")
            assert listener.got == cut(data, 1000)
            assert listener.batches == 1
        transport.close()
        await await_for(lambda: listener.lost == [None], what="connection_lost")

    run_on(loop, test)


def ended(listener: Listener, batches: int) -> bool:
    return listener.batches == batches


@pytest.mark.parametrize("loop", LOOPS)
def test_a_datagram_that_comes_alone_is_read_in_one_call_and_many_all_the_same(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    read: Any = UdpSocket._read

    def counted(self: UdpSocket, at: int) -> Any:
        calls.append(at)
        return read(self, at)

    async def test() -> None:
        listener = Listener()
        transport = UdpTransport(asyncio.get_running_loop(), bound(), listener)
        address = transport.get_extra_info("sockname")
        with two() as (near, _, _):
            near.offload_below = 0
            for number in range(5):
                calls.clear()
                near.send_run(memoryview(bytes([number])), 1, address)
                await await_for(partial(ended, listener, number + 1), what="the end of a batch")
                assert len(calls) == (2 if number == 0 else 1), "at first it is not known that it comes alone"
            near.send_run(memoryview(bytes(100)), 1, address)
            await await_for(lambda: len(listener.got) == 105, what="all of it")
        transport.close()

    monkeypatch.setattr(UdpSocket, "_read", counted)
    monkeypatch.setattr(udp_transport, "SELDOM", 0.0)
    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_senders_in_turn_have_all_of_theirs_read(loop: str) -> None:
    """However many they are in one batch."""

    async def test() -> None:
        listener = Listener()
        transport = UdpTransport(asyncio.get_running_loop(), bound(), listener)
        with two() as (near, other, _):
            for number in range(50):
                for sender in (near, other):
                    sender.send_run(memoryview(bytes([number])), 1, transport.get_extra_info("sockname"))
            await await_for(lambda: len(listener.got) == 100, what="all of it")
            assert listener.got == [bytes([number]) for number in range(50) for _ in range(2)]
        transport.close()

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_full_socket_loses_nothing_and_keeps_the_order(loop: str, tmp_path: Path) -> None:
    # UDP on loopback is never full: the system delivers at once. Datagrams between local processes are the same calls.
    async def test() -> None:
        far = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        far.bind(str(tmp_path / "far"))
        far.setblocking(False)
        near = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        sock = UdpSocket(near)
        sock.offload_below = 0
        listener = Listener()
        transport = UdpTransport(asyncio.get_running_loop(), sock, listener)
        sent = [random.Random(n).randbytes(n % 900 + 1) for n in range(1000)]
        got: list[bytes] = []
        for datagram in sent:
            transport.send_run(memoryview(datagram * 2), len(datagram), str(tmp_path / "far"))  # type: ignore[arg-type]
        assert transport.blocked
        assert not listener.writables
        while len(got) < 2 * len(sent):
            try:
                got.append(far.recv(65536))
            except BlockingIOError:
                await asyncio.sleep(0)
        assert got == [datagram for datagram in sent for _ in range(2)]
        await await_for(lambda: listener.writables, what="the socket has room again")
        assert not transport.blocked
        assert listener.writables == 1
        transport.close()
        far.close()

    run_on(loop, test)


async def test_a_socket_that_counts_as_writable_and_takes_nothing_does_not_keep_the_loop_busy() -> None:
    with two() as (near, far, address):
        privates: Any = near
        near.offload_below = 0
        real, listener = near.sock, Listener()
        transport = UdpTransport(asyncio.get_running_loop(), near, listener)
        refusing = Refusing(real, single=errno.ENOBUFS, times=5)
        refusing.fileno = real.fileno  # type: ignore[attr-defined]
        refusing.close = real.close  # type: ignore[attr-defined]
        asyncio.get_running_loop().remove_reader(real)
        privates._sock = refusing
        transport.send_run(memoryview(b"ab"), 1, address)
        await await_for(lambda: listener.writables, what="room")
        assert arrivals(far) == [b"a", b"b"]
        assert refusing.calls == ["sendto"] * 7
        transport.close()


async def test_what_waits_is_bounded_and_what_is_beyond_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_transport, "MOST_QUEUED", 1000)
    with two() as (near, far, address):
        listener = Listener()
        transport = UdpTransport(asyncio.get_running_loop(), near, listener)
        monkeypatch.setattr(near, "send_run", lambda *arguments: 0)
        for number in range(20):
            transport.sendto(bytes([number]) * 100, address)
        monkeypatch.undo()
        await await_for(lambda: not transport.blocked, what="room")
        assert arrivals(far) == [bytes([number]) * 100 for number in range(10)]
        transport.close()


async def test_closing_with_something_waiting_ends_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    near = bound()
    transport = UdpTransport(asyncio.get_running_loop(), near, listener)
    monkeypatch.setattr(near, "send_run", lambda *arguments: 0)
    transport.sendto(b"x", ("127.0.0.1", 9))
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert near.sock.fileno() == -1
    transport.sendto(b"x", ("127.0.0.1", 9))
    await await_for(lambda: listener.lost, what="connection_lost")
    assert listener.lost == [None]
    assert not transport.blocked
