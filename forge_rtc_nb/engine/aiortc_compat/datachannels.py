"""Holes in aiortc's data channels, closed: what a peer sends must cost no more than the channel it came on (engine process).

aiortc ends the whole association on a DCEP message that it does not expect (RFC 8832) and on text that is no UTF-8, and it puts
together messages of any size, in quadratic time (RFC 8831 section 6.6 lets a receiver refuse them).
"""

from __future__ import annotations

import asyncio
import logging
from struct import pack, unpack_from
from typing import Any

from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import (
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    LOCAL_MAX_MESSAGE_SIZE,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    DataChunk,
    ForwardTsnChunk,
    RTCSctpTransport,
    SackChunk,
)

logger = logging.getLogger(__name__)

MAX_CHANNELS = 512
"""Data channels that a peer may have open at once; a room has 64 and a few."""
WINDOW = 1024 * 1024
"""Bytes that may wait behind a lost packet; what aiortc advertises at first."""
MANY_CHUNKS = 1280
"""So many of a stream are too much work, however small they are: aiortc looks at all of them with each one that comes. A window
has 900 of those that fill a packet."""
MANY_TOGETHER = 8192
"""So many of all streams take too much memory, however small they are."""
MANY_AHEAD = 2048
"""Chunks this far behind a lost one are not received: aiortc sorts the numbers of all of them with each one that comes."""

MOST_UNDER_WAY = 160_000
"""Bytes; Linux gives a UDP socket 212,992 for packets and what the system keeps of each."""

_transport: Any = RTCSctpTransport
_receive = _transport._data_channel_receive
_receive_chunk = _transport._receive_data_chunk
_receive_forward_tsn = _transport._receive_forward_tsn_chunk
_receive_sack = _transport._receive_sack_chunk
_set_state = _transport._set_state


async def receive(self: Any, stream_id: int, pp_id: int, data: bytes) -> None:
    """`RTCSctpTransport._data_channel_receive` for what it can take; the rest is dropped, or is an empty message."""
    if pp_id == WEBRTC_DCEP and not _dcep_fits(self, stream_id, data):
        logger.info("a DCEP message on stream %d is dropped", stream_id)
        return
    if pp_id == WEBRTC_STRING and not _is_utf8(data):
        data = b""
    await _receive(self, stream_id, pp_id, data)


def _dcep_fits(transport: Any, stream_id: int, data: bytes) -> bool:
    known = stream_id in transport._data_channels
    if data[:1] == bytes([DATA_CHANNEL_ACK]):
        return known
    if data[:1] != bytes([DATA_CHANNEL_OPEN]) or len(data) < 12:
        return False
    label, protocol = unpack_from("!HH", data, 8)
    if known or len(transport._data_channels) >= MAX_CHANNELS or len(data) < 12 + label + protocol:
        return False
    return _is_utf8(data[12 : 12 + label]) and _is_utf8(data[12 + label : 12 + label + protocol])


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def receive_chunk(self: Any, chunk: DataChunk) -> None:
    """`RTCSctpTransport._receive_data_chunk`, but what a stream that overflowed still gets is forgotten until it is reset."""
    if MANY_AHEAD < (chunk.tsn - self._last_received_tsn) % 2**32 < 2**31:
        self._sack_needed = True
        return
    stream: Any = self._inbound_streams.get(chunk.stream_id)
    if getattr(stream, "overflowed", False):
        self._sack_needed = True
        self._mark_received(chunk.tsn)
        await self._reset_deferred_streams()
        return
    chunks, window = len(stream.reassembly) if stream is not None else 0, self._advertised_rwnd
    await _receive_chunk(self, chunk)
    stream = stream if stream is not None else self._inbound_streams.get(chunk.stream_id)
    if stream is None:
        return  # a duplicate, of a stream that is gone
    stream.waiting = getattr(stream, "waiting", 0) + window - self._advertised_rwnd
    self.chunks_waiting = getattr(self, "chunks_waiting", 0) + len(stream.reassembly) - chunks
    if _is_too_much(self, stream):
        _overflow(self, chunk.stream_id, stream)


def _is_too_much(transport: Any, stream: Any) -> bool:
    """Of this stream, or of all: then it is the one that grew."""
    if len(stream.reassembly) > MANY_CHUNKS:
        return True
    if stream.waiting > LOCAL_MAX_MESSAGE_SIZE + WINDOW:
        stream.waiting = _size(stream)  # what was abandoned was counted too
    return bool(
        stream.waiting > LOCAL_MAX_MESSAGE_SIZE + WINDOW
        or transport.chunks_waiting > MANY_TOGETHER
        or transport._advertised_rwnd < -WINDOW
    )


def _size(stream: Any) -> int:
    return sum(len(chunk.user_data) for chunk in stream.reassembly)


def _overflow(transport: Any, stream_id: int, stream: Any) -> None:
    stream.overflowed = True
    transport._advertised_rwnd += _size(stream)
    transport.chunks_waiting -= len(stream.reassembly)
    stream.reassembly = []
    channel = transport._data_channels.get(stream_id)
    if channel is not None:
        channel.emit("message", "")  # text, which no channel of ours may carry: whoever listens closes it


async def receive_forward_tsn(self: Any, chunk: ForwardTsnChunk) -> None:
    """`RTCSctpTransport._receive_forward_tsn_chunk`, after which less may be waiting."""
    await _receive_forward_tsn(self, chunk)
    self.chunks_waiting = sum(len(stream.reassembly) for stream in self._inbound_streams.values())


async def receive_sack(self: Any, chunk: SackChunk) -> None:
    """`RTCSctpTransport._receive_sack_chunk`, but what is under way fits into the socket's buffer at the other end.

    aiortc lets its window grow until that buffer overflows, and a packet that is lost at the end of a message costs a second or
    more: its timer's least value (RFC 9260 section 6.3.1).
    """
    self._cwnd = min(self._cwnd, MOST_UNDER_WAY)
    await _receive_sack(self, chunk)


def announce(self: Any, channel: RTCDataChannel) -> None:
    """`RTCSctpTransport._data_channel_open` with the lengths of label and protocol in bytes (RFC 8832 section 5.1), not in
    characters."""
    if channel.id is not None:
        self._data_channels[channel.id] = channel
    kind = (0 if channel.ordered else 0x80) | (channel.maxRetransmits is not None) | 2 * (channel.maxPacketLifeTime is not None)
    reliability = channel.maxRetransmits if channel.maxRetransmits is not None else channel.maxPacketLifeTime or 0
    label, protocol = channel.label.encode(), channel.protocol.encode()
    data = pack("!BBHLHH", DATA_CHANNEL_OPEN, kind, 0, reliability, len(label), len(protocol)) + label + protocol
    self._data_channel_queue.append((channel, WEBRTC_DCEP, data))
    asyncio.ensure_future(self._data_channel_flush())  # noqa: RUF006 - as aiortc does it


def close_all(self: Any, state: Any) -> None:
    """`RTCSctpTransport._set_state`, which cannot close a channel that waits for its number."""
    _set_state(self, state)
    if state == self.State.CLOSED:
        for channel, _, _ in self._data_channel_queue:
            channel._setReadyState("closed")
        self._data_channel_queue.clear()


def install_channel_fixes() -> None:
    _transport._data_channel_receive = receive
    _transport._receive_data_chunk = receive_chunk
    _transport._receive_forward_tsn_chunk = receive_forward_tsn
    _transport._receive_sack_chunk = receive_sack
    _transport._data_channel_open = announce
    _transport._set_state = close_all
