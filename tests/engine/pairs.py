"""Two RTCPeerConnections in one process, a track that is driven by hand, a sink that remembers (test process)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver, install
from forge_rtc_nb.engine.negotiation import prepare_offer
from tests.support import await_for

install()

SIZE = (240, 320)


def send_raw(connection: RTCPeerConnection, stream: int, ppid: int, data: bytes, ordered: bool = True) -> None:
    """A message of SCTP, whatever `RTCDataChannel` thinks of it; ``ppid`` as RFC 8831 section 8 has them."""
    transport: Any = connection.sctp
    transport._association.send(stream, ppid, data, ordered=ordered, now=time.monotonic())
    transport._wake()


class HandTrack(MediaStreamTrack):
    """A video track whose frames a test sends one by one; each is a plane of one brightness."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._frames: asyncio.Queue[av.VideoFrame | None] = asyncio.Queue()
        self._pts = 0

    def show(self, value: int, size: tuple[int, int] = SIZE) -> None:
        """Send a frame; ``value`` is its luma, 16 to 235."""
        frame = av.VideoFrame(size[1], size[0], "yuv420p")
        for plane, fill in zip(frame.planes, (value, 128, 128), strict=True):
            plane.update(bytes([fill]) * plane.buffer_size)
        frame.pts, frame.time_base = self._pts, Fraction(1, 90000)
        self._pts += 3000
        self._frames.put_nowait(frame)

    @property
    def all_taken(self) -> bool:
        """Whether every frame was read by a sender."""
        return self._frames.empty()

    async def recv(self) -> av.VideoFrame:
        frame = await self._frames.get()
        if frame is None or self.readyState != "live":
            raise MediaStreamError
        return frame

    def stop(self) -> None:
        super().stop()
        self._frames.put_nowait(None)


@dataclass
class Delivered:
    value: float
    size: tuple[int, int]
    captured: float
    fresh: bool
    at: float
    thread: str


@dataclass
class MemorySink:
    """A `VideoSink` that keeps the brightness of what it gets."""

    pictures: list[Delivered] = field(default_factory=list)
    kind: Literal["video"] = "video"

    def deliver(self, picture: av.VideoFrame, captured: float, fresh: bool) -> None:
        luma: Any = np.frombuffer(picture.planes[0], np.uint8)  # type: ignore[call-overload]
        size = (picture.height, picture.width)
        thread = threading.current_thread().name
        self.pictures.append(Delivered(float(np.median(luma)), size, captured, fresh, time.time(), thread))

    def has(self, value: int) -> bool:
        """Whether the newest picture has this brightness."""
        return bool(self.pictures) and abs(self.pictures[-1].value - value) < 6


def new_connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def negotiate(offerer: RTCPeerConnection, answerer: RTCPeerConnection, codecs: tuple[str, ...]) -> None:
    """One round of offer and answer, the offer prepared as the engine does."""
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(RTCSessionDescription(prepare_offer(offerer.localDescription.sdp, codecs), "offer"))
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answerer.localDescription)


@dataclass
class Pair:
    sender: RTCPeerConnection
    receiver: RTCPeerConnection
    track: HandTrack
    sink: MemorySink

    @property
    def live(self) -> LiveReceiver:
        receiver = self.receiver.getTransceivers()[0].receiver
        assert isinstance(receiver, LiveReceiver)
        return receiver

    async def show(self, value: int) -> None:
        """Send one frame and wait for it to arrive, with none after it."""
        self.track.show(value)
        await await_for(lambda: self.sink.has(value), what=f"the picture {value} arrives")

    async def show_until_seen(self, value: int) -> None:
        """Send the same frame until one arrives: the first may be lost while the connection comes up."""

        def seen() -> bool:
            self.track.show(value)
            return self.sink.has(value)

        await await_for(seen, what=f"a picture {value} arrives")


@asynccontextmanager
async def connected_pair(codec: str = "VP8") -> AsyncIterator[Pair]:
    """A stock sender connected with a `LiveReceiver`."""
    pair = Pair(new_connection(), new_connection(), HandTrack(), MemorySink())
    try:
        pair.sender.addTrack(pair.track)
        await negotiate(pair.sender, pair.receiver, (codec,))
        pair.live.sink = pair.sink
        await await_for(lambda: pair.sender.connectionState == pair.receiver.connectionState == "connected", what="connected")
        yield pair
    finally:
        await pair.sender.close()
        await pair.receiver.close()
