"""aiortc's DTLS transport with a fast way for data channels: no task, no queue, no coroutine a packet (engine process).

The handshake, the keys of SRTP and all media stay aiortc's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from aiortc.rtcdtlstransport import RTCDtlsTransport, State

from ..datachannel.udp import Run
from .dtls_records import RecordLayer
from .ice_path import IcePath

logger = logging.getLogger(__name__)


MOST_EARLY = 64
"""Packets that are kept for a receiver that is yet to come; SCTP's handshake repeats what is lost, in seconds."""


class PacketReceiver(Protocol):
    """What is above: SCTP."""

    def packets_received(self, packets: list[bytes]) -> None:
        """In the order in which they came."""

    def batch_ended(self) -> None:
        """Nothing more is there at the moment: the time to acknowledge, and to send."""

    @property
    def expects_more(self) -> bool:
        """Whether the rest of a message is on its way, which may be read a moment later."""

    def writable(self) -> None:
        """`FastDtlsTransport.blocked` is False again."""

    def path_changed(self) -> None:
        """Packets take another way from now on."""


class FastDtlsTransport(RTCDtlsTransport):
    """Until it is connected it is aiortc's; then what comes goes to the data receiver, a `PacketReceiver`, at once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._records: RecordLayer | None = None
        self._path: IcePath | None = None
        self._early: list[bytes] = []

    @property
    def blocked(self) -> bool:
        """Whether the socket has no room: who goes on sending all the same will lose packets."""
        return self._path is not None and self._path.blocked

    @property
    def receive_room(self) -> int | None:
        """Bytes of packets that wait for us while we are busy before some are lost; None where it is not known."""
        socket = self._path.socket if self._path is not None else None
        return socket.receive_room if socket is not None else None

    def never_fragment(self) -> bool:
        """Whether large packets from now on arrive whole or not at all, as a search for the path's size needs it."""
        path = self._path
        return path is not None and path.socket is not None and not path.relayed and path.socket.never_fragment()

    def fragment_if_known(self) -> None:
        """As at first: the system cuts what is larger than it knows the path to carry."""
        socket = self._path.socket if self._path is not None else None
        if socket is not None:
            socket.fragment_if_known()

    def may_fragment(self) -> None:
        """Anybody may cut them: for large packets that are under way when the path turns out not to carry them."""
        socket = self._path.socket if self._path is not None else None
        if socket is not None:
            socket.may_fragment()

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """A record each, in this order; `ConnectionError` where the connection is over."""
        if self._records is None or self._path is None or self._state != State.CONNECTED:
            raise ConnectionError("Cannot send encrypted data, not connected")
        for run, segment in self._records.encrypt(packets):
            self._path.send_run(run, segment)
            self._count("tx", len(run), -(-len(run) // segment))

    async def stop(self) -> None:
        if self._path is not None:
            self._path.close()
        await super().stop()

    def records_received(self, buffer: bytearray | bytes, runs: list[Run]) -> None:
        """`ice_path.Owner`: decrypt, answer as DTLS wants it, and hand over."""
        if self._records is None or self._records.closed or self._state != State.CONNECTED:
            return
        packets = self._records.decrypt(buffer, runs)
        for begin, end, size in runs:
            self._count("rx", end - begin, -(-(end - begin) // size))
        if self._records.may_answer and (answer := self._records.pending()):
            self._send_answer(answer)
        if self._data_receiver is None or self._early:
            self._early += packets[: MOST_EARLY - len(self._early)]
        elif packets:
            self._receiver.packets_received(packets)
        if self._records.closed:
            self._end()

    def batch_ended(self) -> None:
        if self._data_receiver is not None:
            self._receiver.batch_ended()

    @property
    def expects_more(self) -> bool:
        return self._data_receiver is not None and self._receiver.expects_more

    def writable(self) -> None:
        if self._data_receiver is not None:
            self._receiver.writable()

    def path_changed(self) -> None:
        if self._data_receiver is not None:
            self._receiver.path_changed()

    async def _send_data(self, data: bytes) -> None:
        self.send_packets([data])

    def _set_state(self, state: State) -> None:
        if state == State.CONNECTED and self._ssl is not None:
            self._records = RecordLayer(self._ssl)
            self._path = IcePath(self.transport, self)
        super()._set_state(state)
        if state == State.CONNECTED and self._path is not None:
            self._path.take_waiting()

    def _register_data_receiver(self, receiver: Any) -> None:
        super()._register_data_receiver(receiver)
        if self._early:  # after what the receiver does to start
            asyncio.get_running_loop().call_soon(self._hand_over_early)

    def _hand_over_early(self) -> None:
        early, self._early = self._early, []
        if self._data_receiver is not None:
            self._receiver.packets_received(early)
            self._receiver.batch_ended()

    @property
    def _receiver(self) -> PacketReceiver:
        receiver: Any = self._data_receiver
        return receiver  # type: ignore[no-any-return]

    def _send_answer(self, data: bytes) -> None:
        assert self._path is not None
        try:
            self._path.send_run(memoryview(data), len(data))
        except ConnectionError:
            logger.debug("an answer of DTLS is not sent: no connection")

    def _end(self) -> None:
        """The other end closed: aiortc's own loop ends over this, and tells everybody."""
        assert self._path is not None
        self._path.close()
        self._path.end()

    def _count(self, way: str, size: int, packets: int) -> None:
        """For `getStats`."""
        counters: Any = self.__dict__
        counters[f"_RTCDtlsTransport__{way}_bytes"] += size
        counters[f"_RTCDtlsTransport__{way}_packets"] += packets


def install_fast_dtls() -> None:
    import aiortc.rtcpeerconnection

    aiortc.rtcpeerconnection.RTCDtlsTransport = FastDtlsTransport  # type: ignore[attr-defined, assignment]
