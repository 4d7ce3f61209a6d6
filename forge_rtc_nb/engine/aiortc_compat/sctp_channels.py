"""The data channels of one association: their streams, and what `RTCDataChannel` tells of them (engine process)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCDataChannel

from ..datachannel.association import Association
from .sctp_dcep import ACK, DCEP, Opening, decode_data, decode_opening, encode_data

logger = logging.getLogger(__name__)

MAX_CHANNELS = 512
"""Data channels that a peer may have open at once; a room has 64 and a few."""
MAX_STREAM = 65534
"""65535 is no stream (RFC 8832 section 6)."""


class Channels:
    """Each open channel by its stream. Nothing that a peer sends costs more than the channel that it came on."""

    def __init__(self, transport: Any, offered: Callable[[RTCDataChannel], None], changed: Callable[[], None]) -> None:
        self._transport = transport
        self._offered = offered
        self._changed = changed
        """There is something to send."""
        self._association: Association | None = None
        self._by_stream: dict[int, Any] = {}
        self._unannounced: list[Any] = []
        """They have no stream yet, or nobody to announce them to."""
        self._sending: set[int] = set()
        """Streams on which something waited when it was last looked."""
        self._reset_here: set[int] = set()
        self._reset_there: set[int] = set()
        self._first = 0

    def __len__(self) -> int:
        return len(self._by_stream)

    def __contains__(self, stream: int) -> bool:
        return stream in self._by_stream

    # What this side wants

    def add_negotiated(self, channel: Any) -> None:
        """One that the other side adds as well."""
        self._claim(channel)
        if self._association is not None:
            _safely(channel._setReadyState, "open")

    def open(self, channel: Any) -> None:
        """Announce it, at once or when there is somebody to announce it to."""
        if channel.id is not None:
            self._claim(channel)
        self._unannounced.append(channel)
        if self._association is not None:
            self._announce()

    def send(self, channel: Any, data: str | bytes, most: int) -> None:
        """A message of ``most`` bytes, unless that is 0; `ValueError` for a larger one."""
        ppid, content = encode_data(data)
        if most and len(content) > most:
            raise ValueError(
                f"Cannot send message of {len(content)} bytes, the remote party only supports messages up to {most} bytes"
            )
        if self._association is None:
            return
        lifetime = channel.maxPacketLifeTime
        self._association.send(
            channel.id,
            ppid,
            content,
            ordered=channel.ordered,
            max_retransmits=channel.maxRetransmits,
            max_lifetime=lifetime / 1000 if lifetime is not None else None,
            now=time.monotonic(),
        )
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
        self._unannounced = [other for other in self._unannounced if other is not channel]
        self._by_stream.pop(channel.id, None)
        _safely(channel._setReadyState, "closed")

    # What the association tells

    def established(self, association: Association, even: bool) -> None:
        """Data can go; ``even`` are the streams of the side that is the DTLS client (RFC 8832 section 6)."""
        self._association, self._first = association, 0 if even else 1
        for channel in list(self._by_stream.values()):
            if channel.negotiated:
                _safely(channel._setReadyState, "open")
        self._announce()

    def message(self, stream: int, ppid: int, data: bytes) -> None:
        """What does not belong to an open channel is dropped."""
        if ppid == DCEP:
            self._dcep(stream, data)
            return
        channel = self._by_stream.get(stream)
        content = decode_data(ppid, data)
        if channel is not None and content is not None:
            _safely(channel.emit, "message", content)

    def peer_reset(self, streams: tuple[int, ...]) -> None:
        """The other side closed them, or answers our own closing; none means all."""
        for stream in streams or tuple(self._by_stream):
            channel = self._by_stream.get(stream)
            if channel is not None:
                self._reset_there.add(stream)
                self.close(channel)
                self._close_if_reset(stream)

    def reset_done(self, streams: tuple[int, ...], performed: bool) -> None:
        for stream in streams:
            if not performed:
                self._closed(stream)
            elif stream in self._by_stream:
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
        for channel in unannounced:
            _safely(channel._setReadyState, "closed")

    def _dcep(self, stream: int, data: bytes) -> None:
        channel = self._by_stream.get(stream)
        if data[:1] == bytes([ACK]) and channel is not None:
            if channel.readyState == "connecting":
                _safely(channel._setReadyState, "open")
            return
        opening = decode_opening(data)
        if opening is None or channel is not None or len(self._by_stream) >= MAX_CHANNELS or stream > MAX_STREAM:
            logger.info("a DCEP message on stream %d is dropped", stream)
            return
        self._accept(stream, opening)

    def _accept(self, stream: int, opening: Opening) -> None:
        assert self._association is not None
        channel: Any = RTCDataChannel(self._transport, opening.parameters(stream), False)
        self._by_stream[stream] = channel
        _safely(channel._setReadyState, "open")
        self._association.send(stream, DCEP, bytes([ACK]), now=time.monotonic())
        self._changed()
        _safely(self._offered, channel)

    def _claim(self, channel: Any) -> None:
        if channel.id in self._by_stream:
            raise ValueError(f"Data channel with ID {channel.id} already registered")
        self._by_stream[channel.id] = channel

    def _announce(self) -> None:
        assert self._association is not None
        waiting, self._unannounced = self._unannounced, []
        for channel in waiting:
            if channel.id is None:
                channel._setId(self._free_stream())
                self._claim(channel)
            opening = Opening(
                channel.label, channel.protocol, channel.ordered, channel.maxRetransmits, channel.maxPacketLifeTime
            )
            self._association.send(channel.id, DCEP, opening.encode(), now=time.monotonic())
        if waiting:
            self._changed()

    def _free_stream(self) -> int:
        stream = self._first
        while stream in self._by_stream:
            stream += 2
        return stream

    def _close_if_reset(self, stream: int) -> None:
        """The stream is free once both directions are reset (RFC 8831 section 6.7)."""
        if stream in self._reset_here and stream in self._reset_there:
            self._closed(stream)

    def _closed(self, stream: int) -> None:
        self._reset_here.discard(stream)
        self._reset_there.discard(stream)
        self._sending.discard(stream)
        channel = self._by_stream.pop(stream, None)
        if channel is not None:
            _safely(channel._setReadyState, "closed")


def _safely(tell: Callable[..., object], *arguments: object) -> None:
    """What a listener does wrong is no matter of the others, nor of the connection."""
    try:
        tell(*arguments)
    except Exception:
        logger.exception("a listener of a data channel failed")
