"""The data channels of one association: their streams, and what `RTCDataChannel` tells of them (engine process)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiortc import InvalidStateError, RTCDataChannel

from ..datachannel.association import Association
from .sctp_dcep import ACK, DCEP, OPEN, Opening, decode_data, decode_opening, encode_data

logger = logging.getLogger(__name__)

MAX_CHANNELS = 512
"""Data channels that a peer may have open at once; a room has 64 and a few."""
MAX_STREAM = 65534
"""65535 is no stream (RFC 8832 section 6)."""


class MessageTooLong(Exception):
    """The peer sent more than the size that was agreed on (RFC 8841 section 6)."""


class Channels:
    """Each open channel by its stream. Nothing that a peer sends costs more than the channel that it came on."""

    def __init__(self, transport: Any, offered: Callable[[RTCDataChannel], None], changed: Callable[[], None]) -> None:
        self._transport = transport
        self._offered = offered
        self._changed = changed
        """There is something to send."""
        self._association: Association | None = None
        self._by_stream: dict[int, Any] = {}
        self._unannounced: list[tuple[Any, bytes]] = []
        """There is nobody yet to announce them to; and what opens them."""
        self._sending: set[int] = set()
        """Streams on which something waited when it was last looked."""
        self._reset_here: set[int] = set()
        self._reset_there: set[int] = set()
        self._unusable: set[int] = set()
        """Streams without a channel that are not reset in both directions: an opening was refused, or a peer did not reset."""
        self._reused: set[int] = set()
        """The peer has shown that our reset is done, by using the stream again; that it is done was not told yet."""
        self._first = 0

    def __len__(self) -> int:
        return len(self._by_stream)

    def __contains__(self, stream: int) -> bool:
        return stream in self._by_stream

    # What this side wants

    def add_negotiated(self, channel: Any) -> None:
        """One that the other side adds as well. It opens in the next turn of the loop, when there are listeners."""
        self._claim(channel)
        if self._association is not None:
            asyncio.get_running_loop().call_soon(self._open_negotiated, channel)

    def open(self, channel: Any) -> None:
        """Announce it, at once or when there is somebody to announce it to; `ValueError` where that cannot be."""
        opening = Opening(
            channel.label, channel.protocol, channel.ordered, channel.maxRetransmits, channel.maxPacketLifeTime
        ).encode()
        if channel.id is not None:
            self._claim(channel)
        elif self._association is not None:
            self._give_stream(channel)
        self._unannounced.append((channel, opening))
        if self._association is not None:
            self._announce()

    def send(self, channel: Any, data: str | bytes, most: int) -> None:
        """A message of ``most`` bytes, unless that is 0; `ValueError` for a larger one, `InvalidStateError` when it is over."""
        ppid, content = encode_data(data)
        if most and len(content) > most:
            raise ValueError(
                f"Cannot send message of {len(content)} bytes, the remote party only supports messages up to {most} bytes"
            )
        if self._association is None:
            return
        lifetime = channel.maxPacketLifeTime
        try:
            self._association.send(
                channel.id,
                ppid,
                content,
                ordered=channel.ordered,
                max_retransmits=channel.maxRetransmits,
                max_lifetime=lifetime / 1000 if lifetime is not None else None,
                now=time.monotonic(),
            )
        except ConnectionError:  # it has ended, which the channel is about to be told
            raise InvalidStateError from None
        channel._addBufferedAmount(len(content))
        self._sending.add(channel.id)
        self._changed()

    def close(self, channel: Any) -> None:
        """Reset its stream once what waits is sent (RFC 8831 section 6.7); one that nobody heard of is closed at once."""
        if channel.readyState in ("closing", "closed"):
            return
        channel._setReadyState("closing")
        if self._association is not None and channel.id is not None:
            self._association.reset([channel.id])
            self._changed()
            return
        self._unannounced = [each for each in self._unannounced if each[0] is not channel]
        self._by_stream.pop(channel.id, None)
        _safely(channel._setReadyState, "closed")

    # What the association tells

    def established(self, association: Association, even: bool) -> None:
        """Data can go; ``even`` are the streams of the side that is the DTLS client (RFC 8832 section 6)."""
        self._association, self._first = association, 0 if even else 1
        for channel in list(self._by_stream.values()):
            if channel.negotiated:
                self._open_negotiated(channel)
        self._announce()

    def message(self, stream: int, ppid: int, data: bytes) -> None:
        """What does not belong to an open channel is dropped; one whose peer sends is open (RFC 8832 section 6)."""
        if ppid == DCEP:
            self._dcep(stream, data)
            return
        channel = self._by_stream.get(stream)
        content = decode_data(ppid, data)
        if channel is None or content is None:
            return
        if channel.readyState == "connecting":
            _safely(channel._setReadyState, "open")
        if channel.readyState == "open":
            _safely(channel.emit, "message", content)

    def too_large(self, stream: int, most: int) -> None:
        """A message of more than ``most`` bytes, which is dropped: an ``error`` event, and the channel is closed."""
        channel = self._by_stream.get(stream)
        if channel is None or channel.readyState != "open":
            return
        if channel.listeners("error"):  # without any, pyee raises it
            _safely(channel.emit, "error", MessageTooLong(f"a message of more than {most} bytes"))
        self.close(channel)

    def peer_reset(self, streams: tuple[int, ...]) -> None:
        """The other side closed them, or answers our own closing; none means all."""
        for stream in streams or (*self._by_stream, *self._unusable):
            channel = self._by_stream.get(stream)
            if channel is not None:
                self._reset_there.add(stream)
                self.close(channel)
            elif stream in self._unusable:
                self._reset_there.add(stream)
            self._close_if_reset(stream)

    def reset_done(self, streams: tuple[int, ...], performed: bool) -> None:
        """Of our own; not ``performed``: the peer may believe that the channel is still there, so the stream is spent."""
        for stream in streams:
            if stream in self._reused:
                self._reused.discard(stream)
            elif not performed:
                self._closed(stream)
                self._unusable.add(stream)
            elif stream in self._by_stream or stream in self._unusable:
                self._reset_here.add(stream)
                self._close_if_reset(stream)

    def tell_buffered(self) -> None:
        """Bring what the channels say is buffered up to date, which may tell that it is little."""
        association = self._association
        if association is None:
            return
        for stream in tuple(self._sending):
            channel, left = self._by_stream.get(stream), association.buffered(stream)
            if not left:
                self._sending.discard(stream)
            if channel is not None and left != channel.bufferedAmount:
                _safely(channel._addBufferedAmount, left - channel.bufferedAmount)

    def close_all(self) -> None:
        """The association is over, or never began."""
        unannounced, self._unannounced, self._association = self._unannounced, [], None
        for stream in list(self._by_stream):
            self._closed(stream)
        for channel, _ in unannounced:
            _safely(channel._setReadyState, "closed")
        for streams in (self._reset_here, self._reset_there, self._unusable, self._reused):
            streams.clear()

    def _dcep(self, stream: int, data: bytes) -> None:
        channel = self._by_stream.get(stream)
        if data[:1] == bytes([ACK]):
            if channel is not None and channel.readyState == "connecting":
                _safely(channel._setReadyState, "open")
        elif data[:1] == bytes([OPEN]) and stream <= MAX_STREAM:
            if stream in self._reset_there and stream not in self._reused:  # what tells that ours is done too is yet to come
                self._closed(stream)
                self._reused.add(stream)
            self._opened_there(stream, decode_opening(data))

    def _opened_there(self, stream: int, opening: Opening | None) -> None:
        """What may not be opened is closed by a reset (RFC 8832 section 6): a stream in use, of our parity, broken text."""
        channel = self._by_stream.get(stream)
        if channel is not None:
            logger.info("a data channel is closed: its stream %d was opened again", stream)
            self.close(channel)
        elif opening is None or len(self._by_stream) >= MAX_CHANNELS or stream % 2 == self._first:
            self._refuse(stream)
        elif stream not in self._unusable:
            self._accept(stream, opening)

    def _refuse(self, stream: int) -> None:
        logger.info("a data channel on stream %d is refused", stream)
        if stream not in self._unusable and self._association is not None:
            self._unusable.add(stream)
            self._association.reset([stream])
            self._changed()

    def _accept(self, stream: int, opening: Opening) -> None:
        assert self._association is not None
        channel: Any = RTCDataChannel(self._transport, opening.parameters(stream), False)
        self._by_stream[stream] = channel
        channel._setReadyState("open")  # nobody listens yet: `open` is told after the channel is
        with suppress(ConnectionError):  # the association has ended meanwhile, which is told next
            self._association.send(stream, DCEP, bytes([ACK]), now=time.monotonic())
        self._changed()
        _safely(self._offered, channel)
        if channel.readyState == "open":
            _safely(channel.emit, "open")

    def _open_negotiated(self, channel: Any) -> None:
        association = self._association
        is_there = self._by_stream.get(channel.id) is channel
        if association is None or not is_there or channel.readyState != "connecting":
            return
        if channel.id < association.streams:
            _safely(channel._setReadyState, "open")
        else:
            self._closed(channel.id)

    def _claim(self, channel: Any) -> None:
        if not 0 <= channel.id <= MAX_STREAM:
            raise ValueError(f"there is no data channel with ID {channel.id}: choose one from 0 to {MAX_STREAM}")
        if channel.id in self._by_stream or channel.id in self._unusable:
            raise ValueError(f"Data channel with ID {channel.id} already registered")
        self._by_stream[channel.id] = channel

    def _announce(self) -> None:
        """Those for which the peer has no stream are closed."""
        assert self._association is not None
        waiting, self._unannounced = self._unannounced, []
        for channel, opening in waiting:
            try:
                if channel.id is None:
                    self._give_stream(channel)
                self._association.send(channel.id, DCEP, opening, now=time.monotonic())
            except ValueError as error:
                logger.info("a data channel is closed: %s", error)
                self._by_stream.pop(channel.id, None)
                _safely(channel._setReadyState, "closed")
        if waiting:
            self._changed()

    def _give_stream(self, channel: Any) -> None:
        """`ValueError` where all that the peer takes are in use."""
        assert self._association is not None
        most = min(MAX_STREAM + 1, self._association.streams)
        taken = (self._by_stream, self._unusable)
        stream = next((each for each in range(self._first, most, 2) if not any(each in some for some in taken)), None)
        if stream is None:
            raise ValueError(f"all {most} streams that the peer takes are in use: close a data channel first")
        channel._setId(stream)
        self._claim(channel)

    def _close_if_reset(self, stream: int) -> None:
        """The stream is free once both directions are reset (RFC 8831 section 6.7)."""
        if stream in self._reset_here and stream in self._reset_there:
            self._closed(stream)

    def _closed(self, stream: int) -> None:
        for streams in (self._reset_here, self._reset_there, self._unusable, self._sending):
            streams.discard(stream)
        channel = self._by_stream.pop(stream, None)
        if channel is not None:
            _safely(channel._setReadyState, "closed")


def _safely(tell: Callable[..., object], *arguments: object) -> None:
    """What a listener does wrong is no matter of the others, nor of the connection."""
    try:
        tell(*arguments)
    except Exception:
        logger.exception("a listener of a data channel failed")
