"""What participants tell each other of their channels, on a real server (test process)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from forge_rtc_nb import protocol
from tests.server.client import WAIT, Client
from tests.server.conftest import make_server
from tests.support import JupyterProcess

SPECTRA = {"name": "spectra", "ordered": False, "maxsize": 1}
OTHER_SPECTRA = {"name": "spectra"}
LOG = {"name": "log", "reliable": False}


def test_channels_and_shared_values_are_told_to_those_who_are_there_and_who_come(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob, Client(server, room) as late:
        assert "channels" not in ann.hello("kernel")["participant"]
        me = bob.hello("kernel", channels=[SPECTRA], shared=True)["participant"]
        assert (me["channels"], me["shared"]) == ([SPECTRA], True)
        assert ann.receive() == {"type": "room.joined", "participant": me}
        bob.send("room.updated", channels=[SPECTRA, {**LOG, "ordered": True}])
        me = {**me, "channels": [SPECTRA, LOG]}
        assert ann.receive() == {"type": "room.updated", "participant": me}
        assert me in late.hello()["participants"]


def test_an_update_with_other_options_gets_an_error_and_applies_in_no_part(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob:
        ann.hello(channels=[SPECTRA])
        bob.hello()
        ann.wait_for("room.joined")
        bob.send("room.updated", id="u1", channels=[LOG, OTHER_SPECTRA], shared=True)
        [refused] = bob.sync()
        assert (refused["type"], refused["code"], refused["reply_to"]) == ("error", "channel-options", "u1")
        assert "channel 'spectra' is open with ordered=False, reliable=True, policy='block', maxsize=1, " in refused["message"]
        assert ann.sync() == []
        # It is no malformed message: however often it is said, the connection goes on.
        for _ in range(40):
            bob.send("room.updated", channels=[OTHER_SPECTRA])
        assert [message["code"] for message in bob.sync()] == ["channel-options"] * 40
        bob.send("room.updated", channels=[SPECTRA])
        assert bob.sync() == []
        assert ann.receive()["participant"]["channels"] == [SPECTRA]


def test_a_hello_with_other_options_is_welcome_without_those_channels(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob, Client(server, room) as again:
        ann.hello(channels=[SPECTRA])
        welcome = bob.hello(channels=[OTHER_SPECTRA, LOG])
        assert welcome["participant"]["channels"] == [LOG]
        assert ann.receive()["participant"]["channels"] == [LOG]
        back = again.hello(resume=welcome["resume"], channels=[{"name": "log"}, OTHER_SPECTRA])
        assert back["resumed"]
        assert back["participant"]["channels"] == [{"name": "log"}]
        assert ann.receive() == {"type": "room.updated", "participant": back["participant"]}


def test_after_a_restart_of_the_server_the_first_who_comes_back_has_the_options(tmp_path: Path) -> None:
    with make_server(tmp_path) as restarted:
        with Client(restarted) as ann, Client(restarted) as bob:
            resume = [client.hello(channels=[SPECTRA])["resume"] for client in (ann, bob)]
            restarted.stop()
        restarted.start()
        with Client(restarted) as ann, Client(restarted) as bob:
            assert ann.hello(resume=resume[0], channels=[OTHER_SPECTRA])["participant"]["channels"] == [OTHER_SPECTRA]
            assert "channels" not in bob.hello(resume=resume[1], channels=[SPECTRA])["participant"]


def test_who_opens_as_many_channels_as_there_may_be_one_by_one_is_within_the_rate(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob:
        ann.hello()
        bob.hello()
        channels = [{"name": f"{chr(0x1F600) * 62}{i:02}"} for i in range(protocol.MAX_CHANNELS)]
        for count in range(1, len(channels) + 1):
            bob.send("room.updated", channels=channels[:count])
        assert bob.sync() == []
        assert ann.sync()[-1]["participant"]["channels"] == channels


LARGEST: dict[str, Any] = {
    "name": "\U0001f600" * 64,
    "owners": ["o" * 64] * 16,
    "streams": [
        {"id": f"{i:0>64}", "name": "\U0001f600" * 64, "kind": "video", "source": "microphone", "muted": True}
        for i in range(32)
    ],
    "channels": [
        {
            "name": f"{chr(0x1F600) * 62}{i:02}",
            "ordered": False,
            "reliable": False,
            "policy": "drop_oldest",
            "maxsize": 65536,
            "maxbytes": 2**40,
        }
        for i in range(64)
    ],
    "shared": True,
}


@pytest.mark.parametrize("outbound", ["262144", "1048576"])
def test_the_largest_records_reach_everybody(tmp_path: Path, outbound: str) -> None:
    with make_server(tmp_path, f"--ForgeRTC.outbound_bytes={outbound}") as server, ExitStack() as clients:
        crowd = [clients.enter_context(Client(server)) for _ in range(6)]
        there: list[str] = []
        for client in crowd:
            client.send("room.hello", version=1, kind="browser", **LARGEST)
            frame = client.ws.recv(timeout=WAIT)
            welcome = protocol.decode_server(frame)  # which refuses one over the limit
            assert isinstance(welcome, protocol.Welcome)
            assert len(welcome.participant.channels) == 64
            known = [peer.id for peer in welcome.participants]
            while len(known) < len(there):
                known.append(client.wait_for("room.joined")["participant"]["id"])
            assert sorted(known) == sorted(there)
            there.append(welcome.participant.id)
        first, last = crowd[0], crowd[-1]
        last.send("room.updated", owners=[])
        told = first.wait_for("room.updated")["participant"]
        assert (told["id"], told["channels"]) == (there[-1], LARGEST["channels"])
