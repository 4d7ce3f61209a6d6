"""A UDP socket that is read and written many datagrams a system call, where the system can do that (engine process).

Linux puts datagrams of equal size together: with UDP_GRO what comes (udp(7)), with UDP_SEGMENT what goes. Elsewhere, and where
Linux refuses, each datagram has a call of its own.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

Run = tuple[int, int, int]
"""Datagrams in a row: where the first begins, where the last ends, and the bytes of each; the last may be smaller."""
Address = tuple[Any, ...]
"""As `socket` has it: host and port, two more numbers for IPv6."""

SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
"""From linux/udp.h: Python has no names for them."""
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER = 10, 23
PMTUDISC_DONT, PMTUDISC_WANT, PMTUDISC_PROBE = 0, 1, 3
"""From linux/in.h and in6.h: anybody may fragment; only this system may, as it knows the path; nobody, whatever it knows."""

RECEIVE_BUFFER = 2 << 20
"""Bytes that we ask the system to keep for us; Linux gives 425,984 of them where nobody has raised net.core.rmem_max."""

GROUPS = sys.platform == "linux"
"""Whether the system may put datagrams together."""
HALF = 65536
"""Bytes of a datagram at most; datagrams are read together as long as this much room is left."""
MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of older kernels; newer ones take 128."""
MAX_RUN = 65_000
"""Bytes that one call sends at most: an IP packet of 65,535 with its headers."""

REFUSED = frozenset({errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT})
"""UDP_SEGMENT is not to be had: an old kernel, no checksums, IPsec on the way."""
FULL = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
"""There is no room at the moment; ENOBUFS comes from a full queue of the network card, on macOS all the time."""

_ANCILLARY = socket.CMSG_SPACE(4) if hasattr(socket, "CMSG_SPACE") else 0
_SEGMENT = struct.Struct("=H")


class UdpSocket:
    """Owns a non-blocking socket, and the buffer that datagrams are read into."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # macOS refuses what is more than it has
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._sock = sock
        self.buffer = bytearray(2 * HALF)
        """What `receive` read, until it is called again."""
        self._view = memoryview(self.buffer)
        self._kept: tuple[bytes, int, Address] | None = None
        """What was read with others and is of another sender."""
        self.drained = False
        self._grouped = _group_arrivals(sock)
        self.offload_below = 65536 if GROUPS else 0
        """Datagrams of fewer bytes go many a call."""

    @property
    def sock(self) -> socket.socket:
        return self._sock

    @property
    def receive_room(self) -> int:
        """Bytes of datagrams that wait for us before some are lost: half of what the system takes for them."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    @property
    def keeps(self) -> bool:
        """Whether something was read that `receive` has not told of yet."""
        return self._kept is not None

    def receive(self, calls: int = MAX_SEGMENTS) -> tuple[list[Run], Address] | None:
        """Where in `buffer` datagrams of one sender are, and who that is; None where nothing is left.

        It takes so many ``calls`` at most; `drained` tells whether nothing was left.
        An error that belongs to something sent before (ICMP) counts as nothing.
        """
        runs: list[Run] = []
        sender, end = self._take_kept(runs)
        self.drained = False
        for _ in range(calls):
            got = self._read(end)
            if got is None:
                break
            size, segment, address = got
            if size and sender is not None and address != sender:
                self._kept = bytes(self.buffer[end : end + size]), segment, address
                break
            if size:
                sender = address
                join(runs, end, end + size, segment)
                end += size
                if end > HALF:
                    break
        return (runs, sender) if sender is not None else None

    def _take_kept(self, runs: list[Run]) -> tuple[Address | None, int]:
        if self._kept is None:
            return None, 0
        (data, segment, address), self._kept = self._kept, None
        self.buffer[: len(data)] = data
        runs.append((0, len(data), segment))
        return address, len(data)

    def _read(self, at: int) -> tuple[int, int, Address] | None:
        """Bytes read to that place of the buffer, the size of each datagram (the last may be smaller), and their sender."""
        try:
            if not self._grouped:
                size, address = self._sock.recvfrom_into(self._view[at:])
                return size, size, address
            size, ancillary, _, address = self._sock.recvmsg_into((self._view[at:],), _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            self.drained = True
            return None
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
            return 0, 0, ()
        for level, kind, data in ancillary:
            if level == SOL_UDP and kind == UDP_GRO:
                return size, int.from_bytes(data[:4], sys.byteorder), address
        return size, size, address

    def send_run(self, data: memoryview, segment: int, address: Address) -> int:
        """Send datagrams of ``segment`` bytes (the last may be smaller); how many bytes of them are done with.

        That is fewer than all where the system has no room. What cannot be sent for another reason is lost, as on any network.
        """
        done, size = 0, len(data)
        while done < size:
            grouped = segment < self.offload_below and size - done > segment
            piece = data[done : done + (_most(segment) if grouped else segment)]
            try:
                if grouped:
                    self._sock.sendmsg((piece,), ((SOL_UDP, UDP_SEGMENT, _SEGMENT.pack(segment)),), 0, address)
                else:
                    self._sock.sendto(piece, address)
            except OSError as error:
                if error.errno in FULL:
                    return done
                if grouped and self._refused(error, segment):
                    continue
            done += len(piece)
        return done

    def _refused(self, error: OSError, segment: int) -> bool:
        """Whether these datagrams may yet go one by one; what is tried from now on changes with it."""
        if error.errno == errno.EMSGSIZE:  # IP may fragment single datagrams, but no group of them
            self.offload_below = segment
        elif error.errno in REFUSED:
            self.offload_below = 0
        else:
            return False
        return True

    def never_fragment(self) -> bool:
        """Have large datagrams arrive whole or not at all (RFC 8899 section 3); whether this system can do that."""
        return self._discover_mtu(PMTUDISC_PROBE)

    def fragment_if_known(self) -> None:
        """As at first: the system cuts what is larger than it knows the path to carry."""
        self._discover_mtu(PMTUDISC_WANT)

    def may_fragment(self) -> None:
        """Have them arrive, in fragments where need be."""
        self._discover_mtu(PMTUDISC_DONT)

    def _discover_mtu(self, how: int) -> bool:
        if sys.platform != "linux":
            return False
        ipv6 = self._sock.family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if ipv6 else (socket.IPPROTO_IP, IP_MTU_DISCOVER)
        try:
            self._sock.setsockopt(level, option, how)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._sock.close()


def join(runs: list[Run], begin: int, end: int, size: int) -> None:
    """Adds what was read to the run before it, where that has datagrams of the same size."""
    if runs:
        first, last, each = runs[-1]
        if each == size and not (last - first) % each:
            runs[-1] = first, end, size
            return
    runs.append((begin, end, size))


def apart(runs: Iterable[Run]) -> Iterator[tuple[int, int]]:
    """Where each datagram begins and ends."""
    for begin, end, size in runs:
        for start in range(begin, end, size):
            yield start, min(start + size, end)


def _most(segment: int) -> int:
    """Bytes that one call takes."""
    return segment * max(1, min(MAX_SEGMENTS, MAX_RUN // segment))


def _group_arrivals(sock: socket.socket) -> bool:
    if not GROUPS:
        return False
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError:  # before Linux 5.0
        return False
    return True


def duplicate(sock: Any) -> socket.socket:
    """The same socket once more, of our own; ``sock`` may be what an event loop shows in its place."""
    return socket.socket(fileno=os.dup(sock.fileno()))
