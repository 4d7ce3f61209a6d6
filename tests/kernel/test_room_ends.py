"""Rooms that end or vanish: server restarts, deleted rooms, interrupted joins, killed processes (test process)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel import joining
from forge_rtc_nb.kernel.joining import joined
from tests.kernel.rooms import Join, Relay, engine_pids, names, our_threads, watching
from tests.server.client import eventually_listed
from tests.support import JupyterProcess, free_port, wait_for

pytestmark = pytest.mark.usefixtures("no_room_is_left")


# The server goes away, or ends the room


def test_a_restart_of_the_server_is_survived(tmp_path: Path, room_id: str) -> None:
    with JupyterProcess(tmp_path) as server:
        room = rtc.join(room_id, server=server.url, token=server.token)
        me = room.me
        with watching(room) as events:
            server.stop()
            wait_for(lambda: room.state == "reconnecting", what="the loss is noticed")
            server.start()
            wait_for(lambda: room.state == "joined", 20, "the kernel is back")
        assert eventually_listed(server, room_id, 1)[0]["id"] == me.id
        assert (room.me.id, room.me.name) == (me.id, me.name)
        expected = [("state", "reconnecting"), ("state", "joined")]  # told in a thread, a moment after the state is that
        wait_for(lambda: events == expected, what="both events")
        # A restart without the key file would be noticed here: the kernel would have come back as somebody else.
        room.leave()
        eventually_listed(server, room_id, 0)


def test_a_deleted_room_is_closed_with_the_reason(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    room = join(room_id)
    widget, camera = room.widget, room.camera
    blocked: list[Future[Any]] = [pool.submit(room.wait_for, "nobody", 30), pool.submit(camera.latest, 30)]
    with watching(room) as events:
        jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
        calls: list[Callable[[], Any]] = [
            *(lambda: blocked[0].result(5), lambda: blocked[1].result(5)),
            *(lambda: camera.latest(5), lambda: room.participants),
        ]
        for call in calls:
            with pytest.raises(rtc.NotInRoom, match="is closed: the room was deleted"):
                call()
        wait_for(lambda: events == [("state", "closed")], what="the event")
    assert room.state == "closed"
    assert (widget.status, widget.detail) == ("error", "the room was deleted")
    wait_for(lambda: not our_threads() and not engine_pids(), what="the end of the engine")
    room.leave()
    assert (room.state, joined.rooms()) == ("closed", [])


def test_a_deleted_room_can_be_joined_again_while_the_engine_serves_another(
    jupyter: JupyterProcess, join: Join, room_id: str
) -> None:
    other, room = join(f"{room_id}-2"), join(room_id)
    engine, me = engine_pids(), room.me.id
    jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
    wait_for(lambda: room.state == "closed", what="the end")
    again = join(room_id)
    assert (again.state, again.me.id == me, engine_pids()) == ("joined", False, engine)
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == again.me.id
    assert other.state == "joined"


def test_a_room_that_ends_while_another_is_being_joined_holds_nothing_up(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    room, other = join(room_id), f"{room_id}-2"
    with Relay(jupyter) as relay:
        joining_other = pool.submit(rtc.join, other, server=relay.url, token=jupyter.token)
        assert relay.called.wait(10)
        jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
        wait_for(lambda: room.id not in {one.id for one in joined.rooms()}, 3, "the end")
        assert not joining_other.done()
        relay.open()
        joining_other.result(5).leave()


def test_an_interrupted_join_leaves_nobody_behind(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    keeps_the_engine, other = join(room_id), f"{room_id}-2"
    with Relay(jupyter) as relay:

        def interrupt() -> None:
            if relay.called.wait(10):
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            rtc.join(other, server=relay.url, token=jupyter.token)
        relay.open()
        assert relay.done.wait(10), "the engine is still in the room that nobody holds"
    eventually_listed(jupyter, other, 0)
    assert [room.id for room in joined.rooms()] == [room_id]
    assert keeps_the_engine.state == "joined"


def test_leaving_while_a_ticket_is_being_taken_leaves_nobody_behind(
    jupyter: JupyterProcess, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "in_notebook", lambda: True)
    for name in ("FORGE_RTC_SERVER_URL", "JUPYTERHUB_API_TOKEN", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    room = rtc.join(room_id)
    assert (room.state, engine_pids()) == ("waiting", [])
    widget: Any = room.widget
    ticket = jupyter.request("POST", "forge-rtc/api/tickets", {"room": room_id, "kind": "kernel"})["ticket"]
    with Relay(jupyter) as relay:
        for _ in range(2):  # two cells show the room
            widget._handle_custom_msg({"type": "ticket.offer", "ticket": ticket, "url": relay.url}, [])
        assert relay.called.wait(10)
        room.leave()
        relay.open()
        assert relay.done.wait(10), "the engine is still in the room that nobody holds"
    wait_for(lambda: not our_threads() and not engine_pids(), what="the end of the engine")
    assert (room.state, widget.status) == ("left", "left")


# Processes that die

IN_ANOTHER_PROCESS = """
import sys, threading
import forge_rtc_nb as rtc
room = rtc.join(sys.argv[1], server=sys.argv[2], name="other process")
print(room.me.id, flush=True)
threading.Event().wait()
"""


def test_a_killed_process_is_gone_from_the_room_within_seconds(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)
    process = subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, room_id, jupyter.url],
        env={**os.environ, "FORGE_RTC_TOKEN": jupyter.token},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            (other,) = room.wait_for("other process", 30)
            assert process.stdout is not None
            assert (process.stdout.readline().strip(), other.kind) == (other.id, "kernel")
        finally:
            process.kill()
        start = time.monotonic()
        wait_for(lambda: names(room) == [room.me.name], 12, "the participant is gone")
        took = time.monotonic() - start
    print(f"\ngone from the room {took * 1000:.0f} ms after kill -9")
    assert took < 6


def test_a_server_that_is_not_there_leaves_nothing_behind(room_id: str) -> None:
    with pytest.raises(rtc.SignalingError, match="the server= argument"):
        rtc.join(room_id, server=f"http://127.0.0.1:{free_port()}/", token="x")
    assert (joined.rooms(), engine_pids(), our_threads()) == ([], [], [])
