"""Parts of messages that wait in aiortc's transport: bounded over all streams, in bytes and in number (test process)."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc import rtcsctptransport
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, RTCSctpTransport

from forge_rtc_nb.engine.aiortc_compat import datachannels
from forge_rtc_nb.engine.aiortc_compat.datachannels import (
    MANY_AHEAD,
    MANY_CHUNKS,
    MANY_TOGETHER,
    WINDOW,
    receive_chunk,
    receive_forward_tsn,
)

FIRST, LAST = rtcsctptransport.SCTP_DATA_FIRST_FRAG, rtcsctptransport.SCTP_DATA_LAST_FRAG


class Victim:
    """The receiving half of a transport, which a test gives chunks to."""

    def __init__(self) -> None:
        transport: Any = RTCSctpTransport
        self.transport: Any = object.__new__(transport)
        self.transport._inbound_streams = {}
        self.transport._last_received_tsn = 0
        self.transport._sack_misordered = set()
        self.transport._sack_duplicates = []
        self.transport._advertised_rwnd = WINDOW
        self.transport._data_channels = {}
        self.transport._reconfig_deferred = None
        self.transport._receive = self._receive
        self.messages: list[tuple[int, int]] = []
        """Stream and size of what arrived."""
        self.tsn = 1

    async def _receive(self, stream: int, _protocol: int, data: bytes) -> None:
        self.messages.append((stream, len(data)))

    async def get(self, stream: int, data: bytes, flags: int = FIRST, sequence: int = 0) -> None:
        """The next chunk; by default the beginning of a message that has no end."""
        chunk = DataChunk(flags=flags)
        chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = self.tsn, stream, sequence, 53, data
        self.tsn += 1
        await receive_chunk(self.transport, chunk)

    @property
    def streams(self) -> list[Any]:
        return list(self.transport._inbound_streams.values())

    @property
    def waiting(self) -> list[bytes]:
        return [chunk.user_data for stream in self.streams for chunk in stream.reassembly]

    @property
    def overflowed(self) -> int:
        return sum(getattr(stream, "overflowed", False) for stream in self.streams)


async def test_unfinished_messages_on_many_streams_are_bounded_together() -> None:
    victim = Victim()
    for stream in range(1000):
        for part in range(8):
            await victim.get(stream, bytes(1100), 0 if part else FIRST)
    assert 1.9 * WINDOW < sum(map(len, victim.waiting)) <= 2 * WINDOW
    assert victim.transport._advertised_rwnd == WINDOW - sum(map(len, victim.waiting))
    assert victim.overflowed > 500


async def test_tiny_parts_on_many_streams_are_bounded_together() -> None:
    victim = Victim()
    for stream in range(MANY_TOGETHER // 4):
        for part in range(8):
            await victim.get(stream, b"x", 0 if part else FIRST)
    assert len(victim.waiting) <= MANY_TOGETHER
    assert victim.overflowed >= MANY_TOGETHER // 8


async def test_tiny_parts_on_one_stream_are_bounded() -> None:
    victim = Victim()
    for part in range(MANY_CHUNKS):
        await victim.get(0, b"x", 0 if part else FIRST)
    assert len(victim.waiting) == MANY_CHUNKS
    await victim.get(0, b"x", 0)
    assert victim.waiting == []
    assert victim.overflowed == 1
    await victim.get(0, b"x", 0)
    assert victim.waiting == []


async def test_chunks_far_behind_a_lost_one_are_not_received() -> None:
    victim = Victim()
    victim.tsn = 2  # the first is lost
    for _ in range(MANY_AHEAD + 100):
        await victim.get(victim.tsn, b"x")
    assert len(victim.transport._sack_misordered) == MANY_AHEAD - 1
    victim.tsn = 1
    await victim.get(0, b"x", FIRST | LAST)
    assert victim.transport._last_received_tsn == MANY_AHEAD
    victim.tsn = MANY_AHEAD + 1
    await victim.get(0, b"again", FIRST | LAST, sequence=1)
    assert victim.messages == [(0, 1), (0, 5)]


async def test_whole_messages_use_nothing_up() -> None:
    victim = Victim()
    for number in range(3 * MANY_CHUNKS):
        await victim.get(number % 7, bytes(300), FIRST | LAST, sequence=number // 7)
    for number in range(200):
        for part in range(50):
            await victim.get(9, bytes(1100), FIRST * (part == 0) | LAST * (part == 49), sequence=number)
    assert len(victim.messages) == 3 * MANY_CHUNKS + 200
    assert (victim.transport.chunks_waiting, victim.transport._advertised_rwnd, victim.overflowed) == (0, WINDOW, 0)
    assert victim.transport._inbound_streams[9].waiting == 0


async def test_a_window_full_of_messages_behind_a_lost_one_arrives() -> None:
    victim = Victim()
    size = 1100
    count = WINDOW // size
    victim.tsn = 2
    for number in range(1, count):
        await victim.get(0, bytes(size), FIRST | LAST, sequence=number)
    victim.tsn = 1
    await victim.get(0, bytes(size), FIRST | LAST)
    assert victim.messages == [(0, size)] * count


@pytest.mark.parametrize("size", [1, 1100])
async def test_what_the_peer_abandons_again_and_again_uses_nothing_up(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datachannels, "MANY_TOGETHER", 1000)
    victim = Victim()
    for _ in range(100):
        for part in range(50):
            await victim.get(0, bytes(size), 0 if part else FIRST)
        victim.tsn += 1  # its last chunk is lost
        forward = ForwardTsnChunk()
        forward.cumulative_tsn, forward.streams = victim.tsn - 1, []
        await receive_forward_tsn(victim.transport, forward)
    assert victim.overflowed == 0
    assert victim.waiting == []
    await victim.get(1, b"whole", FIRST | LAST)
    assert victim.messages == [(1, 5)]
