"""One end of a bare data channel, without anything of ours above it: ``python -m tests.bench.data_raw_end KIND`` (end process).

KIND is ``ours`` (aiortc with our parts, in the event loop that engines have), ``ours small`` (no packets of more than 1200
bytes), ``ours single`` (nor more than one in a system call, as where the system is not Linux), ``stock`` (aiortc as it is) or
``wrtc`` (libwebrtc under the same names).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.bench.data_worker import ARRAY_BYTES, END, answer, milliseconds, parse

MESSAGE = 65536
BUFFERED, LOW = 1 << 20, 1 << 18
"""Bytes that wait in the connection at most, and those at which more are sent."""
ARRAY_MESSAGES = ARRAY_BYTES // MESSAGE


class End:
    """Holds the connection and its one channel."""

    heed: Callable[[Any, str], None] = staticmethod(lambda pc, sdp: None)
    """What else the other end's description says."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._pc = library.RTCPeerConnection(library.RTCConfiguration(iceServers=[]))
        self._pc.on("datachannel", self._take)
        self._channel: Any = None
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        """Bounded by the sender, which sends for a stretch of time."""
        self._low = asyncio.Event()
        self._open = asyncio.Event()

    async def offer(self) -> str:
        self._take(self._pc.createDataChannel("bench"))
        self._channel.on("open", self._open.set)
        return await self._description_of_offer()

    async def _description_of_offer(self) -> str:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return str(self._pc.localDescription.sdp)

    async def answer(self, sdp: str) -> str:
        self.heed(self._pc, sdp)
        await self._pc.setRemoteDescription(self._library.RTCSessionDescription(sdp, "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return str(self._pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        self.heed(self._pc, sdp)
        await self._pc.setRemoteDescription(self._library.RTCSessionDescription(sdp, "answer"))
        await asyncio.wait_for(self._open.wait(), 30)

    async def stream(self, seconds: float) -> None:
        message = os.urandom(MESSAGE)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._send(message)
        self._channel.send(END)

    async def send_array(self) -> float:
        """When it began."""
        message = os.urandom(MESSAGE)
        begun = time.time()
        for _ in range(ARRAY_MESSAGES):
            await self._send(message)
        self._channel.send(END)
        return begun

    async def receive(self) -> dict[str, float]:
        """A stream, until its end: what came after the first message, and when the last came."""
        first = len(await self._arrived.get())
        begun = last = time.time()
        size = 0
        while (message := await self._arrived.get()) != END:
            last = time.time()
            size += len(message)
        return {"first": first, "bytes": size, "seconds": last - begun, "last": last}

    async def echo(self) -> None:
        while (message := await self._arrived.get()) != END:
            self._channel.send(message)

    async def round_trips(self, size: int, count: int) -> float:
        """p50 in ms."""
        message, times = os.urandom(size), []
        for _ in range(count):
            begun = time.perf_counter()
            self._channel.send(message)
            await self._arrived.get()
            times.append(time.perf_counter() - begun)
        self._channel.send(END)
        return milliseconds(times)

    async def close(self) -> None:
        await self._pc.close()

    async def _send(self, message: bytes) -> None:
        while self._channel.bufferedAmount > BUFFERED:
            self._low.clear()
            await self._low.wait()
        self._channel.send(message)

    def _take(self, channel: Any) -> None:
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW
        channel.on("bufferedamountlow", self._low.set)
        channel.on("message", self._arrived.put_nowait)


async def work(make: Callable[[], Any]) -> None:
    """Answer until stdin ends."""
    end = make()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, arguments = parse(line)
        try:
            answer(await getattr(end, name)(**arguments))
        except Exception as error:  # whatever a connection may do wrong is the bench's to report
            answer(error=error)
    await end.close()


def run(kind: str, end: Callable[[Any], End]) -> None:
    """Whatever the process is to be, until stdin ends."""
    factory = None
    if kind.startswith("ours"):
        import uvloop

        _install(kind)
        factory = uvloop.new_event_loop
    library = import_module("webrtc.aiortc" if kind == "wrtc" else "aiortc")
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work(lambda: end(library)))


def _install(kind: str) -> None:
    from forge_rtc_nb.engine.aiortc_compat import heed_packet_size, install
    from forge_rtc_nb.engine.datachannel import path_search, udp

    if kind != "ours":
        path_search.SIZES = ()
    if kind == "ours single":
        udp.GROUPS = False
    install()
    End.heed = staticmethod(heed_packet_size)


if __name__ == "__main__":
    run(sys.argv[1], End)
