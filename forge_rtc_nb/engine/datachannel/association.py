"""An SCTP association without clock, socket or loop: packets and times in, packets and events out (engine process).

RFC 9260 as WebRTC uses it (RFC 8261, RFC 8831): one path, over DTLS, with partial reliability (RFC 3758) and stream reset
(RFC 6525). The layer above gives each packet to `receive` and calls `end_batch` when the socket has no more (or after some
dozens of packets), sends what `take_packets` returns, and calls `on_timer` at `deadline`. All times are its own, in seconds.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from google_crc32c import extend

from .chunks import (
    ABORT,
    CHECKSUM,
    CHUNK_HEADER,
    COMMON_HEADER,
    COOKIE_ACK,
    COOKIE_ECHO,
    DATA,
    DATA_CHUNK,
    DATA_HEADER,
    ERROR,
    FORWARD_TSN,
    HEARTBEAT,
    HEARTBEAT_ACK,
    HEARTBEAT_INFO,
    INIT,
    INIT_ACK,
    LARGE,
    NO_CHECKSUM,
    PAD,
    PLAIN_SACK,
    PLAIN_SACK_CHUNK,
    PROTOCOL_VIOLATION,
    RE_CONFIG,
    REFLECTED,
    SACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    UNRECOGNIZED_CHUNK,
    USER_ABORT,
    Init,
    Malformed,
    checksum_is_right,
    chunk,
    chunks_of,
    error_chunk,
    header_seed,
    is_filling,
    packet,
    packet_header,
    parameter,
    parameters_of,
    word,
)
from .control_block import ControlBlock
from .events import Event, ProbeAcknowledged
from .inbound import Inbound, Violation
from .lifecycle import MAX_FAILURES, MAX_OVERSIZED, SETTING_UP, TAKES_DATA, Lifecycle, State
from .outgoing import Outgoing, Schedule
from .setup import STREAMS, UNKNOWN, Capacity, Identity, Peer

MIN_PACKET: Final = 512
MAX_PACKET: Final = 65_000


class Association:
    """Whoever sends looks at `buffered`: what is not sent yet is bounded by nothing else. What arrives is an event at once."""

    def __init__(
        self,
        *,
        local_port: int = 5000,
        remote_port: int = 5000,
        packet_size: int = 1200,
        receive_window: int = 8 << 20,
        max_message: int = 262_144,
        queue_limit: int = 192 << 10,
        capacity: Capacity = UNKNOWN,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """``packet_size`` is that of an SCTP packet in bytes, without what DTLS and UDP add.

        ``queue_limit`` are the bytes that may wait in a queue on the way: what the peer's UDP socket takes before it drops, if
        the peer does not tell. ``capacity`` is what we tell of ours.
        """
        self.events: deque[Event] = deque()
        self._ports = local_port, remote_port
        self._packet_size = packet_size
        self._receive_window, self._max_message, self._queue_limit = receive_window, max_message, queue_limit
        self._schedule = Schedule()
        self._life = Lifecycle(self._ports, Identity(receive_window, capacity, random), self.events, self._begin)
        self._expects = packet_header(remote_port, local_port, self._life.identity.tag)
        self._seed = header_seed(self._expects)
        self._unchecked = capacity.unchecked
        self._block: ControlBlock | None = None
        self._probes: deque[int] = deque(maxlen=4)

    def _begin(self, peer: Peer) -> None:
        """The peer is known, or is another: both halves start from nothing."""
        life = self._life
        self._expects = packet_header(self._ports[1], self._ports[0], life.identity.tag)
        self._seed = header_seed(self._expects)
        if self.state is not State.CLOSED and self.state not in SETTING_UP:
            self._schedule = Schedule()  # a restart: what was queued belongs to the channels of before
        inbound = Inbound(peer.tsn, self._receive_window, self._max_message, self.events)
        sizes = self._packet_size, max(self._queue_limit, peer.capacity.room)
        self._block = ControlBlock(self._ports, life.identity, peer, self._schedule, inbound, sizes, life.control, self.events)

    @property
    def state(self) -> State:
        return self._life.state

    # What the application does

    def connect(self, now: float) -> None:
        """Begins; if both sides do, it becomes one association all the same."""
        self._life.connect(now)

    def send(
        self,
        stream: int,
        ppid: int,
        data: bytes | bytearray | memoryview,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
        now: float,
    ) -> None:
        """Queues a message. ``data`` is not copied: it must not change before it is acknowledged.

        Raises: ValueError where it cannot be sent, ConnectionError where the association is over.
        """
        if self.state not in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED):
            raise ConnectionError("the association is closed: nothing can be sent any more")
        if not 0 <= stream < self.streams:
            raise ValueError(f"there is no stream {stream}: use one from 0 to {self.streams - 1}")
        whole = data if isinstance(data, bytes) else memoryview(data).cast("B")
        if not len(whole):
            raise ValueError("SCTP carries no empty message: send one byte with the PPID for empty ones (RFC 8831 section 6.6)")
        expires = None if max_lifetime is None else now + max_lifetime
        self._schedule.add(Outgoing(self._schedule.queue(stream), ppid, whole, ordered, max_retransmits, expires))

    def buffered(self, stream: int) -> int:
        """Bytes of messages on this stream that were not put into packets yet."""
        return self._schedule.buffered(stream)

    def reset(self, streams: Iterable[int]) -> None:
        """Resets outgoing streams, once what was sent on them has gone out; `ResetDone` tells what became of it."""
        if self._block is not None:
            self._block.resets.ask(list(streams))

    def close(self, now: float) -> None:
        """Ends it when all that was sent has arrived; `Closed` tells when."""
        self._life.close()
        self._settle(now)

    def abort(self, reason: str = "") -> None:
        """Ends it at once and tells the peer so."""
        self._life.abort(USER_ABORT, reason)

    @property
    def streams(self) -> int:
        """Those that may be sent on: as many as the peer takes, once it is known."""
        return self._life.peer.streams if self._life.peer is not None else STREAMS

    @property
    def largest_packet(self) -> int:
        """That the peer takes, in bytes; 0 where it has not told."""
        return self._life.peer.capacity.packet if self._life.peer is not None else 0

    @property
    def packet_size(self) -> int:
        """Bytes of an SCTP packet at most. A chunk that was sent in a larger one before is sent again as large as it was."""
        return self._packet_size

    @packet_size.setter
    def packet_size(self, size: int) -> None:
        if not MIN_PACKET <= size <= MAX_PACKET:
            raise ValueError(f"packets of {size} bytes: choose between {MIN_PACKET} and {MAX_PACKET}")
        self._packet_size = size
        if self._block is not None:
            self._block.packer.size = size
            self._block.outbound.set_packet_size(size)

    def probe(self, size: int) -> None:
        """Sends a packet padded to ``size`` bytes (RFC 8899, RFC 4820); `ProbeAcknowledged` if it arrives and is answered.

        Sizes are multiples of 4: others are rounded down, also in the event.
        """
        size &= ~3
        if self._block is None or self.state is not State.ESTABLISHED:
            return
        heartbeat = chunk(HEARTBEAT, 0, parameter(HEARTBEAT_INFO, size.to_bytes(4, "big")))
        rest = size - COMMON_HEADER - len(heartbeat) - CHUNK_HEADER
        if rest < 0:
            raise ValueError(f"a probe of {size} bytes is too small")
        self._probes.append(size)
        self._life.packets.append(packet(self._block.packer.header, [heartbeat, chunk(PAD, 0, bytes(rest))]))

    # What the network does

    def receive(self, packet: bytes | bytearray | memoryview, now: float) -> None:
        """One packet. Whatever it is, nothing is raised: it is dropped, or the association is aborted."""
        data = packet if type(packet) is bytes else bytes(packet)
        try:
            if not self._receive_usual(data, now):
                self._receive_any(data, now)
        except Violation as error:
            self._life.abort(PROTOCOL_VIOLATION, str(error))
        except Malformed:
            pass  # the chunks in front of it were taken

    def _receive_usual(self, data: bytes, now: float) -> bool:
        """A packet as most are: a SACK that tells of nothing out of order, a DATA chunk, or both; False where it is another, of
        which nothing was taken. Only while the association is established: there is no end of it to go on with.
        """
        block, size, at = self._block, len(data), COMMON_HEADER
        if size < PLAIN_SACK or data[:8] != self._expects or block is None or self._life.state is not State.ESTABLISHED:
            return False
        if data[COMMON_HEADER] == SACK:
            _, _, length, until, window, counts = PLAIN_SACK_CHUNK.unpack_from(data, COMMON_HEADER)
            if length != PLAIN_SACK_CHUNK.size or counts:
                return False
            at = PLAIN_SACK
        if at < size:
            if size <= at + DATA_HEADER:
                return False
            kind, flags, length, tsn, stream, sequence, ppid = DATA_CHUNK.unpack_from(data, at)
            end = at + length
            if kind != DATA or length <= DATA_HEADER or (size != end + (-end & 3) and not is_filling(data, end + (-end & 3))):
                return False
        unchecked = self._unchecked and data[8:COMMON_HEADER] == NO_CHECKSUM
        if not unchecked and data[8:COMMON_HEADER] != CHECKSUM.pack(extend(self._seed, data[COMMON_HEADER:])):
            return True
        if at > COMMON_HEADER:
            block.receive_plain_sack(until, window, now)
        if at < size:
            large = length >= LARGE and 2 * length > size  # a view keeps all of the packet
            content = memoryview(data) if large else data
            block.inbound.add(tsn, flags, stream, sequence, ppid, content[at + DATA_HEADER : end])
            block.note_packet()
        return True

    def _receive_any(self, data: bytes, now: float) -> None:
        """A packet of any chunks."""
        if not checksum_is_right(data, self._unchecked) or data[:4] != self._expects[:4]:
            return
        chunks = chunks_of(data)
        tag = word(data[4:8])
        if data[:8] != self._expects and not self._is_exception(data, tag, now):
            return
        has_data = False
        for kind, flags, value in chunks:
            if self.state is State.ENDED and kind != SHUTDOWN_ACK:
                return
            if kind == DATA:
                if self._block is not None and self.state in TAKES_DATA:
                    self._block.receive_data(flags, value)
                    has_data = True
            elif not self._receive_chunk(kind, value, tag, now):
                break
        if has_data and self._block is not None:
            self._block.note_packet()
        self._settle(now)

    def _is_exception(self, data: bytes, tag: int, now: float) -> bool:
        """Whether a packet without our tag is one of those that need not have it (section 8.5.1)."""
        kind, flags, value = next(chunks_of(data), (DATA, 0, b""))
        if kind == INIT:
            if not tag and len(data) == COMMON_HEADER + CHUNK_HEADER + len(value) + (-len(value) % 4):
                self._life.receive_init(Init.parse(value), now)
            return False
        if kind in (ABORT, SHUTDOWN_COMPLETE):
            peer = self._life.peer
            return bool(flags & REFLECTED) and peer is not None and peer.tag == tag
        return kind == COOKIE_ECHO

    def _receive_chunk(self, kind: int, value: bytes, tag: int, now: float) -> bool:
        """Any chunk but DATA; False where the rest of the packet must not be read."""
        if kind in (SACK, FORWARD_TSN, RE_CONFIG):
            if self._block is not None:
                self._block.receive(kind, value, self.state, now)
        elif kind == HEARTBEAT:
            self._life.control.append(chunk(HEARTBEAT_ACK, 0, value))
        elif kind == HEARTBEAT_ACK:
            self._receive_heartbeat_ack(value)
        elif kind == COOKIE_ECHO:
            self._life.receive_cookie(value, tag, now)
            return self._expects[4:8] == tag.to_bytes(4, "big")
        else:
            return self._receive_rare(kind, value, now)
        return True

    def _receive_rare(self, kind: int, value: bytes, now: float) -> bool:
        """The chunks of setting up and ending, and unknown ones."""
        life = self._life
        if kind == INIT_ACK:
            life.receive_init_ack(Init.parse(value), now)
        elif kind == COOKIE_ACK:
            life.receive_cookie_ack(now)
            if self._block is not None and life.round_trip is not None:
                self._block.outbound.congestion.round_trip.measure(life.round_trip, now)
        elif kind == ABORT:
            life.receive_abort(value)
        elif kind == ERROR:
            life.receive_error(value, now)
        elif kind == SHUTDOWN:
            self._receive_shutdown(value, now)
        elif kind == SHUTDOWN_ACK:
            life.receive_shutdown_ack()
        elif kind == SHUTDOWN_COMPLETE:
            life.receive_shutdown_complete()
        elif kind == INIT:
            return False
        elif kind != PAD:
            return self._receive_unknown(kind, value)
        return True

    def _receive_unknown(self, kind: int, value: bytes) -> bool:
        """Its two highest bits say what to do (section 3.2)."""
        if kind & 0x40:
            self._life.control.append(error_chunk(ERROR, UNRECOGNIZED_CHUNK, chunk(kind, 0, value[:64])))
        return bool(kind & 0x80)

    def _receive_shutdown(self, value: bytes, now: float) -> None:
        if self._block is not None:
            outbound = self._block.outbound
            outbound.acknowledge(word(value), outbound.peer_window, [], now)
            self._life.receive_shutdown(now)

    def _receive_heartbeat_ack(self, value: bytes) -> None:
        for kind, info in parameters_of(value):
            size = int.from_bytes(info, "big")
            if kind == HEARTBEAT_INFO and size in self._probes:
                self._probes.remove(size)
                self.events.append(ProbeAcknowledged(size))

    def end_batch(self, now: float) -> None:
        """All that the socket had was given to `receive`: it is acknowledged, a single packet after a moment."""
        if self._block is not None:
            self._block.end_batch(now)

    @property
    def may_wait(self) -> bool:
        """Whether all there is to send is an acknowledgement, and that not at once."""
        return self._block is not None and self._block.may_wait

    @property
    def expects_more(self) -> bool:
        """Whether a peer that sends a few packets at a time, which ours do not, is amid a message."""
        peer, block = self._life.peer, self._block
        return peer is not None and block is not None and not peer.capacity.packet and block.inbound.amid_message

    def take_packets(self, now: float, most: int) -> list[bytes]:
        """What to send now: ``most`` packets or a few more; those of equal size in a row where there are many."""
        packets = list(self._life.packets)
        self._life.packets.clear()
        if self._block is None:
            return packets
        if self.state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED):
            self._settle(now)
        return packets + self._block.take(self.state, most - len(packets), now)

    def _settle(self, now: float) -> None:
        """Goes on with the end, if all that was sent is acknowledged."""
        if self._block is not None and self._block.outbound.idle:
            self._life.drained(self._block.inbound.tsn, now)

    # Time

    @property
    def deadline(self) -> float | None:
        """When `on_timer` must be called, and `take_packets` after it; None: only when something happens."""
        first, block = self._life.at, self._block
        if block is not None and self._life.state is not State.ENDED:
            for time in block.times:
                if time is not None and (first is None or time < first):
                    first = time
        return first

    def on_timer(self, now: float) -> None:
        """Does what is due."""
        if self._life.at is not None and self._life.at <= now:
            self._life.time_out(now)
        if self._block is not None and self.state is not State.ENDED:
            self._block.on_timer(now)
            outbound = self._block.outbound
            if outbound.is_oversized and outbound.failures > MAX_OVERSIZED:
                self._life.abort(USER_ABORT, "the path does not carry packets that were sent when it did")
            elif self._block.failures > MAX_FAILURES:
                self._life.abort(USER_ABORT, "the peer does not acknowledge what is sent")
