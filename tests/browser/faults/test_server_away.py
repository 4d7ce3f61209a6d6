"""The Jupyter server that hosts the room goes away and comes back, while media flows on (test process)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.faults.conftest import GoLive
from tests.support import JupyterProcess, wait_for

RESUMED = 10.0
"""Twice the promise: everybody is back in the room 5 s after the server is."""
GAP = 3.0
"""Seconds without a frame that would mean that media waited for the server."""


@pytest.fixture
def host(jupyter: JupyterProcess, tmp_path: Path) -> Iterator[JupyterProcess]:
    """Another server, for the room only: the notebook's own would take its kernel along."""
    with JupyterProcess(tmp_path, arguments=(f"--ServerApp.allow_origin={jupyter.url.rstrip('/')}",)) as server:
        yield server


def people(server: JupyterProcess, room_id: str) -> dict[str, str]:
    """States of those who are in the room, by their ids."""
    rooms = server.request("GET", "forge-rtc/api/rooms")
    return {person["id"]: person["state"] for room in rooms if room["id"] == room_id for person in room["participants"]}


@pytest.mark.parametrize("away", [0, pytest.param(60, marks=pytest.mark.soak)])
def test_media_flows_on_and_everybody_is_back_at_once(go_live: GoLive, host: JupyterProcess, room_id: str, away: float) -> None:
    live = go_live(host=f"{host.url}?token={host.token}")
    before = people(host, room_id)
    assert len(before) == 2
    gone = time.time()
    host.kill()
    wait_for(lambda: live.ask("room.state") == "reconnecting", 5, "the loss is noticed")
    if away:
        assert live.watch(away) < GAP
    host.start()
    started = time.monotonic()
    wait_for(lambda: people(host, room_id) == before, RESUMED, "tab and kernel are back as they were")
    wait_for(lambda: live.ask("room.state") == "joined", RESUMED, "the kernel knows it")
    print(f"\nback in the room {time.monotonic() - started:.2f} s after the server (promise 5 s)")
    live.notebook.room.get_by_role("button", name="Microphone", exact=True).click()
    wait_for(lambda: "microphone" in live.ask("[s.source for s in room.streams]"), what="signaling works")
    assert live.ask(f"reader.gap({gone})") < GAP
    assert live.ask("reader.said('joined', 'left', 'error')") == []
    assert live.notebook.room_joined() == live.tab
    assert live.notebook.errors == []
