"""A publication and those who watch it, over real connections in one process (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver, PacketTrack, packet_track
from forge_rtc_nb.engine.aiortc_compat.packet_sender import FrameSource
from forge_rtc_nb.engine.negotiation import prepare_offer
from forge_rtc_nb.engine.publishing.picture import Picture
from forge_rtc_nb.engine.publishing.planes import Array
from forge_rtc_nb.engine.publishing.publication import Publication
from forge_rtc_nb.engine.publishing.viewer import Viewer
from tests.engine.pairs import MemorySink, new_connection
from tests.support import await_for

SIZE = (240, 320)


def flat(value: int, size: tuple[int, int] = SIZE) -> Picture:
    """A gray picture; as luma it is 16 + 219 / 255 of the value."""
    return Picture(np.full(size, value, np.uint8), "gray")


def luma(value: int) -> int:
    return round(16 + value * 219 / 255)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Array:
    """An RGB picture that no bitrate is enough for."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@dataclass
class Watcher:
    """Both ends of one connection, and what arrived."""

    pc: RTCPeerConnection
    far: RTCPeerConnection
    track: PacketTrack
    sink: MemorySink = field(default_factory=MemorySink)

    @property
    def viewer(self) -> Viewer:
        assert isinstance(self.track.source, Viewer)
        return self.track.source

    @property
    def sender(self) -> Any:
        return self.pc.getSenders()[0]

    @property
    def receiver(self) -> LiveReceiver:
        receiver = self.far.getTransceivers()[0].receiver
        assert isinstance(receiver, LiveReceiver)
        return receiver

    async def sees(self, value: int) -> None:
        """Wait for a picture of this gray."""
        await await_for(lambda: self.sink.has(luma(value)), what=f"a picture {value} arrives")

    async def estimates(self, bitrate: int) -> None:
        """Its receiver reports this bitrate (REMB)."""
        fci = pack_remb_fci(bitrate, [self.sender._ssrc])
        await self.sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))


async def answer(pc: RTCPeerConnection, offer: str, codec: str) -> PacketTrack:
    """As the engine answers who wants to watch."""
    await pc.setRemoteDescription(RTCSessionDescription(prepare_offer(offer, (codec,)), "offer"))
    transceiver = pc.getTransceivers()[0]
    transceiver.direction = "sendonly"
    track = packet_track(transceiver)
    await pc.setLocalDescription(await pc.createAnswer())
    return track


@asynccontextmanager
async def connected(source: FrameSource | None, codec: str = "VP8") -> AsyncIterator[Watcher]:
    """A connection over which the source is sent."""
    pc, far = new_connection(), new_connection()
    try:
        far.addTransceiver("video", direction="recvonly")
        await far.setLocalDescription(await far.createOffer())
        watcher = Watcher(pc, far, await answer(pc, far.localDescription.sdp, codec))
        watcher.track.source = source
        watcher.receiver.sink = watcher.sink
        await far.setRemoteDescription(pc.localDescription)
        await await_for(lambda: pc.connectionState == far.connectionState == "connected", what="connected")
        yield watcher
    finally:
        await asyncio.gather(pc.close(), far.close())


@asynccontextmanager
async def watched(
    count: int = 1, codec: str = "VP8", bitrate: int | None = None, picture: Picture | None = None
) -> AsyncIterator[tuple[Publication, list[Watcher]]]:
    """A publication that shows a picture, and its viewers, who see it."""
    publication = Publication(bitrate=bitrate)
    publication.show(picture or flat(50))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(publication.close)
        watchers = [await stack.enter_async_context(connected(publication.viewer(), codec)) for _ in range(count)]
        for watcher in watchers:
            await await_for(lambda watcher=watcher: watcher.sink.pictures, what="the picture arrives")  # type: ignore[misc]
        yield publication, watchers


async def film(publication: Publication, until: Callable[[], object], what: str, show: Callable[[int], Picture]) -> None:
    """Show picture after picture, about 30 a second, until something holds."""
    count = 0

    async def next_picture() -> object:
        nonlocal count
        publication.show(show(count))
        count += 1
        await asyncio.sleep(0.01)  # the rest of 33 ms is spent by `await_for`
        return until()

    condition: Callable[[], object | Awaitable[object]] = next_picture
    await await_for(condition, 20, what)
