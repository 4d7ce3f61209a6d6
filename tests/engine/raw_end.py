"""The other end of raw data channels, in a process of its own: ``python -m tests.engine.raw_end KIND`` (end process).

KIND is ``ours``; ``stock``, aiortc as it is; or ``wrtc``, libwebrtc under the same names. The class is also the near end,
in the test process.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode, b64encode
from importlib import import_module
from typing import Any

from forge_rtc_nb.engine.aiortc_compat import heed_packet_size, install
from forge_rtc_nb.engine.aiortc_compat.sctp_transport import FastSctpTransport
from tests.bench.data_worker import answer, parse

SIDE = "far"


class RawEnd:
    """One connection at a time, and its channels by label; what arrives is kept."""

    def __init__(self, library: Any, side: str = SIDE) -> None:
        self._library = library
        self._side = side
        self.pc: Any = None
        self.channels: dict[str, Any] = {}
        self.got: dict[str, list[bytes]] = {}

    async def open(self, channels: list[dict[str, Any]]) -> None:
        """A new connection, with those channels that this end announces."""
        await self.close()
        self.pc = self._library.RTCPeerConnection(self._library.RTCConfiguration(iceServers=[]))
        self.pc.on("datachannel", self._take)
        for wanted in channels:
            if wanted["opener"] == self._side:
                options = {name: wanted[name] for name in ("ordered", "maxRetransmits", "protocol")}
                self._take(self.pc.createDataChannel(wanted["label"], **options))

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def answer(self, sdp: str) -> str:
        await self._set_remote(sdp, "offer")
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return str(self.pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        await self._set_remote(sdp, "answer")

    async def _set_remote(self, sdp: str, kind: str) -> None:
        if isinstance(self.pc.sctp, FastSctpTransport):
            heed_packet_size(self.pc, sdp)
        await self.pc.setRemoteDescription(self._library.RTCSessionDescription(sdp, kind))

    async def opened(self) -> list[dict[str, Any]]:
        """The open channels, as this end sees them."""
        names = ("label", "protocol", "ordered", "maxRetransmits")
        return [{n: getattr(c, n) for n in names} for c in self.channels.values() if c.readyState == "open"]

    async def send(self, messages: dict[str, list[str]]) -> None:
        """Base64, by label; one of each channel in turn."""
        rest = {label: [b64decode(text) for text in texts] for label, texts in messages.items()}
        while any(rest.values()):
            for label, some in rest.items():
                if some:
                    self.channels[label].send(some.pop(0))

    async def counts(self) -> dict[str, int]:
        """How many messages have arrived, by label."""
        return {label: len(messages) for label, messages in self.got.items()}

    async def arrived(self, label: str) -> list[str]:
        """Base64."""
        return [b64encode(message).decode() for message in self.got[label]]

    async def close(self) -> None:
        if self.pc is not None:
            await self.pc.close()
        self.pc = None
        self.channels.clear()
        self.got.clear()

    def _take(self, channel: Any) -> None:
        self.channels[channel.label] = channel
        self.got[channel.label] = []
        channel.on("message", self.got[channel.label].append)


async def work(library: Any) -> None:
    """Answer until stdin ends."""
    end = RawEnd(library)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, arguments = parse(line)
        try:
            answer(await getattr(end, name)(**arguments))
        except Exception as error:  # the test is told
            answer(error=error)
    await end.close()


def library(kind: str) -> Any:
    """What has `RTCPeerConnection` and the rest."""
    if kind == "ours":
        install()
    return import_module("webrtc.aiortc" if kind == "wrtc" else "aiortc")


if __name__ == "__main__":
    asyncio.run(work(library(sys.argv[1])))
