"""Data channels of a peer that keeps to no rule: it costs that peer the channel, and nothing else (test process)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import DATA_CHANNEL_ACK, DATA_CHANNEL_OPEN, WEBRTC_BINARY, WEBRTC_DCEP, WEBRTC_STRING

from forge_rtc_nb.engine.aiortc_compat import datachannels
from tests.engine.pairs import new_connection
from tests.support import await_for

FREE = 40
"""A stream that nobody uses."""


@dataclass
class Attack:
    """The attacker's transport, and the victim's two channels as both ends have them."""

    transport: Any
    victim: Any
    attacked: RTCDataChannel
    other: RTCDataChannel
    heard: dict[str, list[str | bytes]]

    async def send(self, stream: int, protocol: int, data: bytes, ordered: bool = True) -> None:
        await self.transport._send(stream, protocol, data, ordered=ordered)

    async def other_works(self, text: str) -> None:
        """Something sent after the attack arrives on the other channel."""
        self.other.send(text)
        await await_for(lambda: text in self.heard["other"], what="the other channel goes on")


@asynccontextmanager
async def attack() -> AsyncIterator[Attack]:
    attacker, victim = new_connection(), new_connection()
    heard: dict[str, list[str | bytes]] = {"attacked": [], "other": []}
    ours = {name: attacker.createDataChannel(name, negotiated=True, id=number) for number, name in enumerate(heard)}
    for number, (name, messages) in enumerate(heard.items()):
        victim.createDataChannel(name, negotiated=True, id=number).on("message", messages.append)
    await attacker.setLocalDescription(await attacker.createOffer())
    await victim.setRemoteDescription(attacker.localDescription)
    await victim.setLocalDescription(await victim.createAnswer())
    await attacker.setRemoteDescription(victim.localDescription)
    try:
        await await_for(lambda: all(channel.readyState == "open" for channel in ours.values()), what="open channels")
        yield Attack(attacker.sctp, victim.sctp, ours["attacked"], ours["other"], heard)
    finally:
        await asyncio.gather(attacker.close(), victim.close())


def opening(label: bytes, length: int | None = None, protocol: bytes = b"") -> bytes:
    lengths = (len(label) if length is None else length, len(protocol))
    return struct.pack("!BBHLHH", DATA_CHANNEL_OPEN, 0, 0, 0, *lengths) + label + protocol


DCEP = {
    "an opening of a stream in use": (0, opening(b"again")),
    "a label that is no UTF-8": (FREE, opening(b"\xff\xfe")),
    "a protocol that is no UTF-8": (FREE, opening(b"a", protocol=b"\xff")),
    "a label that is cut": (FREE, opening(b"a", length=500)),
    "an opening that is cut": (FREE, opening(b"a")[:7]),
    "an acknowledgement of nothing": (FREE, bytes([DATA_CHANNEL_ACK])),
    "an unknown type": (FREE, bytes([77]) * 20),
    "nothing": (FREE, b"\0"),
}


@pytest.mark.parametrize(("stream", "data"), DCEP.values(), ids=DCEP.keys())
async def test_hostile_dcep_opens_nothing_and_ends_nothing(stream: int, data: bytes) -> None:
    async with attack() as on:
        opened: list[RTCDataChannel] = []
        on.victim.on("datachannel", opened.append)
        await on.send(stream, WEBRTC_DCEP, data)
        await on.other_works("after it")
        assert opened == []
        assert FREE not in on.victim._data_channels


async def test_a_sound_opening_still_opens() -> None:
    async with attack() as on:
        opened: list[RTCDataChannel] = []
        on.victim.on("datachannel", opened.append)
        await on.send(FREE, WEBRTC_DCEP, opening("Zoë".encode(), protocol=b"p"))
        await await_for(lambda: opened, what="an opened channel")
        assert (opened[0].label, opened[0].protocol) == ("Zoë", "p")


async def test_a_peer_cannot_open_channels_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datachannels, "MAX_CHANNELS", 10)
    async with attack() as on:
        for stream in range(FREE, FREE + 60, 2):
            await on.send(stream, WEBRTC_DCEP, opening(b"more"))
        await on.other_works("after them")
        assert len(on.victim._data_channels) == 10


async def test_text_that_is_no_utf8_arrives_as_nothing() -> None:
    async with attack() as on:
        await on.send(0, WEBRTC_STRING, b"\xff\xfe")
        await on.other_works("after it")
        assert on.heard["attacked"] == [""]


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_message_without_end_is_not_kept(ordered: bool) -> None:
    async with attack() as on:
        await on.send(0, WEBRTC_BINARY, bytes(3_000_000), ordered)
        await await_for(lambda: on.heard["attacked"], what="the channel is told")
        await on.other_works("after it")
        assert on.heard["attacked"] == [""]
        assert on.victim._inbound_streams[0].reassembly == []
        await await_for(lambda: not on.transport._outbound_queue, what="all of it was received")
        assert on.victim._inbound_streams[0].reassembly == []
        assert on.victim._advertised_rwnd == datachannels.WINDOW


async def test_a_message_in_a_great_many_small_parts_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datachannels, "MANY_CHUNKS", 50)
    monkeypatch.setattr("aiortc.rtcsctptransport.USERDATA_MAX_LENGTH", 4)
    async with attack() as on:
        await on.send(0, WEBRTC_BINARY, bytes(400))
        await await_for(lambda: on.heard["attacked"], what="the channel is told")
        assert on.heard["attacked"] == [""]
        await on.other_works("after")


async def test_the_largest_message_that_is_allowed_arrives() -> None:
    async with attack() as on:
        data = bytes(range(256)) * 1024
        on.attacked.send(data)
        await await_for(lambda: on.heard["attacked"], what="the message")
        assert on.heard["attacked"] == [data]
