"""A browser tab without a browser: the real server's signaling, and aiortc in the place of Chromium (test process)."""

from __future__ import annotations

import asyncio
import json
import time
from types import TracebackType
from typing import Any, Self

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamTrack
from websockets.asyncio.client import ClientConnection, connect

from tests.engine.pairs import new_connection
from tests.support import JupyterProcess

USUAL = {"width": 1280, "height": 720, "fps": 30}


class Tab:
    """Joins, offers what is subscribed to, answers pings; an async context manager that leaves at its end."""

    def __init__(
        self, server: JupyterProcess, room: str, tracks: dict[str, MediaStreamTrack], owners: list[str] | None = None
    ) -> None:
        self._server = server
        self._room = room
        self._tracks = tracks
        self._owners = owners or []
        self._pcs: dict[str, RTCPeerConnection] = {}
        self._sent: dict[str, dict[str, int]] = {}
        self._relay = MediaRelay()
        self._epochs: dict[str, int] = {}
        self.id = ""
        self.asked: list[dict[str, Any]] = []
        """Other sizes that it was asked for; it says that it has them, if it `answers`."""
        self.answers = True

    async def __aenter__(self) -> Self:
        self._ws: ClientConnection = await connect(
            "ws" + self._server.url.removeprefix("http") + f"forge-rtc/ws/webrtc?room={self._room}",
            additional_headers={"Authorization": f"token {self._server.token}"},
            proxy=None,
        )
        streams = [self._record(stream) for stream in self._tracks]
        hello = {"version": 1, "kind": "browser", "name": "tab", "streams": streams, "owners": self._owners}
        await self._send("room.hello", **hello)
        self.id = json.loads(await self._ws.recv())["participant"]["id"]
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.cancel()
        await self._ws.close(1000)
        await asyncio.gather(*(pc.close() for pc in self._pcs.values()))
        for track in self._tracks.values():
            track.stop()
        if relays := [task for task in asyncio.all_tasks() if "MediaRelay" in repr(task)]:
            await asyncio.wait(relays)

    def _record(self, stream: str) -> dict[str, str]:
        source = {"video": "camera", "audio": "microphone"}[self._tracks[stream].kind]
        return {"id": stream, "name": source, "kind": self._tracks[stream].kind, "source": source}

    async def _send(self, type: str, **fields: Any) -> None:
        await self._ws.send(json.dumps({"type": type, **fields}))

    async def _read(self) -> None:
        async for frame in self._ws:
            message = json.loads(frame)
            sender = message.get("from", "")
            match message["type"]:
                case "stream.subscribe" if message["stream"] in self._tracks:
                    await self._offer(sender, message["stream"])
                case "stream.constrain":
                    self.asked.append(message)
                    if self.answers:
                        size = {side: message.get(side, usual) for side, usual in USUAL.items()}
                        await self._send("stream.constrained", to=sender, reply_to=message["id"], **size)
                case "webrtc.negotiate":
                    await self._pcs.pop(sender).close()
                    await self._offer(sender, *self._sent.pop(sender))
                case "room.left" if message["participant_id"] in self._pcs:
                    await self._pcs.pop(message["participant_id"]).close()
                    del self._sent[message["participant_id"]]
                case "webrtc.answer" if message["epoch"] == self._epochs[sender]:
                    await self._pcs[sender].setRemoteDescription(RTCSessionDescription(message["sdp"]["sdp"], "answer"))

    async def _offer(self, peer: str, *streams: str) -> None:
        pc = self._pcs.get(peer)
        if pc is None:
            pc = self._pcs[peer] = new_connection()
            self._epochs[peer] = int(time.time() * 1000)
            channel = pc.createDataChannel("control", negotiated=True, id=0)
            channel.on("message", lambda text: _answer_ping(channel, text))
        sent = self._sent.setdefault(peer, {})
        for stream in streams:
            if stream not in sent:
                # A connection that closes stops the track that it sends: each has its own.
                sender = pc.addTrack(self._relay.subscribe(self._tracks[stream]))
                sent[stream] = [t.sender for t in pc.getTransceivers()].index(sender)
        await pc.setLocalDescription(await pc.createOffer())
        listed = [{**self._record(stream), "mid": pc.getTransceivers()[place].mid} for stream, place in sent.items()]
        sdp = {"type": "offer", "sdp": pc.localDescription.sdp}
        await self._send("webrtc.offer", to=peer, epoch=self._epochs[peer], sdp=sdp, streams=listed)


def _answer_ping(channel: Any, text: str) -> None:
    message = json.loads(text)
    if message["t"] == "ping":
        channel.send(json.dumps({"t": "pong", "n": message["n"], "now": time.time() * 1000}))
