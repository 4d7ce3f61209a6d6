"""A participant of which a test decides every frame: real signaling and a real connection to one kernel (test process)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from aiortc import RTCDataChannel, RTCSessionDescription
from websockets.asyncio.client import ClientConnection, connect

from forge_rtc_nb.engine.aiortc_compat.sctp_dcep import DCEP
from forge_rtc_nb.engine.datalink import PROTOCOL
from forge_rtc_nb.frames import Begin, Frame, Taken, decode, encode
from tests.engine.pairs import new_connection, send_raw
from tests.support import JupyterProcess, await_for, wait_for

T = TypeVar("T")


class Wire:
    """One data channel, as the raw participant has it."""

    def __init__(self, raw: Raw, channel: RTCDataChannel) -> None:
        self._raw = raw
        self.channel = channel
        self.heard: list[Frame] = []
        self._polite = False
        channel.on("message", self._hear)

    def be_polite(self) -> None:
        """From now on, say of each message without a body that it was taken, of those that came before too."""
        self._raw.call(self._be_polite())

    async def _be_polite(self) -> None:
        self._polite = True
        for frame in self.heard:
            self._take(frame)

    def _hear(self, data: bytes) -> None:
        frame = decode(data)
        self.heard.append(frame)
        if self._polite:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Begin) and not frame.size:
            self.channel.send(encode(Taken(frame.number)))

    @property
    def is_open(self) -> bool:
        return self.channel.readyState == "open"

    @property
    def is_closed(self) -> bool:
        return self.channel.readyState == "closed"

    def send(self, *frames: Frame | bytes | str) -> None:
        """Frames, or whatever bytes or text; returns when all of it has left."""
        self._raw.call(self._send(*frames))

    async def _send(self, *frames: Frame | bytes | str) -> None:
        for frame in frames:
            if self.channel.readyState != "open":
                return
            self.channel.send(frame if isinstance(frame, bytes | str) else encode(frame))
        await await_for(lambda: not self.channel.bufferedAmount or not self.is_open, what="all of it has left")

    def close(self) -> None:
        self._raw.call(self._close())

    async def _close(self) -> None:
        self.channel.close()


class Raw:
    """Runs beside a blocking test. As a browser it offers; as a kernel it does what its id asks for."""

    def __init__(self, server: JupyterProcess, room: str, kind: str = "browser", name: str = "Eve") -> None:
        self._server = server
        self._room = room
        self._hello = {"version": 1, "kind": kind, "name": name}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="raw participant")
        self._thread.start()
        self._pc = self.call(self._new_connection())
        self._described: dict[str, dict[str, Any]] = {}
        """Sender -> its first offer or answer."""
        self.opened: dict[str, Wire] = {}
        """Data channels that the other side opened, by label."""
        self.id = ""

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in this participant's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def join(self, **says: Any) -> None:
        """Enter the room; ``channels`` and ``shared`` as in the hello."""
        self.call(self._join(says))

    def update(self, **says: Any) -> None:
        """Say something new of itself."""
        self.call(self._tell("room.updated", **says))

    def connect(self, peer: str) -> None:
        """Have a connection to that kernel."""
        self.call(self._connect(peer))

    def open(self, label: str, protocol: str = PROTOCOL, wait: bool = True, **options: Any) -> Wire:
        """A data channel that is open, or that the other side closed already."""
        wire = self.call(self._open(label, protocol, options))
        wait_for(lambda: not wait or wire.is_open or wire.is_closed, what="the data channel is open")
        return wire

    def dcep(self, stream: int, data: bytes) -> None:
        """A message of the Data Channel Establishment Protocol, right or wrong (RFC 8832)."""
        self.call(self._dcep(stream, data))

    def close(self) -> None:
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _dcep(self, stream: int, data: bytes) -> None:
        send_raw(self._pc, stream, DCEP, data)

    async def _new_connection(self) -> Any:
        pc = new_connection()
        control = pc.createDataChannel("control", negotiated=True, id=0)
        control.on("message", lambda text: _answer_ping(control, text))
        pc.on("datachannel", lambda channel: self.opened.__setitem__(channel.label, Wire(self, channel)))
        return pc

    async def _join(self, says: dict[str, Any]) -> None:
        self._ws: ClientConnection = await connect(
            "ws" + self._server.url.removeprefix("http") + f"forge-rtc/ws/webrtc?room={self._room}",
            additional_headers={"Authorization": f"token {self._server.token}"},
            proxy=None,
        )
        await self._tell("room.hello", **self._hello, **says)
        welcome = json.loads(await self._ws.recv())
        self.id = welcome["participant"]["id"]
        self._reader = asyncio.create_task(self._read())

    async def _tell(self, type: str, **fields: Any) -> None:
        await self._ws.send(json.dumps({"type": type, **fields}))

    async def _read(self) -> None:
        async for text in self._ws:
            message = json.loads(text)
            if message["type"] in ("webrtc.offer", "webrtc.answer"):
                self._described.setdefault(message["from"], message)

    async def _connect(self, peer: str) -> None:
        if self._hello["kind"] == "browser" or self.id < peer:
            epoch = int(time.time() * 1000)
            await self._pc.setLocalDescription(await self._pc.createOffer())
            await self._tell("webrtc.offer", to=peer, epoch=epoch, sdp=self._description(), streams=[])
            answer: Any = await await_for(lambda: self._described.get(peer), what="an answer")
            await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"]["sdp"], "answer"))
        else:
            offer: Any = await await_for(lambda: self._described.get(peer), what="an offer")
            await self._pc.setRemoteDescription(RTCSessionDescription(offer["sdp"]["sdp"], "offer"))
            await self._pc.setLocalDescription(await self._pc.createAnswer())
            await self._tell("webrtc.answer", to=peer, epoch=offer["epoch"], sdp=self._description())
        await await_for(lambda: self._pc.connectionState == "connected", what="a connection")
        await await_for(lambda: self._pc.sctp.state == "connected", what="data channels")
        self._pc.sctp._remote_max_message_size = 0  # any size

    def _description(self) -> dict[str, str]:
        return {"type": self._pc.localDescription.type, "sdp": self._pc.localDescription.sdp}

    async def _open(self, label: str, protocol: str, options: dict[str, Any]) -> Wire:
        return Wire(self, self._pc.createDataChannel(label, protocol=protocol, **options))

    async def _close(self) -> None:
        self._reader.cancel()
        await self._ws.close(1000)
        await self._pc.close()


def _answer_ping(channel: RTCDataChannel, text: str) -> None:
    message = json.loads(text)
    if message["t"] == "ping":
        channel.send(json.dumps({"t": "pong", "n": message["n"], "now": time.time() * 1000}))


@contextlib.contextmanager
def raw_participant(server: JupyterProcess, room: str, kind: str = "browser", **says: Any) -> Iterator[Raw]:
    """One that has joined."""
    raw = Raw(server, room, kind)
    try:
        raw.join(**says)
        yield raw
    finally:
        raw.close()
