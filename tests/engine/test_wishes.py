"""What an engine wants of others is said again when the server could not pass it on."""

from __future__ import annotations

import pytest

from forge_rtc_nb.arena import Arena, create_arena
from forge_rtc_nb.engine import room as room_module
from forge_rtc_nb.engine.bodies import Bodies
from forge_rtc_nb.engine.media import View
from forge_rtc_nb.engine.room import EngineRoom
from forge_rtc_nb.engine.signaling import Entry, SignalingClient
from forge_rtc_nb.protocol import Error, Joined, Message, Participant, Stream, Subscribe
from forge_rtc_nb.ring import Writer, create_memory
from tests.support import await_for


async def test_a_wish_that_a_slow_reader_did_not_get_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "REPEAT", 0.02)
    sent: list[Message] = []
    monkeypatch.setattr(SignalingClient, "send", lambda _client, message: sent.append(message))
    bodies = Bodies(Arena(create_arena(), "engine"), lambda _message: None)
    room = EngineRoom(Entry("r", None), [], lambda _message: None, lambda _number: None, bodies)
    room.me = Participant(id="me", name="me", kind="kernel", user="u")
    camera = Stream(id="camera-1", name="camera", kind="video", source="camera")
    tab = Participant(id="tab-1", name="Ann", kind="browser", user="u", joined_at=0.0, streams=[camera])
    room._receive(Joined(participant=tab))
    view = View(Writer(create_memory(), 0), "rgb24", lambda: None, lambda why: pytest.fail(why))
    room.open_view(1, tab.id, camera.id, view)
    wish = Subscribe(to=tab.id, stream=camera.id)
    assert sent == [wish]
    for _ in range(3):
        room._receive(Error(code="slow-reader", message="not passed on"))
    await await_for(lambda: sent == [wish, wish], what="it is said again, once")
    await room.close()
