"""A browser tab as the engine's `Peer` sees it: an RTCPeerConnection that offers, over signaling in memory (test process)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from forge_rtc_nb.engine.peer import Peer
from forge_rtc_nb.engine.published import PublishedStream
from forge_rtc_nb.errors import InvalidMessage
from forge_rtc_nb.protocol import Answer, IceServer, Message, Offer, SessionDescription, Stream
from tests.engine.pairs import HandTrack, MemorySink, new_connection
from tests.support import await_for

M = TypeVar("M", bound=Message)
_epochs = itertools.count(1)


class Browser:
    """Holds the `Peer` under test and everything that it sent."""

    def __init__(self, name: str = "tab-1") -> None:
        self.messages: list[Message] = []
        self.faults: list[str] = []
        self.connections: list[RTCPeerConnection] = []
        self.answers_pings = True
        self.ice_servers: list[IceServer] = []
        self.too_long = False
        self.published: dict[str, PublishedStream] = {}
        self.peer = Peer(name, self._take, self._ice, self.faults.append, published=self.published.get)
        self.epoch = 0

    def _take(self, message: Message) -> None:
        """What `SignalingClient.send` does."""
        if self.too_long and isinstance(message, Answer):
            raise InvalidMessage("too long")
        self.messages.append(message)

    @property
    def pc(self) -> RTCPeerConnection:
        """The present connection of the tab."""
        return self.connections[-1]

    def sent(self, kind: type[M]) -> list[M]:
        """The messages of this type that the engine sent."""
        return [message for message in self.messages if isinstance(message, kind)]

    def connect(self) -> RTCPeerConnection:
        """A new RTCPeerConnection with a new epoch, and the control channel."""
        pc = new_connection()
        self.epoch = next(_epochs)
        self.connections.append(pc)
        channel: RTCDataChannel = pc.createDataChannel("control", negotiated=True, id=0)
        channel.on("message", lambda text: self._on_control(channel, text))
        return pc

    async def offer(
        self, streams: dict[str, MediaStreamTrack], *, edit: Callable[[str], str] = lambda sdp: sdp, answered: bool = True
    ) -> Offer:
        """Send what is to be sent in this connection, and take the answer."""
        known = {t.sender.track: t for t in self.pc.getTransceivers() if t.sender.track is not None}
        for track in streams.values():
            if track not in known:
                self.pc.addTrack(track)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        mids = {t.sender.track: t.mid for t in self.pc.getTransceivers()}
        mapped = [Stream(id=name, name=name, kind="video", source="camera", mid=mids[track]) for name, track in streams.items()]
        description = SessionDescription(type="offer", sdp=edit(self.pc.localDescription.sdp))
        message = Offer(from_=self.peer.id, epoch=self.epoch, sdp=description, streams=mapped)
        count = len(self._answers())
        self.peer.receive(message)
        if answered:
            await await_for(lambda: len(self._answers()) > count, what="an answer")
            await self.pc.setRemoteDescription(RTCSessionDescription(self._answers()[-1].sdp.sdp, "answer"))
        return message

    def _answers(self) -> list[Answer]:
        """Those to offers of the present connection."""
        return [answer for answer in self.sent(Answer) if answer.epoch == self.epoch]

    async def connected(self) -> None:
        await await_for(lambda: self.pc.connectionState == "connected", what="connected")

    async def _ice(self) -> list[IceServer]:
        return self.ice_servers

    def _on_control(self, channel: RTCDataChannel, text: str) -> None:
        message = json.loads(text)
        if message["t"] == "ping" and self.answers_pings:
            channel.send(json.dumps({"t": "pong", "n": message["n"], "now": 0}))

    async def close(self) -> None:
        await self.peer.close()
        await asyncio.gather(*(pc.close() for pc in self.connections))


@asynccontextmanager
async def browser(name: str = "tab-1") -> AsyncIterator[Browser]:
    tab = Browser(name)
    try:
        yield tab
    finally:
        await tab.close()


async def seen(show: Callable[[int], None], sink: MemorySink, value: int) -> None:
    """Show pictures of this brightness until one arrives in the sink."""

    def arrived() -> bool:
        show(value)
        return sink.has(value)

    await await_for(arrived, what=f"a picture {value} arrives")


async def camera_of(tab: Browser, stream: str = "camera-1") -> tuple[HandTrack, MemorySink]:
    """A connected tab whose camera is subscribed to."""
    track, sink = HandTrack(), MemorySink()
    tab.connect()
    tab.peer.subscribe(stream, sink)
    await tab.offer({stream: track})
    await tab.connected()
    await seen(track.show, sink, 50)
    return track, sink
