"""In the place of the event loop's UDP transport: it reads all there is, and loses nothing that it can keep (test process)."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from forge_rtc_nb.engine.datachannel import udp_transport
from forge_rtc_nb.engine.datachannel.udp import UdpSocket
from forge_rtc_nb.engine.datachannel.udp_transport import UdpTransport
from tests.engine.fast_pair import run_on
from tests.engine.udp_sockets import LOOPS, Listener, Refusing, arrivals, bound, cut, two
from tests.support import await_for


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
