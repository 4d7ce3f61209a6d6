"""The way of a connection's datagrams around aiortc's queues: from the UDP socket to DTLS and back (engine process).

aioice keeps the sockets, the candidate pairs and all of STUN. Once a pair is nominated its socket, if it is one of UDP, is read
and written by us; what goes through TURN, or comes on a pair that is not nominated, takes aioice's way in and out.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import aioice.ice as ice
from aioice.turn import TurnTransport
from aiortc import RTCIceTransport

from ..datachannel.udp import Address, Run, UdpSocket, apart, duplicate
from ..datachannel.udp_transport import UdpTransport
from .dtls_records import APPLICATION_DATA
from .network import MOST_MEDIA

logger = logging.getLogger(__name__)

STUN, DTLS = range(4), range(20, 64)
"""First bytes (RFC 7983 section 7)."""
_COMPONENT = 1


class Owner(Protocol):
    """What gets the records and sends them."""

    def records_received(self, buffer: bytearray | bytes, runs: list[Run]) -> None:
        """Datagrams are there; valid during the call."""

    def batch_ended(self) -> None:
        """Nothing more is there at the moment."""

    @property
    def expects_more(self) -> bool:
        """Whether more of the same is on its way, which may be read a moment later."""

    def writable(self) -> None:
        """`IcePath.blocked` is False again."""

    def path_changed(self) -> None:
        """Another pair is nominated: datagrams take another way."""


class IcePath:
    """From now on DTLS datagrams of the ICE transport go to ``owner`` as they come, all others where they went before."""

    def __init__(self, transport: RTCIceTransport, owner: Owner) -> None:
        privates: Any = transport
        self._connection: Any = privates._connection
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._pair: ice.CandidatePair | None = None
        self._direct: UdpTransport | None = None
        self._address: Address = ()
        self._ending: asyncio.Handle | None = None
        self._others = self._connection.data_received
        self._connection.data_received = self._data_received
        pair = self._connection._nominated.get(_COMPONENT)
        if pair is not None:
            self._select(pair)

    @property
    def blocked(self) -> bool:
        """Whether the socket has no room; what is sent all the same waits, up to a limit."""
        return self._direct is not None and self._direct.blocked

    @property
    def socket(self) -> UdpSocket | None:
        """The nominated pair's, where it is ours."""
        return self._direct.socket if self._direct is not None else None

    @property
    def relayed(self) -> bool:
        """Whether a TURN server is on the way: to its client it may fragment what it was sent whole (RFC 8656 section 15)."""
        return self._pair is not None and (self._direct is None or self._pair.remote_candidate.type == "relay")

    def send_run(self, data: memoryview, segment: int) -> None:
        """Datagrams of ``segment`` bytes, the last may be smaller; `ConnectionError` without a nominated pair."""
        pair = self._connection._nominated.get(_COMPONENT)
        if pair is not self._pair:
            self._select(pair)
            self._owner.path_changed()
        if self._direct is not None:
            self._direct.send_run(data, segment, self._address)
        elif pair is not None:
            for start in range(0, len(data), segment):
                pair.protocol.transport.sendto(bytes(data[start : start + segment]), self._address)
        else:
            raise ConnectionError("Cannot send data, not connected")

    def take_waiting(self) -> None:
        """Records that came before, and wait in aioice's queue: they must not come after those that are yet to come."""
        queue: asyncio.Queue[tuple[bytes, int] | None] = self._connection._queue
        others = []
        while not queue.empty():
            item = queue.get_nowait()
            if item is not None and item[0] and item[0][0] in DTLS:
                self._data_received(*item)
            else:
                others.append(item)
        for item in others:
            if item is None or len(item[0]) <= MOST_MEDIA:
                queue.put_nowait(item)

    def end(self) -> None:
        """Tell who waits for datagrams that there will be none: what aioice does when it loses its socket."""
        self._connection._queue.put_nowait(None)

    def close(self) -> None:
        """DTLS datagrams, too, go where they went before."""
        if self._ending is not None:
            self._ending.cancel()
        self._connection.data_received = self._others

    def _select(self, pair: ice.CandidatePair | None) -> None:
        self._pair, self._direct = pair, None
        if pair is not None:
            self._address = pair.remote_addr
            self._direct = self._take_over(pair.protocol)

    def _take_over(self, protocol: ice.StunProtocol) -> UdpTransport | None:
        """The socket's transport, ours from now on; None where it is to stay as it is."""
        transport: Any = protocol.transport
        if isinstance(transport, UdpTransport):
            return transport
        if isinstance(transport, TurnTransport) or transport.is_closing():
            return None
        try:
            sock = UdpSocket(duplicate(transport.get_extra_info("socket")))
        except OSError as error:
            logger.warning("data goes the slow way: %s", error)
            return None
        try:
            protocol.transport = UdpTransport(self._loop, sock, _Arrivals(self, protocol))
        except NotImplementedError:  # an event loop without readers: Windows
            sock.close()
            return None
        transport.set_protocol(asyncio.DatagramProtocol())  # the loop's own must not tell aioice that it is lost
        transport.close()
        return protocol.transport

    def _data_received(self, data: bytes, component: int) -> None:
        """`aioice.Connection.data_received`."""
        if data and data[0] in DTLS:
            self._owner.records_received(data, [(0, len(data), len(data))])
            if self._ending is None:
                self._ending = self._loop.call_soon(self._end_batch)
        elif len(data) <= MOST_MEDIA:
            self._others(data, component)

    def _end_batch(self) -> None:
        self._ending = None
        self._owner.batch_ended()


class _Arrivals:
    """Tells apart what comes to one socket (RFC 7983): records, STUN for aioice, media for aiortc."""

    def __init__(self, path: IcePath, protocol: ice.StunProtocol) -> None:
        self._path = path
        self._owner = path._owner
        self._protocol = protocol

    def datagrams_received(self, buffer: bytearray, runs: list[Run], address: Address) -> None:
        for begin, end, size in runs:
            kinds = buffer[begin:end:size]
            if kinds.count(APPLICATION_DATA) != len(kinds):
                runs = self._without_others(buffer, runs, address)
                break
        if runs:
            self._owner.records_received(buffer, runs)

    def _without_others(self, buffer: bytearray, runs: list[Run], address: Address) -> list[Run]:
        records = []
        for start, end in apart(runs):
            if buffer[start] in DTLS:
                records.append((start, end, end - start))
            elif buffer[start] in STUN:
                self._protocol.datagram_received(bytes(buffer[start:end]), address)
            else:
                self._path._data_received(bytes(buffer[start:end]), _COMPONENT)
        return records

    def batch_ended(self) -> None:
        self._owner.batch_ended()

    @property
    def may_wait(self) -> bool:
        return self._owner.expects_more

    def writable(self) -> None:
        self._owner.writable()

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
