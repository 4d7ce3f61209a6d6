"""The REST interface to rooms, on a real server (test process)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import forge_rtc_nb
from forge_rtc_nb import protocol
from tests.server.client import Client
from tests.server.test_access import call
from tests.support import JupyterProcess, wait_for


def rest(server: JupyterProcess, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, _, answer = call(server, method, f"api/{path}", {"Authorization": f"token {server.token}"}, body)
    return status, answer


def test_health_counts(server: JupyterProcess, room: str) -> None:
    before = rest(server, "GET", "health")[1]
    with Client(server, room) as client:
        client.hello()
        after = rest(server, "GET", "health")[1]
    assert (after["status"], after["protocol"]) == ("ok", protocol.VERSION)
    assert after["version"] == forge_rtc_nb.__version__
    assert after["participants"] >= 1
    assert set(before) == {"status", "version", "protocol", "server", "rooms", "participants"}


def test_health_and_welcome_name_the_same_server(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as client:
        assert client.hello()["server"] == rest(server, "GET", "health")[1]["server"]


def test_ice_servers(server: JupyterProcess) -> None:
    assert rest(server, "GET", "ice-servers") == (200, {"servers": [{"urls": ["stun:stun.example.com:3478"]}]})


def test_the_life_of_a_room(server: JupyterProcess, room: str) -> None:
    assert rest(server, "GET", f"rooms/{room}")[0] == 404
    status, created = rest(server, "POST", "rooms", {"id": room, "max_participants": 1, "lifetime": 600})
    assert (status, created["id"], created["participants"]) == (201, room, [])
    status, again = rest(server, "POST", "rooms", {"id": room})
    assert (status, again["code"]) == (409, "room-exists")
    with Client(server, room) as ann, Client(server, room) as bob:
        me = ann.hello("kernel", name="<b>Ann</b>")["participant"]
        [listed] = rest(server, "GET", f"rooms/{room}")[1]["participants"]
        assert listed == {**me, "state": "connected", "owners": [], "streams": [], "channels": []}
        assert room in {entry["id"] for entry in rest(server, "GET", "rooms")[1]}
        bob.send("room.hello", version=1, kind="browser")
        messages, code = bob.until_closed()
        assert ([message["code"] for message in messages], code) == (["room-full"], protocol.CLOSE_FULL)
        assert rest(server, "DELETE", f"rooms/{room}") == (204, b"")
        assert ann.until_closed() == ([], protocol.CLOSE_ROOM_DELETED)
    assert rest(server, "DELETE", f"rooms/{room}")[1]["code"] == "room-not-found"


def test_a_room_lists_the_names_of_the_channels_of_each_participant(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob:
        ann.hello(channels=[{"name": "spectra", "ordered": False}, {"name": "<b>log</b>"}])
        bob.hello()
        listed = rest(server, "GET", f"rooms/{room}")[1]["participants"]
        assert [participant["channels"] for participant in listed] == [["spectra", "<b>log</b>"], []]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("rooms", {"id": "a b"}, 400, "invalid-room-id"),
        ("rooms", {"id": ""}, 400, "invalid-room-id"),
        ("rooms", {"id": "x", "colour": "red"}, 400, "invalid-message"),
        ("rooms", {"id": "x", "max_participants": 0}, 400, "invalid-message"),
        ("rooms", {"id": "x", "max_participants": 65}, 400, "invalid-message"),
        ("rooms", {"id": "x", "lifetime": -1}, 400, "invalid-message"),
        ("rooms", {}, 400, "invalid-message"),
        ("rooms", None, 400, "invalid-message"),
        ("rooms", [1], 400, "invalid-message"),
        ("tickets", {"room": "a/b", "kind": "kernel"}, 400, "invalid-room-id"),
        ("tickets", {"room": "r", "kind": "robot"}, 400, "invalid-message"),
        ("tickets", {"room": "r"}, 400, "invalid-message"),
        ("tickets", {"room": "r", "kind": "kernel", "owner": "a b"}, 400, "invalid-message"),
    ],
)
def test_wrong_bodies_are_refused(server: JupyterProcess, path: str, body: Any, status: int, code: str) -> None:
    answered, answer = rest(server, "POST", path, body)
    assert (answered, answer["code"]) == (status, code)
    assert answer["message"]


def test_errors_of_jupyter_have_a_code_too(server: JupyterProcess) -> None:
    status, _, answer = call(server, "GET", "api/health", {})
    assert (status, answer) == (403, {"message": "Forbidden", "code": "forbidden"})
    assert rest(server, "PUT", "health")[1]["code"] == "method-not-allowed"


def test_a_room_that_nobody_enters_ends(server: JupyterProcess, fresh_room: Callable[[], str]) -> None:
    name = fresh_room()
    rest(server, "POST", "rooms", {"id": name, "lifetime": 0})
    wait_for(lambda: rest(server, "GET", f"rooms/{name}")[0] == 404, what="the room is gone")
