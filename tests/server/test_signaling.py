"""Joining, routing, leaving and coming back, on a real server (test process)."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from forge_rtc_nb import protocol
from tests.server.client import SDP, WAIT, Client, eventually_listed
from tests.server.conftest import make_server
from tests.support import JupyterProcess

CAMERA = {"id": "camera-1", "name": "Camera", "kind": "video", "source": "camera"}


def test_two_participants_meet_and_talk(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob:
        welcome = ann.hello(name="Ann", streams=[CAMERA])
        assert welcome["participants"] == []
        assert welcome["limits"]["message_bytes"] == protocol.MAX_MESSAGE
        assert "resumed" not in welcome
        me = welcome["participant"]
        assert me["streams"][0]["started"] == pytest.approx(time.time(), abs=60)
        other = bob.hello("kernel")
        assert other["participants"] == [me]
        assert other["participant"]["name"] == "notebook"
        assert ann.receive() == {"type": "room.joined", "participant": other["participant"]}
        bob.send("webrtc.offer", to=me["id"], epoch=7, sdp={"type": "offer", "sdp": SDP})
        offer = ann.receive()
        assert (offer["from"], offer["epoch"], offer["sdp"]["sdp"]) == (other["participant"]["id"], 7, SDP)
        ann.send("room.updated", owners=[other["participant"]["id"]])
        assert bob.receive()["participant"]["owners"] == [other["participant"]["id"]]


def test_a_client_that_closes_has_left_at_once(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        for code in (1000, 1001):
            bob = Client(server, room)
            participant = bob.hello()["participant"]
            ann.wait_for("room.joined")
            bob.ws.close(code)
            assert ann.receive() == {"type": "room.left", "participant_id": participant["id"]}


def test_a_close_frame_without_a_status_is_leaving_too(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        bob = Client(server, room)
        participant = bob.hello()["participant"]
        ann.wait_for("room.joined")
        bob.socket.send(b"\x88\x80" + struct.pack("!I", 0))
        assert ann.receive() == {"type": "room.left", "participant_id": participant["id"]}


def test_a_broken_connection_is_resumed_without_anybody_leaving(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        bob = Client(server, room)
        welcome = bob.hello(name="Bob")
        me = welcome["participant"]["id"]
        bob.drop()
        assert ann.wait_for("room.updated")["participant"]["state"] == "reconnecting"
        ann.send("stream.subscribe", to=me, stream="camera-1")
        assert ann.sync() == []
        with Client(server, room, credentials={}) as again:
            resumed = again.hello(resume=welcome["resume"])
            assert resumed["resumed"]
            assert resumed["participant"] == welcome["participant"]
            assert again.receive()["stream"] == "camera-1"
            messages = ann.sync()
            assert [message["type"] for message in messages] == ["room.updated"]
            assert "state" not in messages[0]["participant"]


def test_a_broken_connection_that_stays_away_expires(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        bob = Client(server, room)
        welcome = bob.hello()
        bob.drop()
        assert ann.wait_for("room.left")["reason"] == "expired"
        with Client(server, room) as again:
            later = again.hello(resume=welcome["resume"])
            assert later["participant"]["id"] == welcome["participant"]["id"]
            assert "resumed" not in later


def test_a_resume_takes_over_from_a_connection_that_is_still_open(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as old, Client(server, room) as new:
        ann.hello()
        resume = old.hello()["resume"]
        ann.wait_for("room.joined")
        assert new.hello(resume=resume)["resumed"]
        assert old.until_closed()[1] == protocol.CLOSE_REPLACED
        assert ann.sync() == []


def test_a_rotated_resume_token_is_refused(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as first, Client(server, room) as second, Client(server, room) as third:
        stale = first.hello()["resume"]
        second.hello(resume=stale)
        third.send("room.hello", version=1, kind="browser", resume=stale)
        messages, code = third.until_closed()
        assert (messages[0]["code"], code) == ("unauthorized", protocol.CLOSE_UNAUTHORIZED)
        assert second.sync() == []


@pytest.mark.parametrize(
    ("hello", "code", "close"),
    [
        ({"version": 2}, "bad-version", protocol.CLOSE_BAD_HELLO),
        ({"version": "1"}, "invalid-message", protocol.CLOSE_BAD_HELLO),
        ({"type": "ping"}, "invalid-message", protocol.CLOSE_BAD_HELLO),
        ({"streams": [CAMERA, CAMERA]}, "invalid-message", protocol.CLOSE_BAD_HELLO),
    ],
)
def test_a_wrong_hello_is_answered_and_closed(
    server: JupyterProcess, room: str, hello: dict[str, Any], code: str, close: int
) -> None:
    with Client(server, room) as client:
        client.send(**{"type": "room.hello", "version": 1, "kind": "browser", "id": "h", **hello})
        messages, closed = client.until_closed()
        assert [(message["code"], message["reply_to"]) for message in messages] == [(code, "h")]
        assert closed == close


@pytest.mark.parametrize("name", ["", "a%20b", "x" * 65, "%2e%2e%2f"])
def test_a_wrong_room_id_is_answered_and_closed(server: JupyterProcess, name: str) -> None:
    with Client(server, name) as client:
        client.send("room.hello", version=1, kind="browser")
        messages, closed = client.until_closed()
        assert [message["code"] for message in messages] == ["invalid-room-id"]
        assert closed == protocol.CLOSE_BAD_HELLO


def test_a_client_that_says_nothing_is_closed(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as known, Client(server, room, credentials={}) as unknown:
        assert known.until_closed() == ([], protocol.CLOSE_BAD_HELLO)
        assert unknown.until_closed() == ([], protocol.CLOSE_UNAUTHORIZED)


def test_errors_name_what_they_answer(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as client:
        me = client.hello()["participant"]["id"]
        cases: list[tuple[str, dict[str, Any]]] = [
            ("peer-not-found", {"type": "webrtc.negotiate", "to": "nobody"}),
            ("peer-not-found", {"type": "webrtc.negotiate", "to": me}),
            ("invalid-message", {"type": "webrtc.negotiate"}),
            ("invalid-message", {"type": "room.hello", "version": 1, "kind": "browser"}),
            ("invalid-sdp", {"type": "webrtc.answer", "to": me, "sdp": {"type": "answer", "sdp": "x"}}),
            ("invalid-candidate", {"type": "webrtc.ice_candidate", "to": me, "candidate": {"candidate": "x"}}),
            ("unknown-type", {"type": "room.explode"}),
            ("unknown-type", {"type": "room.welcome"}),
        ]
        for code, message in cases:
            client.send(**message, id="m-1")
            answer = client.receive()
            assert (answer["type"], answer["code"], answer["reply_to"]) == ("error", code, "m-1")


def test_ice_servers_come_out_of_the_present_settings(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as client:
        client.hello()
        client.send("ice.request", id="i")
        expected = [{"urls": ["stun:stun.example.com:3478"]}]
        assert client.receive() == {"type": "ice.servers", "id": "i", "servers": expected}


def test_a_silent_machine_counts_as_gone(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        # A bare socket, which answers no ping.
        quiet = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT)
        quiet.sendall(
            f"GET /forge-rtc/ws/webrtc?room={room} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: token {server.token}\r\n\r\n".encode()
        )
        assert b" 101 " in quiet.recv(4096)
        hello = b'{"type":"room.hello","version":1,"kind":"kernel"}'
        quiet.sendall(bytes([0x81, 0x80 | len(hello)]) + b"\0\0\0\0" + hello)
        ann.wait_for("room.joined")
        started = time.monotonic()
        assert ann.wait_for("room.updated")["participant"]["state"] == "reconnecting"
        assert time.monotonic() - started > 2
        assert ann.wait_for("room.left")["reason"] == "expired"
        quiet.close()


def test_a_welcome_that_would_be_too_long_is_continued(server: JupyterProcess, room: str) -> None:
    streams = [{**CAMERA, "id": f"{i:0>64}", "name": "\U0001f600" * 64} for i in range(32)]
    crowd = [Client(server, room) for _ in range(8)]
    try:
        ids = {client.hello(streams=streams)["participant"]["id"] for client in crowd}
        with Client(server, room) as late:
            late.send("room.hello", version=1, kind="browser")
            frame = late.ws.recv(timeout=WAIT)
            welcome = protocol.decode_server(frame)
            assert isinstance(welcome, protocol.Welcome)
            joined = [message["participant"]["id"] for message in late.sync()]
            assert joined
            assert {peer.id for peer in welcome.participants} | set(joined) == ids
    finally:
        for client in crowd:
            client.ws.close()


def test_an_empty_room_ends(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        eventually_listed(server, room, 1)
    deadline = time.monotonic() + WAIT
    while room in {entry["id"] for entry in server.request("GET", "forge-rtc/api/rooms")}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_participants_survive_a_restart_of_the_server(tmp_path: Path) -> None:
    strict = "--ServerApp.allow_unauthenticated_access=False"
    with make_server(tmp_path, "--ForgeRTC.max_connections_per_user=2", strict) as restarted:
        ann, bob = Client(restarted, "r"), Client(restarted, "r")
        one, two = ann.hello(name="Zoe"), bob.hello("kernel", name="Zoe")
        ticket = restarted.request("POST", "forge-rtc/api/tickets", {"room": "r", "kind": "browser"})["ticket"]
        with Client(restarted, "r") as third:
            third.send("room.hello", version=1, kind="browser")
            messages, closed = third.until_closed()
            assert (messages[0]["code"], closed) == ("room-full", protocol.CLOSE_FULL)
        restarted.stop()
        assert ann.until_closed()[1] == 1012
        restarted.start()
        with Client(restarted, "r", credentials={}) as again:
            back = again.hello("kernel", resume=two["resume"])
            assert back["participant"]["id"] == two["participant"]["id"]
            assert back["participant"]["name"] == "Zoe (2)"
            assert back["server"] == two["server"]
            assert "resumed" not in back
            with Client(restarted, "r", credentials={}) as other:
                assert other.hello(resume=one["resume"])["participant"]["id"] == one["participant"]["id"]
                assert again.receive()["participant"]["name"] == "Zoe"
            with Client(restarted, "r", credentials={}) as early:
                early.send("room.hello", version=1, kind="browser", ticket=ticket)
                messages, closed = early.until_closed()
                assert "last start" in messages[0]["message"]
                assert closed == protocol.CLOSE_UNAUTHORIZED
