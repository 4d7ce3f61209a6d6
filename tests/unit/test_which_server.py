"""Which server a room is on: from the welcome through engine and kernel into the widget, without any server."""

from __future__ import annotations

import msgspec
import pytest

from forge_rtc_nb import control
from forge_rtc_nb.arena import Arena, create_arena
from forge_rtc_nb.engine.bodies import Bodies
from forge_rtc_nb.engine.room import EngineRoom
from forge_rtc_nb.engine.signaling import Entry
from forge_rtc_nb.kernel.room import Room
from forge_rtc_nb.protocol import Limits, Participant, Welcome

ME = Participant(id="0123456789abcdef", name="notebook", kind="kernel", user="ann")
LIMITS = Limits(message_bytes=65536, messages_per_second=50, burst=100, participants=64, resume_seconds=30)


def welcome(server: str) -> Welcome:
    return Welcome(version=1, room="r", participant=ME, participants=[], limits=LIMITS, resume="x", server=server)


@pytest.fixture
def told() -> list[control.Control]:
    return []


@pytest.fixture
async def engine_room(told: list[control.Control]) -> EngineRoom:
    bodies = Bodies(Arena(create_arena(), "engine"), told.append)
    return EngineRoom(Entry("r", None), [], told.append, lambda number: None, bodies)


async def test_the_engine_tells_which_server_welcomed_it(engine_room: EngineRoom, told: list[control.Control]) -> None:
    engine_room._receive(welcome("one"))
    engine_room.tell()
    engine_room._receive(welcome("two"))
    assert [message.server for message in told if isinstance(message, control.Welcomed)] == ["one", "one", "two"]


def test_the_widget_knows_the_server_once_the_kernel_is_in() -> None:
    room = Room("r", left=lambda room: None)
    widget = room.widget
    room.wait_for_widget("waiting")
    assert (widget.server_id, widget.status) == ("", "waiting")
    for message in (control.Welcomed("r", ME, [], LIMITS, "one"), control.RoomState("r", "joined")):
        room.on_engine(message)
    assert (widget.server_id, widget.kernel_id, widget.status) == ("one", ME.id, "joined")
    assert widget.trait_metadata("server_id", "sync") is True
    room.on_engine(control.Welcomed("r", msgspec.structs.replace(ME, id="fedcba9876543210"), [], LIMITS, "two"))
    room.on_engine(control.RoomState("r", "joined"))
    assert (widget.server_id, widget.kernel_id) == ("two", "fedcba9876543210")
    room.leave()
    assert (widget.server_id, widget.status) == ("two", "left")


def test_a_widget_shown_after_the_welcome_knows_the_server_from_the_start() -> None:
    room = Room("r", left=lambda room: None)
    room.on_engine(control.Welcomed("r", ME, [], LIMITS, "one"))
    assert room.widget.server_id == "one"
    room.leave()
