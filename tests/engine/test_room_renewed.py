"""Participants who come back under another id, or at the very moment at which they left (test process)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from forge_rtc_nb.arena import Arena, create_arena
from forge_rtc_nb.control import INLINE, SetShared
from forge_rtc_nb.engine.bodies import Bodies
from forge_rtc_nb.engine.room import EngineRoom
from forge_rtc_nb.engine.signaling import Entry, SignalingClient
from forge_rtc_nb.protocol import (
    Channel,
    IceRequest,
    IceServers,
    Joined,
    Left,
    Limits,
    Message,
    Offer,
    Participant,
    Pong,
    Updated,
    Welcome,
)
from tests.support import await_for

LIMITS = Limits(message_bytes=65536, messages_per_second=50, burst=100, participants=64, resume_seconds=30)
LOG = Channel(name="log")


def kernel(name: str, *channels: Channel) -> Participant:
    return Participant(id=name, name=name, kind="kernel", user="u", channels=list(channels))


def welcome(me: str, *others: Participant) -> Welcome:
    return Welcome(version=1, room="r", participant=kernel(me), participants=list(others), limits=LIMITS, resume="x")


def offers_in(sent: list[Message]) -> int:
    return sum(isinstance(message, Offer) for message in sent)


def more_offers(sent: list[Message], before: int) -> bool:
    return offers_in(sent) > before


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(create_arena(), "engine")
    yield arena
    arena.close()


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch, sent: list[Message], arena: Arena) -> AsyncIterator[EngineRoom]:
    """A room whose server takes everything."""
    rooms: list[EngineRoom] = []

    def send(_client: SignalingClient, message: Message) -> None:
        sent.append(message)
        if isinstance(message, Updated):
            rooms[0]._receive(Pong(id=message.id))
        elif isinstance(message, IceRequest):
            rooms[0]._receive(IceServers(servers=[]))

    monkeypatch.setattr(SignalingClient, "send", send)
    room = EngineRoom(Entry("r", None), [], lambda _: None, lambda _: None, Bodies(arena, lambda _: None))
    rooms.append(room)
    yield room
    await room.close()


async def test_who_offers_is_decided_anew_when_our_id_is_another(room: EngineRoom, sent: list[Message]) -> None:
    other = kernel("m", LOG)
    room._receive(welcome("z", other))
    await room.data.open_channel(LOG)
    assert room._peers["m"].data.needed
    for me, offers in (("a", True), ("y", False), ("b", True)):
        before = offers_in(sent)
        room._receive(welcome(me, other))
        if offers:
            await await_for(partial(more_offers, sent, before), what="we offer")
        assert room._peers["m"]._offers is offers


async def test_who_leaves_and_comes_in_one_moment_gets_data_again(room: EngineRoom) -> None:
    other = kernel("m", LOG)
    room._receive(welcome("a", other))
    await room.data.open_channel(LOG)
    before = room._peers["m"]
    room._receive(Left(participant_id="m", reason="expired"))
    room._receive(Joined(participant=other))
    after = room._peers["m"]
    assert after is not before
    assert after.data.needed
    assert not before.data.needed


async def test_values_of_the_mapping_take_no_memory_after_the_room_is_left(room: EngineRoom, arena: Arena) -> None:
    room._receive(welcome("a"))
    extent = arena.allocate(100 * INLINE)
    shared = room.data._shared
    assert shared is not None
    shared._replica.write("w", b'{"kind": "bytes", "time": 1}', extent.size, extent, 1.0)
    del extent
    assert arena.in_use > 0
    room.data.end()
    await await_for(lambda: arena.in_use == 0, what="it is free")
    room.data.set_shared(SetShared(1, "r", "w", 1.0, None))  # it is gone, and says so by a reply
