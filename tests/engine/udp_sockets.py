"""UDP sockets on this machine, one that refuses what it is asked, and who listens to a transport (test process)."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from forge_rtc_nb.engine.datachannel.udp import Address, Run, UdpSocket, apart

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
