"""Ends of a stream with many viewers: ``python -m tests.bench.media_end sinks|ours|stock`` (processes of the bench).

Sinks receive and report, and decode nothing. The others send the same clip, encoded once or by each sender for itself.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from tests.bench.clip import Array, clip
from tests.bench.data_raw_end import work

SIZE = (720, 1280)
FPS = 30
CODEC = "VP8"


def forth_and_back(frames: list[Array]) -> Iterator[Array]:
    """For ever, without a jump."""
    return itertools.cycle(frames + frames[-2:0:-1])


def new_connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


class Sinks:
    """Receivers of one process."""

    def __init__(self) -> None:
        self._connections: list[RTCPeerConnection] = []
        self._frames = 0
        take = RTCRtpReceiver._handle_rtp_packet

        async def counting(receiver: Any, packet: Any, arrival: int) -> None:
            self._frames += packet.marker
            await take(receiver, packet, arrival)

        RTCRtpReceiver._handle_rtp_packet = counting  # type: ignore[method-assign, assignment]

    async def offer(self) -> str:
        pc = new_connection()
        self._connections.append(pc)
        pc.addTransceiver("video", direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        return pc.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self._connections[-1].setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def frames(self) -> int:
        """Of all viewers together, up to now."""
        return self._frames

    async def close(self) -> None:
        await asyncio.gather(*(pc.close() for pc in self._connections))


class Sending(Protocol):
    """One way to send the clip."""

    async def attach(self, pc: RTCPeerConnection) -> None: ...
    async def show(self, pixels: Array) -> None: ...
    def figures(self) -> dict[str, float]: ...
    async def close(self) -> None: ...


class Once:
    """Ours."""

    def __init__(self) -> None:
        from forge_rtc_nb.engine.publishing.picture import Picture
        from forge_rtc_nb.engine.publishing.publication import Publication

        self._picture, self._publication = Picture, Publication(FPS)
        self._viewers: list[Any] = []

    async def attach(self, pc: RTCPeerConnection) -> None:
        from forge_rtc_nb.engine.aiortc_compat import packet_track

        transceiver = pc.getTransceivers()[0]
        transceiver.direction = "sendonly"
        viewer: Any = self._publication.viewer()
        # Many sinks on one machine have little time and estimate little: a frame for many would have fewer bits.
        heard = viewer.report_loss
        viewer.report_bitrate, viewer.report_loss = lambda _: None, lambda _, highest: heard(0, highest)
        self._viewers.append(viewer)
        packet_track(transceiver).source = viewer

    async def show(self, pixels: Array) -> None:
        self._publication.show(self._picture(pixels, "rgb24"))

    def figures(self) -> dict[str, float]:
        work = self._publication.stats.work
        dropped = sum(viewer.watching.dropped for viewer in self._viewers)
        return {"encoded": work.frames, "bytes": work.bytes, "keyframes": work.keyframes, "dropped": dropped}

    async def close(self) -> None:
        await self._publication.close()


class _Film(MediaStreamTrack):
    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[av.VideoFrame] = asyncio.Queue(1)

    async def recv(self) -> av.VideoFrame:
        return await self.frames.get()


class Each:
    """aiortc as it is."""

    def __init__(self) -> None:
        self._film, self._relay = _Film(), MediaRelay()
        self._count = self._dropped = 0
        self._senders: list[Any] = []

    async def attach(self, pc: RTCPeerConnection) -> None:
        self._senders.append(pc.addTrack(self._relay.subscribe(self._film, buffered=False)))

    async def show(self, pixels: Array) -> None:
        # Its encoders would each convert the same frame, at the same time in several threads, and crash.
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._count * 90_000 // FPS, Fraction(1, 90_000)
        try:
            self._film.frames.put_nowait(frame)
            self._count += 1
        except asyncio.QueueFull:
            self._dropped += 1

    def figures(self) -> dict[str, float]:
        octets = sum(sender._RTCRtpSender__octet_count for sender in self._senders) / len(self._senders)
        return {"encoded": self._count, "bytes": octets, "dropped": self._dropped}

    async def close(self) -> None:
        self._film.stop()


class Sender:
    """A process that sends to many."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._connections: list[RTCPeerConnection] = []
        self._showing = asyncio.ensure_future(self._show())

    async def answer(self, sdp: str) -> str:
        from forge_rtc_nb.engine.negotiation import prepare_offer

        pc = new_connection()
        self._connections.append(pc)
        await pc.setRemoteDescription(RTCSessionDescription(prepare_offer(sdp, (CODEC,)), "offer"))
        await self._sending.attach(pc)
        await pc.setLocalDescription(await pc.createAnswer())
        return pc.localDescription.sdp

    async def measure(self, seconds: float) -> dict[str, float]:
        """Differences over this time, and the CPU seconds of this process in it."""
        before, begun = self._sending.figures(), time.process_time()
        await asyncio.sleep(seconds)
        after = self._sending.figures()
        return {name: after[name] - before[name] for name in after} | {"cpu": time.process_time() - begun}

    async def _show(self) -> None:
        frames = forth_and_back(list(clip(*SIZE, 60)))
        due = time.monotonic()
        with suppress(MediaStreamError):
            for pixels in frames:
                due = max(due + 1 / FPS, time.monotonic() - 1 / FPS)
                await asyncio.sleep(due - time.monotonic())
                await self._sending.show(np.ascontiguousarray(pixels))

    async def close(self) -> None:
        self._showing.cancel()
        await asyncio.gather(*(pc.close() for pc in self._connections))
        await self._sending.close()


def end_of(kind: str) -> Any:
    return Sinks() if kind == "sinks" else Sender(Once() if kind == "ours" else Each())


def main(kind: str) -> None:
    factory = None
    if kind != "stock":
        import uvloop

        from forge_rtc_nb.engine.aiortc_compat import install

        install()
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work(lambda: end_of(kind)))


if __name__ == "__main__":
    main(sys.argv[1])
