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
from typing import Any

Address = tuple[Any, ...]
"""As `socket` has it: host and port, two more numbers for IPv6."""

SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
"""From linux/udp.h: Python has no names for them."""
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3
"""From linux/in.h and in6.h: never fragment, and send what is larger than the path is believed to carry."""

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
        self._sock = sock
        self.buffer = bytearray(65536)
        """What `receive` read, until it is called again."""
        self._into = [self.buffer]
        self._grouped = _group_arrivals(sock)
        self.offload_below = 65536 if sys.platform == "linux" else 0
        """Datagrams of fewer bytes go many a call."""

    @property
    def sock(self) -> socket.socket:
        return self._sock

    @property
    def receive_room(self) -> int:
        """Bytes that the system keeps for us, with its own for each packet."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def receive(self) -> tuple[int, int, Address] | None:
        """How many bytes are in `buffer` now, the size of each datagram in them (the last may be smaller), and who sent them.

        None where nothing is left. An error that belongs to something sent before (ICMP) counts as nothing: ``(0, 1, ())``.
        """
        try:
            if not self._grouped:
                size, address = self._sock.recvfrom_into(self.buffer)
                return size, size or 1, address
            size, ancillary, _, address = self._sock.recvmsg_into(self._into, _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
            return 0, 1, ()
        for level, kind, data in ancillary:
            if level == SOL_UDP and kind == UDP_GRO:
                return size, int.from_bytes(data[:4], sys.byteorder) or 1, address
        return size, size or 1, address

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
        if sys.platform != "linux":
            return False
        ipv6 = self._sock.family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if ipv6 else (socket.IPPROTO_IP, IP_MTU_DISCOVER)
        try:
            self._sock.setsockopt(level, option, PMTUDISC_PROBE)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._sock.close()


def _most(segment: int) -> int:
    """Bytes that one call takes."""
    return segment * max(1, min(MAX_SEGMENTS, MAX_RUN // segment))


def _group_arrivals(sock: socket.socket) -> bool:
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    except OSError:  # before Linux 5.0
        return False
    return True


def duplicate(sock: Any) -> socket.socket:
    """The same socket once more, of our own; ``sock`` may be what an event loop shows in its place."""
    return socket.socket(fileno=os.dup(sock.fileno()))
