"""In the place of aiortc's `RTCSctpTransport`: drives an association of ours over the fast way of DTLS (engine process)."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from aiortc import InvalidStateError, RTCDataChannel
from aiortc.rtcsctptransport import LOCAL_MAX_MESSAGE_SIZE, REMOTE_DEFAULT_MAX_MESSAGE_SIZE, RTCSctpCapabilities
from pyee.asyncio import AsyncIOEventEmitter

from ..datachannel.association import Association
from ..datachannel.chunks import PLAIN_SACK, without_superseded
from ..datachannel.events import (
    Closed,
    Established,
    Event,
    Message,
    PeerReset,
    ProbeAcknowledged,
    ResetDone,
    Restarted,
    TooLarge,
    Unanswered,
)
from ..datachannel.path_search import BASE, LARGEST, PathSearch
from ..datachannel.setup import Capacity
from .courtesy import BURST as POLITE
from .courtesy import courtesy
from .dtls_transport import FastDtlsTransport
from .sctp_channels import Channels

logger = logging.getLogger(__name__)

BURST = 64
"""Packets that are taken from the association at once: what one system call sends."""
MOST_PACKETS, MOST_BYTES = 32, 300_000
"""After so many, of packets or of bytes in them, they are acknowledged although more are there."""
MAX_STREAMS = 65535


class FastSctpTransport(AsyncIOEventEmitter):
    """What `RTCPeerConnection` and `RTCDataChannel` use of aiortc's, and nothing more."""

    def __init__(self, transport: FastDtlsTransport, port: int = 5000) -> None:
        if transport.state == "closed":
            raise InvalidStateError
        super().__init__()
        self.mid: str | None = None
        self._bundled = False
        self._outbound_streams_count = MAX_STREAMS
        self._transport = transport
        self._port = port
        self._state = "new"
        self._remote_max_message_size = REMOTE_DEFAULT_MAX_MESSAGE_SIZE
        self._association: Association | None = None
        self._search: PathSearch | None = None
        self.announced_packet = 0
        """Bytes of a packet that the peer's description says it takes: of one whose SCTP is not ours to let say so."""
        self._channels = Channels(self, self._offered, self._wake)
        self._event_loop = asyncio.get_event_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._pumping: asyncio.Handle | None = None
        self._resting: asyncio.TimerHandle | None = None
        """Until then pictures have the engine."""
        self._busy = False
        """Whether what is going on ends with a pump anyway."""
        self._more = False
        """Whether there may be something to send that the pump has not looked for yet."""
        self._unanswered = self._unanswered_bytes = 0

    @property
    def is_server(self) -> bool:
        """RFC 8832 has the DTLS role decide over streams, not that of ICE."""
        return self._transport._role == "server"

    @property
    def maxChannels(self) -> int | None:  # noqa: N802 - W3C's name
        return MAX_STREAMS if self._state == "connected" else None

    @property
    def port(self) -> int:
        return self._port

    @property
    def state(self) -> str:
        return self._state

    @property
    def transport(self) -> FastDtlsTransport:
        return self._transport

    @classmethod
    def getCapabilities(cls) -> RTCSctpCapabilities:  # noqa: N802 - W3C's name
        return RTCSctpCapabilities(maxMessageSize=LOCAL_MAX_MESSAGE_SIZE)

    def setTransport(self, transport: FastDtlsTransport) -> None:  # noqa: N802 - aiortc's name
        self._transport = transport

    async def start(self, remoteCaps: RTCSctpCapabilities | None, remotePort: int) -> None:  # noqa: N803 - aiortc's names
        """Both sides begin (RFC 8841 section 9.3)."""
        if self._state != "new":
            return
        self._state = "connecting"
        if remoteCaps is not None:
            self._remote_max_message_size = remoteCaps.maxMessageSize
        self._association = Association(
            local_port=self._port,
            remote_port=remotePort,
            packet_size=BASE,
            max_message=LOCAL_MAX_MESSAGE_SIZE,
            capacity=Capacity(LARGEST, self._transport.receive_room or 0, unchecked=True),
        )
        self._search = PathSearch(self._association, self._transport)
        self._association.connect(time.monotonic())
        self._transport._register_data_receiver(self)
        self._pump()

    async def stop(self) -> None:
        """Abort; the channels are closed."""
        if self._association is not None and self._state != "closed":
            self._association.abort()
            self._send_rest()
        self._transport._unregister_data_receiver(self)  # type: ignore[arg-type]
        self._close()

    # What `FastDtlsTransport` tells

    def packets_received(self, packets: list[bytes]) -> None:
        association, now = self._association, time.monotonic()
        if association is None:
            return
        sizes = list(map(len, packets))
        for packet in packets if sizes.count(PLAIN_SACK) < 2 else without_superseded(packets):
            association.receive(packet, now)
        self._tell()
        self._unanswered += len(sizes)
        self._unanswered_bytes += sum(sizes)
        if self._unanswered >= MOST_PACKETS or self._unanswered_bytes >= MOST_BYTES:
            self.batch_ended()

    def batch_ended(self) -> None:
        if self._association is not None and self._unanswered:
            self._unanswered = self._unanswered_bytes = 0
            self._association.end_batch(time.monotonic())
            if self._association.may_wait:
                self._pump_soon()  # whoever got the message may be about to answer: then both go at once
            else:
                self._pump()

    @property
    def expects_more(self) -> bool:
        return self._association is not None and self._association.expects_more

    def writable(self) -> None:
        self._pump()

    def path_changed(self) -> None:
        if self._state == "connected":
            self._begin_search()
            self._set_timer()

    # What `RTCDataChannel` wants

    def _data_channel_add_negotiated(self, channel: RTCDataChannel) -> None:
        self._channels.add_negotiated(channel)

    def _data_channel_open(self, channel: RTCDataChannel) -> None:
        self._channels.open(channel)

    def _data_channel_close(self, channel: RTCDataChannel) -> None:
        self._channels.close(channel)

    def _data_channel_send(self, channel: RTCDataChannel, data: str | bytes) -> None:
        self._channels.send(channel, data, self._remote_max_message_size)

    # Between both

    def _offered(self, channel: RTCDataChannel) -> None:
        self.emit("datachannel", channel)

    def _wake(self) -> None:
        """The first message in a turn of the loop goes at once, as a round trip should not wait; others go together."""
        self._more = True
        if self._pumping is None and not self._busy and self._resting is None:
            self._pump_soon()
            self._send_some(POLITE if courtesy.wanted(time.monotonic()) else BURST)

    def _pump_soon(self) -> None:
        """In the next turn of the loop."""
        if self._pumping is None:
            self._pumping = self._event_loop.call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pumping = None
        self._pump()

    def _pump(self) -> None:
        """Send what may be sent, and tell what became of it; who is told may have more to send."""
        if self._association is None or self._busy or self._resting is not None:
            return
        self._busy = True
        try:
            self._send_all()
        finally:
            self._busy = False
        self._channels.tell_buffered()
        self._tell()
        self._set_timer()

    def _send_all(self) -> None:
        begun = time.monotonic()
        if not courtesy.wanted(begun):
            self._more = True
            while self._more:
                self._more = self._send_some() >= BURST
                self._channels.tell_buffered()  # who is told may have more: `_wake`
        elif self._send_some(POLITE):
            self._resting = self._event_loop.call_later(courtesy.rest(time.monotonic() - begun), self._rested)

    def _rested(self) -> None:
        self._resting = None
        self._pump()

    def _send_some(self, burst: int = BURST) -> int:
        """How many packets went; fewer than ``burst`` where no more may go now."""
        association = self._association
        if association is None or self._transport.blocked:
            return 0
        packets = association.take_packets(time.monotonic(), burst)
        if not packets:
            return 0
        try:
            self._transport.send_packets(packets)
        except ConnectionError as error:  # what was lost is sent again, should there ever be a connection
            logger.debug("packets are not sent: %s", error)
            return 0
        return len(packets)

    def _tell(self) -> None:
        """All that the association has to say."""
        association = self._association
        while association is not None and association.events:
            self._tell_one(association.events.popleft())

    def _tell_one(self, event: Event) -> None:
        if isinstance(event, Message):
            self._channels.message(event.stream, event.ppid, event.data)
        elif isinstance(event, TooLarge):
            self._channels.too_large(event.stream, LOCAL_MAX_MESSAGE_SIZE)
        elif isinstance(event, Unanswered | ProbeAcknowledged):
            self._about_path(event)
        elif isinstance(event, PeerReset):
            self._channels.peer_reset(event.streams)
        elif isinstance(event, ResetDone):
            self._channels.reset_done(event.streams, event.performed)
        elif isinstance(event, Established):
            self._established()
        elif isinstance(event, Restarted):
            self._channels.close_all()
            self._established()
        elif isinstance(event, Closed):
            logger.info("the association is over: %s", event.reason or "both sides agreed")
            self._send_rest()
            self._close()

    def _about_path(self, event: Unanswered | ProbeAcknowledged) -> None:
        assert self._search is not None
        if isinstance(event, Unanswered):
            self._search.unanswered(time.monotonic())
        else:
            self._search.acknowledged(event.size)

    def _begin_search(self) -> None:
        assert self._association is not None
        assert self._search is not None
        most = self._association.largest_packet or self.announced_packet
        self._search.begin(most, time.monotonic())

    def _send_rest(self) -> None:
        """That it is over, to the peer."""
        if self._association is not None:
            with suppress(ConnectionError):
                self._transport.send_packets(self._association.take_packets(time.monotonic(), BURST))

    def _established(self) -> None:
        assert self._association is not None
        self._state = "connected"
        self._begin_search()
        self._channels.established(self._association, even=not self.is_server)

    def _close(self) -> None:
        self._state, self._association, self._search = "closed", None, None
        for handle in (self._timer, self._pumping, self._resting):
            if handle is not None:
                handle.cancel()
        self._timer = self._pumping = self._resting = None
        self._channels.close_all()
        self.remove_all_listeners()

    # Timers

    @property
    def _deadline(self) -> float | None:
        if self._association is None or self._search is None:
            return None
        times = self._association.deadline, self._search.at
        return min((time for time in times if time is not None), default=None)

    def _set_timer(self) -> None:
        """Deadlines move with each packet, mostly away: a timer that comes too early looks again."""
        deadline = self._deadline
        if deadline is None:
            return
        wait = max(0.0, deadline - time.monotonic())
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._event_loop.call_later(wait, self._time_out), deadline

    def _time_out(self) -> None:
        self._timer = None
        deadline, now = self._deadline, time.monotonic()
        if self._association is None or self._search is None or deadline is None:
            return
        if deadline > now:
            self._set_timer()
            return
        self._association.on_timer(now)
        self._search.on_timer(now)
        self._pump()


def install_fast_channels() -> None:
    """Both parts belong together: aiortc's SCTP cannot take what our DTLS transport hands over."""
    import aiortc.rtcpeerconnection as used

    privates: Any = used
    privates.RTCDtlsTransport = FastDtlsTransport
    privates.RTCSctpTransport = FastSctpTransport
