"""All data channels between this engine and one participant, over any number of connections (engine process).

docs/protocol.md, Data. A port outlives the connections: on each new one it gets a new `RTCDataChannel`, and begins anew with
what is not known to have arrived.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.exceptions import InvalidStateError

from ..frames import CHUNK, INITIAL_CREDIT, MAX_HEADER, Credit, FrameError, Taken, decode, encode
from .data.inlet import Inlet
from .data.outlet import Outlet
from .data.receiving import Receiving
from .data.violation import Violation

logger = logging.getLogger(__name__)

PROTOCOL = "forge-rtc-nb"
BUFFERED = 2 * CHUNK
"""Bytes that wait in the connection: enough that it never idles, few enough that a small message overtakes a large one."""
PARK = 5.0
"""Seconds for which a data channel that nobody expects yet is kept."""
MAX_PARKED = 80
"""Such data channels; a participant has 64 channels and a few."""
MAX_PARKED_MESSAGES = 512
"""Messages in one: what the first credit allows."""
MAX_PARKED_BYTES = INITIAL_CREDIT + 4 * MAX_HEADER
"""Bytes in one: what the first credit allows, with headers longer than usual."""
MAX_PARKED_TOGETHER = 4 << 20
"""Bytes in all of one participant."""
REOPEN_FIRST, REOPEN_LAST = 1.0, 30.0
"""Seconds until a data channel that the other side closed, or that had to be closed, is opened again; doubling."""


class Port:
    """One label of a pair: what goes out, what comes in, and the present data channel.

    Nobody needs a connection for the sake of a ``passive`` one. ``refill`` is asked for more when nothing waits to go out;
    ``inlet`` is None where nothing may come.
    """

    def __init__(
        self,
        label: str,
        outlet: Outlet,
        inlet: Receiving | None,
        *,
        ordered: bool = True,
        reliable: bool = True,
        passive: bool = False,
        refill: Callable[[], None] = lambda: None,
        opened: Callable[[], None] = lambda: None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.label = label
        self.outlet = outlet
        self.inlet = inlet
        self.ordered = ordered
        self.reliable = reliable
        self.passive = passive
        self.refill = refill
        self.opened = opened
        self.closed = closed
        self.channel: RTCDataChannel | None = None
        self.delay = REOPEN_FIRST
        self.opened_at = 0.0
        self.shut_until = 0.0
        """No data channel is taken from the other side before that: it broke the rules on the one before."""

    @property
    def is_open(self) -> bool:
        return self.channel is not None and self.channel.readyState == "open"

    def fits(self, channel: RTCDataChannel) -> bool:
        """Whether a data channel that the other side opened is the one that we expect."""
        lossy = None if self.reliable else 0
        return (channel.ordered, channel.maxRetransmits, channel.maxPacketLifeTime) == (self.ordered, lossy, None)


class Parked:
    """A data channel that the other side opened before we knew that we want it: news of a participant may be slower."""

    def __init__(self, channel: RTCDataChannel, kept: Callable[[Parked], None]) -> None:
        self.channel = channel
        self.messages: list[bytes] = []
        self.size = 0
        self._kept = kept
        channel.on("message", self._keep)

    def _keep(self, data: bytes) -> None:
        self.messages.append(data)
        self.size += len(data)
        self._kept(self)

    def close(self) -> None:
        self.messages.clear()
        self.size = 0
        self.channel.remove_all_listeners()
        self.channel.close()


class DataLink:
    """The ports of one participant.

    ``fault`` is told the label and what the other side did wrong; ``expect`` gives a port for a label that the other side may
    open whenever it likes.
    """

    def __init__(self, fault: Callable[[str, str], None], expect: Callable[[str], Port | None] = lambda label: None) -> None:
        self._fault = fault
        self._expect = expect
        self._ports: dict[str, Port] = {}
        self._turns: deque[Port] = deque()
        """Ports in the order in which they may send."""
        self._pc: RTCPeerConnection | None = None
        self._opens = False
        self._reopening: dict[str, asyncio.TimerHandle] = {}
        self._parked: dict[str, Parked] = {}
        self._pumping = False

    @property
    def needed(self) -> bool:
        """Whether a connection is needed."""
        return any(not port.passive for port in self._ports.values())

    def open(self, port: Port) -> None:
        """Have this label, on the present connection and all later ones."""
        self._ports[port.label] = port
        self._turns.append(port)
        if self._pc is not None and self._opens:
            self._create(port)
        elif (parked := self._parked.pop(port.label, None)) is not None:
            self._accept(port, parked)

    def close(self, label: str) -> None:
        """Have it no more; what was on its way is lost."""
        port = self._ports.pop(label, None)
        if port is None:
            return
        self._turns.remove(port)
        if (timer := self._reopening.pop(label, None)) is not None:
            timer.cancel()
        self._drop(port)
        port.outlet.close()

    def attach(self, pc: RTCPeerConnection, opens: bool) -> None:
        """A new connection; ``opens`` where it is us who open its data channels."""
        self.detach()
        self._pc, self._opens = pc, opens
        if opens:
            for port in self._ports.values():
                self._create(port)
        else:
            pc.on("datachannel", lambda channel: self._offered(pc, channel))

    def detach(self) -> None:
        """The connection is gone."""
        self._pc = None
        for timer in self._reopening.values():
            timer.cancel()
        self._reopening.clear()
        self._parked.clear()
        for port in self._ports.values():
            self._drop(port)

    def dispose(self) -> None:
        """The participant is gone."""
        self.detach()
        for label in list(self._ports):
            self.close(label)

    def pump(self) -> None:
        """Send what may be sent, one frame of each port in turn."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._send_in_turn()
        finally:
            self._pumping = False

    def flush(self, port: Port) -> None:
        """Send what the inlet has to say; it is little, and the other side waits for it."""
        if port.inlet is None or not port.is_open:
            return
        while port.inlet.replies:
            self._send(port, encode(port.inlet.replies.popleft()))

    def advance(self, port: Port) -> None:
        """There is room for more of what this port brings."""
        if isinstance(port.inlet, Inlet):
            self._guarded(port, port.inlet.advance)

    def _send_in_turn(self) -> None:
        room = BUFFERED - sum(port.channel.bufferedAmount for port in self._turns if port.channel is not None)
        idle = 0
        while room > 0 and idle < len(self._turns):
            port = self._turns[0]
            self._turns.rotate(-1)
            sent = self._send_one(port)
            room -= sent
            idle = 0 if sent else idle + 1

    def _send_one(self, port: Port) -> int:
        if not port.is_open:
            return 0
        if not port.outlet.waiting:
            port.refill()
        frame = port.outlet.next_frame()
        if frame is None:
            return 0
        data = encode(frame)
        self._send(port, data)
        return len(data)

    def _send(self, port: Port, data: bytes) -> None:
        assert port.channel is not None
        try:
            port.channel.send(data)
        except InvalidStateError:
            self._drop(port)  # its connection ended in this very moment

    def _create(self, port: Port) -> None:
        if port.channel is not None or self._pc is None:
            return
        lossy = None if port.reliable else 0
        channel = self._pc.createDataChannel(port.label, ordered=port.ordered, maxRetransmits=lossy, protocol=PROTOCOL)
        self._bind(port, channel)

    def _offered(self, pc: RTCPeerConnection, channel: RTCDataChannel) -> None:
        parked = Parked(channel, self._bound_parked)
        port = self._ports.get(channel.label)
        if port is None and (port := self._expect(channel.label)) is not None:
            self.open(port)
        if pc is not self._pc or channel.protocol != PROTOCOL or channel.readyState != "open":
            parked.close()
        elif port is not None:
            self._accept(port, parked)
        elif len(self._parked) >= MAX_PARKED or channel.label in self._parked:
            parked.close()
        else:
            self._parked[channel.label] = parked
            asyncio.get_running_loop().call_later(PARK, self._unpark, parked)

    def _bound_parked(self, parked: Parked) -> None:
        """Its data channel is closed where it has too much: whoever opened it may do so again."""
        together = sum(other.size for other in self._parked.values())
        too_much = parked.size > MAX_PARKED_BYTES or together > MAX_PARKED_TOGETHER
        if too_much or len(parked.messages) > MAX_PARKED_MESSAGES:
            parked.close()

    def _unpark(self, parked: Parked) -> None:
        if self._parked.get(parked.channel.label) is parked:
            logger.info("a data channel %.80r is closed: nobody expects it", parked.channel.label)
            del self._parked[parked.channel.label]
            parked.close()

    def _accept(self, port: Port, parked: Parked) -> None:
        channel = parked.channel
        shut = time.monotonic() < port.shut_until
        if shut or port.channel is not None or not port.fits(channel) or channel.readyState != "open":
            logger.info("a data channel %.80r is closed: it is open already, has other options, or is too soon", channel.label)
            parked.close()
            return
        channel.remove_all_listeners()
        self._bind(port, channel)
        for data in parked.messages:
            self._receive(port, channel, data)

    def _bind(self, port: Port, channel: RTCDataChannel) -> None:
        port.channel = channel
        channel.bufferedAmountLowThreshold = 0
        channel.on("message", lambda data: self._receive(port, channel, data))
        channel.on("error", lambda error: self._failed(port, channel, error))
        channel.on("close", lambda: self._closed(port, channel))
        channel.on("bufferedamountlow", self.pump)
        if channel.readyState == "open":
            self._opened(port, channel)
        else:
            channel.on("open", lambda: self._opened(port, channel))

    def _opened(self, port: Port, channel: RTCDataChannel) -> None:
        if port.channel is not channel:
            return
        port.opened_at = time.monotonic()
        port.outlet.restart()
        self.flush(port)  # of what came before that: where nothing is ordered a message may overtake the answer to our opening
        port.opened()
        self.pump()

    def _receive(self, port: Port, channel: RTCDataChannel, data: bytes) -> None:
        if port.channel is not channel:
            return
        self._guarded(port, lambda: self._take(port, data))
        self.pump()

    def _failed(self, port: Port, channel: RTCDataChannel, error: Exception) -> None:
        if port.channel is channel:
            self._break(port, error)

    def _guarded(self, port: Port, work: Callable[[], None]) -> None:
        """What goes wrong with what the other side sends costs it this data channel, and nothing else."""
        try:
            work()
        except (FrameError, Violation, MemoryError) as error:
            self._break(port, error)
        else:
            self.flush(port)

    def _break(self, port: Port, error: Exception) -> None:
        self._fault(port.label, str(error))
        self._drop(port)
        # Half of the time that whoever opens waits: nobody who keeps to the rules is turned away.
        port.shut_until = time.monotonic() + self._open_again(port) / 2

    def _take(self, port: Port, data: bytes) -> None:
        frame = decode(data)
        if isinstance(frame, Taken | Credit):
            port.outlet.receive(frame)
        elif port.inlet is not None:
            port.inlet.receive(frame)
        else:
            raise Violation("nothing may be sent this way")

    def _closed(self, port: Port, channel: RTCDataChannel) -> None:
        if port.channel is channel:
            self._drop(port)
            self._open_again(port)

    def _drop(self, port: Port) -> None:
        """Its data channel is of no use any more."""
        channel, port.channel = port.channel, None
        if channel is None:
            return
        if port.inlet is not None:
            port.inlet.restart()
        port.closed()
        try:
            channel.close()
        except Exception as error:
            logger.debug("closing the data channel %r: %r", port.label, error)  # aiortc's, of a connection that is gone

    def _open_again(self, port: Port) -> float:
        """By whoever opens; both have the label in their records, so that it cannot be meant to stay closed. Returns after how
        many seconds."""
        if time.monotonic() - port.opened_at > REOPEN_LAST:
            port.delay = REOPEN_FIRST
        delay, port.delay = port.delay, min(2 * port.delay, REOPEN_LAST)
        if self._opens and self._pc is not None and self._ports.get(port.label) is port and port.label not in self._reopening:
            self._reopening[port.label] = asyncio.get_running_loop().call_later(delay, self._reopen, port)
        return delay

    def _reopen(self, port: Port) -> None:
        del self._reopening[port.label]
        self._create(port)
