"""A kernel's place in its room, while others there send what they may (test process; the session's Jupyter server)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from forge_rtc_nb.sdp import MAX_MEDIA_LINES
from tests.engine.pairs import new_connection
from tests.kernel.rooms import Join
from tests.kernel.tabs import running_tab
from tests.server.client import Client
from tests.support import JupyterProcess, wait_for

pytestmark = pytest.mark.usefixtures("no_room_is_left")

RATE = 45.0
"""Messages a second, below the server's limit."""
SECONDS = 6.0
"""Long enough for the server's strikes (100 within 10 s)."""


async def offered(lines: int) -> str:
    """An offer of that many m-lines."""
    pc = new_connection()
    for _ in range(lines):
        pc.addTransceiver("video", direction="sendonly")
    sdp = (await pc.createOffer()).sdp
    await pc.close()
    return sdp


@pytest.fixture
def eves(jupyter: JupyterProcess, room_id: str) -> Iterator[list[Client]]:
    """Two who mean no good."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(jupyter, room_id)) for _ in range(2)]
        for client in clients:
            client.hello(name="Eve")
        yield clients


def flood(clients: list[Client], to: str, sdp: str, *, epochs: bool) -> None:
    """Offers of all of them, at the rate that the server allows."""
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        number += 1
        for client in clients:
            client.send("webrtc.offer", to=to, epoch=number if epochs else 1, sdp={"type": "offer", "sdp": sdp})
        time.sleep(1 / RATE)


@pytest.mark.parametrize("epochs", [False, True], ids=["of one epoch", "each with a new epoch"])
def test_floods_of_offers_leave_the_engine_in_its_room(
    join: Join, room_id: str, jupyter: JupyterProcess, eves: list[Client], epochs: bool
) -> None:
    room = join(room_id, name="victim")
    states: list[object] = []
    room.on("state", states.append)
    with running_tab(jupyter, room_id) as tab:
        wait_for(lambda: any(p.id == tab.id for p in room.participants), what="the tab is there")
        camera = room.video(tab.id)
        before = camera.latest().index
        flood(eves, room.me.id, asyncio.run(offered(1)), epochs=epochs)
        assert (room.state, states) == ("joined", [])
        assert camera.latest().index > before
        with Client(jupyter, room_id) as other:
            other.hello(name="Bob")
            other.send("webrtc.offer", to=room.me.id, epoch=1, sdp={"type": "offer", "sdp": asyncio.run(offered(1))})
            assert other.wait_for("webrtc.answer")["from"] == room.me.id


def test_an_offer_whose_answer_is_over_the_limits_costs_nobody_else_anything(
    join: Join, room_id: str, jupyter: JupyterProcess, eves: list[Client]
) -> None:
    room = join(room_id, name="victim")
    sdp = asyncio.run(offered(MAX_MEDIA_LINES)).replace("a=group:BUNDLE", "a=x-group")
    assert len(json.dumps(sdp)) < 64_000
    for number in range(30):
        eves[0].send("webrtc.offer", to=room.me.id, epoch=1, sdp={"type": "offer", "sdp": sdp})
        time.sleep(0.1 if number > 8 else 0)
    with Client(jupyter, room_id) as other:
        other.hello(name="Bob")
        other.send("webrtc.offer", to=room.me.id, epoch=1, sdp={"type": "offer", "sdp": asyncio.run(offered(1))})
        other.wait_for("webrtc.answer")
    assert room.state == "joined"
    assert "webrtc.answer" not in [message["type"] for message in eves[0].sync()]  # it would have been too long
