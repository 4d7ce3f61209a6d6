"""Stands in the place of the event loop's transport of a UDP socket: no call of a loop for each datagram (engine process)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any, Protocol

from .read_pauses import PAUSE, ReadPauses
from .udp import MAX_SEGMENTS, Address, Run, UdpSocket

logger = logging.getLogger(__name__)

MOST_READS = 16
"""Times that a socket is read in a row, some 64 KiB each; then others have their turn in the event loop."""
SMALL, SELDOM = 4096, 0.0002
"""Where less than so many bytes came, so many seconds ago or more, one datagram is read and it is not asked whether there are
more: the loop would tell. It is a system call and an exception less before an answer goes."""
MOST_QUEUED = 1 << 20
"""Bytes that wait for the system to have room. More are lost; whoever looks at `blocked` never loses any."""
RETRY = 0.002
"""Seconds after which a full socket is tried again where the system does not tell: a network card's queue has no such call."""


class Receiver(Protocol):
    """What gets the datagrams."""

    def datagrams_received(self, buffer: bytearray, runs: list[Run], address: Address) -> None:
        """Where datagrams are; valid during the call."""

    def batch_ended(self) -> None:
        """Nothing more is there to be read at the moment."""

    @property
    def may_wait(self) -> bool:
        """Whether nobody minds if what comes next is read a moment later."""

    def writable(self) -> None:
        """All that waited is sent: `UdpTransport.blocked` is False again."""

    def connection_lost(self, error: Exception | None) -> None:
        """The transport is closed."""


class UdpTransport(asyncio.DatagramTransport):
    """Reads until the socket is empty, writes at once; what the system has no room for waits in a queue, bounded, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: UdpSocket, receiver: Receiver) -> None:
        super().__init__({"socket": sock.sock, "sockname": sock.sock.getsockname()})
        self._loop = loop
        self._socket = sock
        self._receiver = receiver
        self._queue: deque[tuple[bytes, int, Address]] = deque()
        self._queued = 0
        self._retry: asyncio.TimerHandle | None = None
        self._alone, self._read_at = False, 0.0
        """Whether hardly anything was there when the socket was last read, and when that was."""
        self._pauses = ReadPauses()
        self._pause: asyncio.TimerHandle | None = None
        self._closing = False
        loop.add_reader(sock.sock, self._read)

    @property
    def blocked(self) -> bool:
        """Whether something waits for the system to have room; `Receiver.writable` tells when nothing does any more."""
        return bool(self._queue)

    @property
    def socket(self) -> UdpSocket:
        return self._socket

    def sendto(self, data: Any, addr: Any = None) -> None:
        """One datagram, as `asyncio.DatagramTransport` has it."""
        if len(data):
            self.send_run(memoryview(data), len(data), addr)

    def send_run(self, data: memoryview, segment: int, address: Address) -> None:
        """Datagrams of ``segment`` bytes, the last may be smaller. ``data`` may change afterwards."""
        if self._closing:
            return
        done = 0 if self._queue else self._socket.send_run(data, segment, address)
        if done < len(data):
            self._wait(bytes(data[done:]), segment, address)

    def _wait(self, data: bytes, segment: int, address: Address) -> None:
        if self._queued + len(data) > MOST_QUEUED:
            logger.info("%d bytes are lost: the socket has no room", len(data))
            return
        if not self._queue:
            self._loop.add_writer(self._socket.sock, self._write)
        self._queue.append((data, segment, address))
        self._queued += len(data)

    def _write(self) -> None:
        while self._queue:
            data, segment, address = self._queue[0]
            done = self._socket.send_run(memoryview(data), segment, address)
            self._queued -= done
            if done < len(data):
                self._queue[0] = data[done:], segment, address
                if not done:
                    self._pause_writing()
                return
            self._queue.popleft()
        self._loop.remove_writer(self._socket.sock)
        self._receiver.writable()

    def _pause_writing(self) -> None:
        """The socket counts as writable and takes nothing: look again in a moment, not in each turn of the loop."""
        self._loop.remove_writer(self._socket.sock)
        self._retry = self._loop.call_later(RETRY, self._resume_writing)

    def _resume_writing(self) -> None:
        self._retry = None
        self._loop.add_writer(self._socket.sock, self._write)

    def _read(self) -> None:
        if self._closing:
            return
        received, size, begun = self._receiver.datagrams_received, 0, time.monotonic()
        calls = 1 if self._alone and begun - self._read_at > SELDOM else MAX_SEGMENTS
        for _ in range(MOST_READS):
            got = self._socket.receive(calls)
            if got is not None:
                size += got[0][-1][1]
                received(self._socket.buffer, *got)
                if self._closing:
                    return
            if self._socket.drained or calls == 1:
                break
        self._receiver.batch_ended()
        self._alone, self._read_at = size < SMALL, begun
        self._pauses.note(size, begun)
        if self._socket.keeps:  # of which the system tells no more
            self._loop.call_soon(self._read)
        elif self._pauses.wanted and self._socket.drained and not self._closing and self._receiver.may_wait:
            self._pause_reading()

    def _pause_reading(self) -> None:
        self._loop.remove_reader(self._socket.sock)
        self._pause = self._loop.call_later(PAUSE, self._resume_reading)

    def _resume_reading(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket.sock, self._read)
        self._read()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """What waits is lost; `Receiver.connection_lost` follows."""
        if self._closing:
            return
        self._closing = True
        self._queue.clear()
        for timer in (self._retry, self._pause):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._socket.sock)
        self._loop.remove_writer(self._socket.sock)
        self._socket.close()
        self._loop.call_soon(self._receiver.connection_lost, None)

    def abort(self) -> None:
        self.close()
