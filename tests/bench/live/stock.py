"""aiortc as its examples have it, in a thread of the kernel: it sends a film, or the camera's pictures changed (kernel)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

from tests.bench.clip import Array


class FilmTrack(VideoStreamTrack):
    def __init__(self, film: Callable[[], Array]) -> None:
        super().__init__()
        self._film = film

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._film(), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class ChangedTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, source: MediaStreamTrack, change: Callable[[Array], Array]) -> None:
        super().__init__()
        self._source, self._change = source, change

    async def recv(self) -> VideoFrame:
        frame: Any = await self._source.recv()
        changed = VideoFrame.from_ndarray(self._change(frame.to_ndarray(format="rgb24")), format="rgb24")
        changed.pts, changed.time_base = frame.pts, frame.time_base
        return changed


class StockWidget(anywidget.AnyWidget):
    """``film`` gives pictures; or ``change`` makes others of the camera's."""

    _esm = Path(__file__).with_name("stock.js")
    camera = traitlets.Bool().tag(sync=True)

    def __init__(self, film: Callable[[], Array] | None = None, change: Callable[[Array], Array] | None = None) -> None:
        self._film, self._change = film, change
        self._connection: RTCPeerConnection | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="bench-aiortc", daemon=True).start()
        super().__init__(camera=change is not None)
        self.on_msg(self._received)

    @property
    def sent(self) -> int:
        """Bytes of payloads."""
        senders: list[Any] = self._connection.getSenders() if self._connection is not None else []
        return sum(sender._RTCRtpSender__octet_count for sender in senders)

    def _received(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asyncio.run_coroutine_threadsafe(self._answer(content["sdp"]), self._loop)

    async def _answer(self, sdp: str) -> None:
        # The default would be a public STUN server, and five seconds of waiting for it.
        connection = self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if self._film is not None:
            connection.addTrack(FilmTrack(self._film))
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        if self._change is not None:
            transceiver = connection.getTransceivers()[0]
            transceiver.direction = "sendrecv"
            transceiver.sender.replaceTrack(ChangedTrack(transceiver.receiver.track, self._change))
        await connection.setLocalDescription(await connection.createAnswer())
        self.send({"sdp": connection.localDescription.sdp})
