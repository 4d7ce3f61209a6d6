"""Bad input and abuse on a real server: its sender gets errors, everybody else notices nothing (test process)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from forge_rtc_nb import protocol
from tests.server.client import SDP, Client
from tests.support import JupyterProcess
from tests.unit.test_protocol import INVALID, JSON_VALUES, VALID

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
FUZZED = settings(max_examples=int(60 * FUZZ), deadline=None, suppress_health_check=[HealthCheck.too_slow])
SENDABLE = [case["message"] for _, case in VALID if case["from"] == "client" and case["message"]["type"] != "room.hello"]
NASTY = ["<img src=x onerror=alert(1)>", "\u202eevil", "a\x00b\x1b[2J", "\u2028\u2029", "🙂" * 300, "\ufeff", "‮" * 70]


class Witnesses:
    """Two innocent participants; `unharmed` says that they heard of nothing and still hear each other.

    `unchanged` says that to everybody else they are what they were.
    """

    def __init__(self, server: JupyterProcess, room: str) -> None:
        self.room = room
        self.ann, self.bob = Client(server, room), Client(server, room)
        has: dict[str, Any] = {"channels": [{"name": "spectra", "ordered": False}], "shared": True}
        self.records = [
            client.hello(name=name, **has)["participant"] for client, name in ((self.ann, "Ann"), (self.bob, "Bob"))
        ]
        self.ann_id, self.bob_id = (record["id"] for record in self.records)
        self.ann.wait_for("room.joined")

    def unharmed(self, allowed: tuple[str, ...] = ()) -> None:
        heard = [*self.ann.sync(), *self.bob.sync()]
        assert [message for message in heard if message["type"] not in allowed] == []
        self.ann.send("stream.subscribe", to=self.bob_id, stream="s")
        assert self.bob.receive() == {
            "type": "stream.subscribe",
            "to": self.bob_id,
            "from": self.ann_id,
            "stream": "s",
        }

    def unchanged(self, server: JupyterProcess) -> None:
        with Client(server, self.room) as late:
            known = {record["id"]: record for record in late.hello()["participants"]}
        assert [known.get(record["id"]) for record in self.records] == self.records

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ann.ws.close()
        self.bob.ws.close()


@pytest.fixture
def witnesses(server: JupyterProcess, room: str) -> Iterator[Witnesses]:
    with Witnesses(server, room) as there:
        yield there


@pytest.fixture
def eve(server: JupyterProcess, witnesses: Witnesses) -> Iterator[Client]:
    """Somebody in the same room who sends bad input."""
    with Client(server, witnesses.room) as client:
        client.hello(name="Eve")
        witnesses.ann.wait_for("room.joined")
        witnesses.bob.wait_for("room.joined")
        yield client


PASSING_BY = ("room.joined", "room.updated", "room.left")
"""What anybody hears while others come and go."""


def attack(server: JupyterProcess, witnesses: Witnesses, frames: list[str | bytes]) -> list[dict[str, Any]]:
    """A newcomer to the room of the witnesses sends these frames; what it gets for them."""
    with Client(server, witnesses.room) as eve:
        eve.hello()
        try:
            for frame in frames:
                eve.ws.send(frame)
            answers = eve.sync()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            assert closed.rcvd.code == protocol.CLOSE_ABUSE
            return []
        return [answer for answer in answers if answer["type"] not in PASSING_BY]


@pytest.mark.parametrize("case", [case for _, case in INVALID if case["from"] == "client"], ids=lambda case: case["frame"][:40])
def test_each_invalid_vector_gets_its_error_and_harms_nobody(witnesses: Witnesses, eve: Client, case: dict[str, Any]) -> None:
    eve.ws.send(case["frame"])
    answer = eve.receive()
    assert answer["type"] == "error"
    assert answer["code"] in (case["code"], "unknown-type")
    witnesses.unharmed()


def test_arbitrary_frames_harm_nobody(server: JupyterProcess, fresh_room: Callable[[], str]) -> None:
    @FUZZED
    @given(st.lists(st.text() | st.binary() | JSON_VALUES.map(json.dumps), min_size=1, max_size=30))
    def run(frames: list[str | bytes]) -> None:
        with Witnesses(server, fresh_room()) as witnesses:
            assert all(answer["type"] == "error" for answer in attack(server, witnesses, frames))
            witnesses.unharmed(allowed=PASSING_BY)

    run()


def mutated(message: dict[str, Any], key: str, value: Any, target: Any) -> dict[str, Any]:
    return {**message, "to": target, key: value}


MUTATED = st.builds(
    mutated,
    st.sampled_from(SENDABLE),
    st.sampled_from(["type", "from", "epoch", "id", "sdp", "candidate", "streams", "channels", "shared", "restart", "x"]),
    JSON_VALUES | st.sampled_from(NASTY),
    st.sampled_from(["ann", "nobody", "", None, 7]),
)


CHANNELS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["spectra", "log", *(name[:64] for name in NASTY)])},
        optional={
            "ordered": st.booleans(),
            "policy": st.sampled_from(["block", "drop_oldest", "latest"]),
            "maxsize": st.integers(0, 64),
        },
    ),
    max_size=4,
)
UPDATES = st.fixed_dictionaries(
    {"type": st.just("room.updated"), "to": st.just(None)},
    optional={"channels": CHANNELS, "shared": st.booleans(), "streams": st.just([])},
)


def test_mutated_messages_in_any_order_harm_nobody(server: JupyterProcess, fresh_room: Callable[[], str]) -> None:
    @FUZZED
    @given(st.lists(MUTATED | UPDATES, min_size=1, max_size=30))
    def run(messages: list[dict[str, Any]]) -> None:
        with Witnesses(server, fresh_room()) as witnesses:
            ann = witnesses.ann_id
            frames = [json.dumps({**m, "to": ann} if m["to"] == "ann" else m) for m in messages]
            answers = attack(server, witnesses, [*frames])
            assert {answer["type"] for answer in answers} <= {"error", "pong", "ice.servers"}
            # What is valid and addressed to Ann reaches her, as its sender's; every frame that she gets is valid.
            for message in witnesses.ann.sync():
                protocol.decode_server(json.dumps(message))
                assert message["type"] in PASSING_BY or message["to"] == ann
                assert message.get("from") not in (ann, witnesses.bob_id)
                assert message.get("participant", {}).get("id") not in (ann, witnesses.bob_id)
            witnesses.unharmed(allowed=PASSING_BY)
            witnesses.unchanged(server)

    run()


@pytest.mark.parametrize("name", NASTY)
def test_names_reach_the_others_clean_and_as_text(server: JupyterProcess, witnesses: Witnesses, name: str) -> None:
    with Client(server, witnesses.room) as eve:
        stream = {"id": "s", "name": name[:64], "kind": "video", "source": "camera"}
        eve.hello(name=name[:256], streams=[stream])
        participant = witnesses.ann.wait_for("room.joined")["participant"]
        for told in (participant["name"], participant["streams"][0]["name"]):
            assert told == protocol.clean_name(told, "")
            assert told


def test_an_sdp_over_its_limits_is_refused(witnesses: Witnesses, eve: Client) -> None:
    media = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    bad = [SDP + media * 33, SDP + media + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 129, "not " + SDP]
    for sdp in bad:
        eve.send("webrtc.offer", to=witnesses.ann_id, id="o", sdp={"type": "offer", "sdp": sdp})
        answer = eve.receive()
        assert (answer["code"], answer["reply_to"]) == ("invalid-sdp", "o")
    eve.send("webrtc.offer", to=witnesses.ann_id, sdp={"type": "offer", "sdp": SDP + "a=x\r\n" * 16000})
    assert eve.receive()["code"] == "invalid-message"
    witnesses.unharmed()
    eve.send("webrtc.offer", to=witnesses.ann_id, sdp={"type": "offer", "sdp": SDP + media * 32})
    assert witnesses.ann.receive()["type"] == "webrtc.offer"


def test_a_frame_over_the_limit_gets_an_error_and_a_huge_one_a_close(witnesses: Witnesses, eve: Client) -> None:
    eve.send("ping", padding="x" * protocol.MAX_MESSAGE)
    assert eve.receive()["code"] == "invalid-message"
    with contextlib.suppress(OSError, ConnectionClosed):
        eve.send("ping", padding="x" * 1024 * 1024)
    assert eve.until_closed()[1] in (1009, None)
    witnesses.unharmed(allowed=("room.updated", "room.left"))


def test_repeated_malformed_frames_close_the_connection(witnesses: Witnesses, eve: Client) -> None:
    for _ in range(25):
        eve.ws.send("{")
    messages, code = eve.until_closed()
    assert code == protocol.CLOSE_ABUSE
    assert [message["code"] for message in messages] == ["invalid-message"] * 20
    witnesses.unharmed(allowed=("room.updated", "room.left"))


def test_unknown_types_never_close_the_connection(witnesses: Witnesses, eve: Client) -> None:
    for _ in range(40):
        eve.send("room.explode")
    assert [message["code"] for message in eve.sync()] == ["unknown-type"] * 40
    witnesses.unharmed()


def test_over_the_rate_messages_are_refused_one_by_one_and_abuse_is_closed(witnesses: Witnesses, eve: Client) -> None:
    for number in range(150):
        eve.send("stream.subscribe", to=witnesses.ann_id, stream="s", id=str(number))
    refused: list[int] = []
    while len(refused) < 20:
        message = eve.receive()
        assert (message["type"], message["code"]) == ("error", "rate-limited")
        refused.append(int(message["reply_to"]))
    assert min(refused) >= 99
    arrived = [message for message in witnesses.ann.sync() if message["type"] == "stream.subscribe"]
    assert 99 <= len(arrived) <= 130
    witnesses.unharmed()
    with contextlib.suppress(ConnectionClosed):
        for _ in range(400):
            eve.send("ping")
    assert eve.until_closed()[1] == protocol.CLOSE_ABUSE
    witnesses.unharmed(allowed=("room.updated", "room.left"))


def test_within_the_rate_nothing_is_refused(witnesses: Witnesses, eve: Client) -> None:
    for _ in range(90):
        eve.send("stream.subscribe", to=witnesses.ann_id, stream="s")
    assert eve.sync() == []
    assert len(witnesses.ann.sync()) == 90


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff" * 64,
        b"\x81\x85\0\0\0\0\xff\xfe\xfd\xfc\xfb",
        b"\x89\xfe\xff\xff",
        b"\x80\x80\0\0\0\0",
        b"GET / HTTP/1.1\r\n",
    ],
    ids=["reserved bits", "no UTF-8", "long ping", "continuation of nothing", "no frame"],
)
def test_what_is_no_websocket_frame_ends_that_connection_only(witnesses: Witnesses, eve: Client, bad: bytes) -> None:
    eve.socket.sendall(bad)
    eve.until_closed()
    witnesses.unharmed(allowed=("room.updated", "room.left"))
