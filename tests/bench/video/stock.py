"""Peer (a), what aiortc's own examples lead to: unpatched aiortc in a thread of the kernel (kernel)."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from tests.bench.video.recorder import Recorder


class StockWidget(anywidget.AnyWidget):
    """Shown in a cell, it sends the page's camera to a connection in a thread of this kernel."""

    _esm = Path(__file__).with_name("stock.js")

    hint = traitlets.Unicode().tag(sync=True)

    def __init__(self, recorder: Recorder, hint: str) -> None:
        self._recorder = recorder
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="bench-aiortc", daemon=True).start()
        super().__init__(hint=hint)
        self.on_msg(self._received)

    def _received(self, _widget: Any, content: Any, _buffers: Any) -> None:
        asyncio.run_coroutine_threadsafe(self._answer(content["sdp"]), self._loop)

    async def _answer(self, sdp: str) -> None:
        try:
            # The default would be a public STUN server, and five seconds of waiting for it.
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            self._connection = connection
            connection.on("track", self._track)
            await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
            self.send({"sdp": connection.localDescription.sdp})
        except Exception as error:
            self._recorder.error = f"{type(error).__name__}: {error}"

    def _track(self, track: MediaStreamTrack) -> None:
        self._reading = asyncio.ensure_future(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, VideoFrame):
                pixels = frame.to_ndarray(format="rgb24")
                self._recorder.add(pixels, time.time())
