"""Data channels of a peer that keeps to no rule: it costs that peer the channel, and nothing else (test process)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCPeerConnection

from forge_rtc_nb.engine.aiortc_compat import sctp_channels
from forge_rtc_nb.engine.aiortc_compat.sctp_channels import MessageTooLong
from forge_rtc_nb.engine.aiortc_compat.sctp_dcep import ACK, BINARY, DCEP, OPEN, STRING
from tests.engine.pairs import new_connection, send_raw
from tests.support import await_for

FREE = 41
"""A stream that nobody uses, of the attacker, who is the DTLS server."""


@dataclass
class Attack:
    """Both ends, and the two channels as the attacker has them."""

    attacker: RTCPeerConnection
    victim: RTCPeerConnection
    attacked: RTCDataChannel
    other: RTCDataChannel
    heard: dict[str, list[str | bytes]]
    errors: list[Exception]
    """Of the channel that is attacked, at the victim."""

    def send(self, stream: int, ppid: int, data: bytes, ordered: bool = True) -> None:
        send_raw(self.attacker, stream, ppid, data, ordered)

    @property
    def channels(self) -> int:
        """How many the victim has."""
        transport: Any = self.victim.sctp
        return len(transport._channels)

    @property
    def inbound(self) -> Any:
        """The victim's receiving half."""
        transport: Any = self.victim.sctp
        return transport._association._block.inbound

    async def other_works(self, text: str) -> None:
        """Something sent after the attack arrives on the other channel."""
        self.other.send(text)
        await await_for(lambda: text in self.heard["other"], what="the other channel goes on")


@asynccontextmanager
async def attack() -> AsyncIterator[Attack]:
    attacker, victim = new_connection(), new_connection()
    heard: dict[str, list[str | bytes]] = {"attacked": [], "other": []}
    errors: list[Exception] = []
    ours = {name: attacker.createDataChannel(name, negotiated=True, id=number) for number, name in enumerate(heard)}
    for number, (name, messages) in enumerate(heard.items()):
        theirs = victim.createDataChannel(name, negotiated=True, id=number)
        theirs.on("message", messages.append)
        theirs.on("error", errors.append)
    await attacker.setLocalDescription(await attacker.createOffer())
    await victim.setRemoteDescription(attacker.localDescription)
    await victim.setLocalDescription(await victim.createAnswer())
    await attacker.setRemoteDescription(victim.localDescription)
    try:
        await await_for(lambda: all(channel.readyState == "open" for channel in ours.values()), what="open channels")
        yield Attack(attacker, victim, ours["attacked"], ours["other"], heard, errors)
    finally:
        await asyncio.gather(attacker.close(), victim.close())


def opening(label: bytes, length: int | None = None, protocol: bytes = b"", kind: int = 0) -> bytes:
    lengths = (len(label) if length is None else length, len(protocol))
    return struct.pack("!BBHLHH", OPEN, kind, 0, 0, *lengths) + label + protocol


OPENINGS = {
    "a label that is no UTF-8": (FREE, opening(b"\xff\xfe")),
    "a protocol that is no UTF-8": (FREE, opening(b"a", protocol=b"\xff")),
    "a label that is cut": (FREE, opening(b"a", length=500)),
    "an opening that is cut": (FREE, opening(b"a")[:7]),
    "a reliability that is none": (FREE, opening(b"a", kind=3)),
    "an acknowledgement of nothing": (FREE, bytes([ACK])),
    "an unknown type": (FREE, bytes([77]) * 20),
    "nothing": (FREE, b"\0"),
}


@pytest.mark.parametrize(("stream", "data"), OPENINGS.values(), ids=OPENINGS.keys())
async def test_hostile_dcep_opens_nothing_and_ends_nothing(stream: int, data: bytes) -> None:
    async with attack() as on:
        opened: list[RTCDataChannel] = []
        on.victim.on("datachannel", opened.append)
        on.send(stream, DCEP, data)
        await on.other_works("after it")
        assert opened == []
        assert on.channels == 2


async def test_who_opens_a_stream_again_loses_the_channel_on_it() -> None:
    async with attack() as on:
        on.send(0, DCEP, opening(b"again"))
        await on.other_works("after it")
        await await_for(lambda: on.attacked.readyState == "closed", what="the channel is closed")


async def test_a_sound_opening_still_opens() -> None:
    async with attack() as on:
        opened: list[RTCDataChannel] = []
        on.victim.on("datachannel", opened.append)
        on.send(FREE, DCEP, opening("Zoë".encode(), protocol=b"p"))
        await await_for(lambda: opened, what="an opened channel")
        assert (opened[0].label, opened[0].protocol) == ("Zoë", "p")


async def test_a_peer_cannot_open_channels_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sctp_channels, "MAX_CHANNELS", 10)
    async with attack() as on:
        for stream in range(FREE, FREE + 60, 2):
            on.send(stream, DCEP, opening(b"more"))
        await on.other_works("after them")
        assert on.channels == 10


async def test_text_that_is_no_utf8_arrives_as_nothing() -> None:
    async with attack() as on:
        on.send(0, STRING, b"\xff\xfe")
        await on.other_works("after it")
        assert on.heard["attacked"] == [""]


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_message_without_end_is_not_kept(ordered: bool) -> None:
    async with attack() as on:
        window = on.inbound.window
        on.send(0, BINARY, bytes(3_000_000), ordered)
        await await_for(lambda: on.errors, what="the channel is told")
        await on.other_works("after it")
        await await_for(lambda: on.attacked.readyState == "closed", what="the channel is closed")
        assert [type(error) for error in on.errors] == [MessageTooLong]
        assert on.heard["attacked"] == []
        assert on.inbound.window == window


async def test_the_largest_message_that_is_allowed_arrives() -> None:
    async with attack() as on:
        data = bytes(range(256)) * 1024
        on.attacked.send(data)
        await await_for(lambda: on.heard["attacked"], what="the message")
        assert on.heard["attacked"] == [data]
