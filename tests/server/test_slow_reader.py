"""A client that stops reading, on a real server: others cannot have it closed, and it misses nothing (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from forge_rtc_nb import protocol
from tests.server.client import SDP, Client
from tests.server.conftest import make_server
from tests.support import JupyterProcess

FAST = ("--ForgeRTC.burst=100000", "--ForgeRTC.outbound_bytes=262144", "--ForgeRTC.max_connections_per_user=64")
BIG = {"type": "offer", "sdp": SDP + "a=x\r\n" * 9200}
"""Nearly all that a message may have."""
STREAMS = [{"id": f"{i:0>64}", "name": "\U0001f600" * 64, "kind": "video", "source": "camera"} for i in range(32)]
CHANNELS = [{"name": f"{chr(0x1F600) * 62}{i:02}", "ordered": False, "maxbytes": 2**40} for i in range(64)]
MANY = 2000
"""Messages that are more than the system's buffers and the server's take."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """One whose rate lets a single client send as much as many do elsewhere."""
    ice = [f"--ForgeRTC.stun_servers=stun:{number:0>60}.example.com:3478" for number in range(100)]
    with make_server(tmp_path_factory.mktemp("slow"), *FAST, *ice) as process:
        yield process


class Room:
    """A slow reader, somebody who watches whether it stays, and more who join later."""

    def __init__(self, server: JupyterProcess, room: str, clients: ExitStack) -> None:
        self._server, self._room, self._clients = server, room, clients
        self.witness = self.join()[0]
        self.slow, self.slow_id = self.join(slow=True)

    def join(self, *, slow: bool = False, **hello: Any) -> tuple[Client, str]:
        client = self._clients.enter_context(Client(self._server, self._room, slow=slow))
        return client, client.hello(**hello)["participant"]["id"]

    def flood(self, eve: Client) -> None:
        """Send big messages to the slow reader until one is refused."""
        for _ in range(MANY):
            eve.send("webrtc.offer", to=self.slow_id, id="big", sdp=BIG)
            refused = [message for message in eve.sync() if message["type"] == "error"]
            if refused:
                assert (refused[0]["code"], refused[0]["reply_to"]) == ("slow-reader", "big")
                return
        raise AssertionError("nothing was refused")

    def unharmed(self) -> None:
        """The slow reader is still in the room, and was at all times."""
        news = [message for message in self.witness.sync() if message["type"] in ("room.updated", "room.left")]
        assert self.slow_id not in {m.get("participant_id") or m["participant"]["id"] for m in news}


@pytest.fixture
def there(server: JupyterProcess, fresh_room: Callable[[], str]) -> Iterator[Room]:
    with ExitStack() as clients:
        yield Room(server, fresh_room(), clients)


@pytest.mark.parametrize("abusers", [1, 3])
def test_big_messages_of_some_do_not_close_it_nor_displace_those_of_others(there: Room, abusers: int) -> None:
    eves = [there.join() for _ in range(abusers)]
    for eve, _ in eves:
        there.flood(eve)
    ann, ann_id = there.join()
    ann.send("webrtc.offer", to=there.slow_id, sdp={"type": "offer", "sdp": SDP + "a=x\r\n" * 400})
    ann.send("webrtc.ice_candidate", to=there.slow_id)
    assert ann.sync() == []
    eves[0][0].ws.close()
    there.unharmed()
    heard = there.slow.sync()
    mine = [m["type"] for m in heard if ann_id in (m.get("from"), m.get("participant", {}).get("id"))]
    assert mine == ["room.joined", "webrtc.offer", "webrtc.ice_candidate"]
    assert heard[-1] == {"type": "room.left", "participant_id": eves[0][1]}
    # What was read makes room.
    for eve, eve_id in eves[1:]:
        eve.sync()
        eve.send("webrtc.offer", to=there.slow_id, sdp=BIG)
        assert eve.sync() == []
        assert there.slow.receive()["from"] == eve_id


def test_floods_of_updates_leave_it_with_the_newest(there: Room) -> None:
    eves = [there.join(streams=STREAMS, channels=CHANNELS) for _ in range(2)]
    for number in range(MANY // 2):
        for eve, _ in eves:
            eve.send("room.updated", owners=[f"o-{number}"])
    for eve, _ in eves:
        assert "error" not in {message["type"] for message in eve.sync()}
    there.unharmed()
    news = [message["participant"] for message in there.slow.sync() if message["type"] == "room.updated"]
    for _, eve_id in eves:
        owners = [participant["owners"][0] for participant in news if participant["id"] == eve_id]
        assert owners[-1] == f"o-{MANY // 2 - 1}"
        assert len(owners) < MANY // 2
        assert owners == sorted(owners, key=lambda owner: int(owner[2:]))


def test_after_a_flood_of_updates_nothing_follows_the_leaving(there: Room) -> None:
    eve, eve_id = there.join(streams=STREAMS, channels=CHANNELS)
    for number in range(MANY):
        eve.send("room.updated", owners=[f"o-{number}"])
    eve.sync()
    eve.ws.close()
    there.unharmed()
    heard = there.slow.sync()
    assert heard[-1] == {"type": "room.left", "participant_id": eve_id}
    assert {message["type"] for message in heard[:-1]} == {"room.joined", "room.updated"}


def test_who_does_not_read_the_answers_to_its_own_doing_is_closed(there: Room) -> None:
    for _ in range(MANY):
        there.slow.send("ice.request")
        news = there.witness.sync()
        if there.slow_id in {message["participant"]["id"] for message in news if message["type"] == "room.updated"}:
            break
    else:
        raise AssertionError("it was not closed")
    assert there.slow.until_closed()[1] == protocol.CLOSE_SLOW_READER
