"""Coming back and joining anew are no way round the limits, and nobody honest is kept out by them (test process)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from forge_rtc_nb import protocol
from tests.server.client import Client, eventually_listed
from tests.server.conftest import make_server
from tests.server.test_bad_input import PASSING_BY, Witnesses
from tests.support import JupyterProcess

TRY_AGAIN = 1013


def come_and_go(server: JupyterProcess, **hello: Any) -> str | None:
    """Join and leave; the resume token of who is gone now, or None where the hello was refused for its rate."""
    with Client(server) as client:
        client.send("room.hello", version=1, kind="browser", **hello)
        answer = client.receive()
        if answer["type"] == "error":
            assert answer["code"] == "rate-limited"
            assert client.until_closed()[1] == TRY_AGAIN
            return None
    eventually_listed(server, "r", 0)
    return str(answer["resume"])


def test_coming_back_is_no_way_round_the_rate(server: JupyterProcess, room: str) -> None:
    with Witnesses(server, room) as witnesses:
        started, codes = time.monotonic(), set()
        hello: dict[str, Any] = {}
        for _ in range(6):
            with Client(server, room) as eve:
                eve.send("room.hello", version=1, kind="browser", **hello)
                answer = eve.receive()
                if answer["type"] == "room.welcome":
                    hello = {"resume": answer["resume"]}
                    with contextlib.suppress(ConnectionClosed):
                        for _ in range(95):
                            eve.send("stream.subscribe", to=witnesses.ann_id, stream="s")
                        eve.ws.close(4000)
                codes.add(eve.until_closed()[1])
        allowed = 100 + 50 * (time.monotonic() - started)
        arrived = [message for message in witnesses.ann.sync() if message["type"] == "stream.subscribe"]
        assert 95 <= len(arrived) <= allowed
        assert codes <= {4000, protocol.CLOSE_ABUSE, TRY_AGAIN}
        witnesses.unharmed(allowed=PASSING_BY)


def test_coming_back_does_not_forgive_malformed_frames(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as eve, Client(server, room) as again:
        resume = eve.hello()["resume"]
        for _ in range(15):
            eve.ws.send("{")
        eve.sync()
        again.hello(resume=resume)
        for _ in range(5):
            again.ws.send("{")
        messages, code = again.until_closed()
        assert ([message["code"] for message in messages], code) == (["invalid-message"] * 5, protocol.CLOSE_ABUSE)


def test_joins_of_a_user_are_limited_and_coming_back_is_none(tmp_path: Path) -> None:
    with make_server(tmp_path, "--ForgeRTC.max_connections_per_user=1") as server:
        with Client(server) as before:
            resume = before.hello()["resume"]
            server.stop()
        server.start()
        # Two at once, then one in 8 s.
        gone = come_and_go(server)
        assert gone is not None
        assert None in [come_and_go(server) for _ in range(3)]
        for resumed in (None, True, True, True):
            with Client(server) as client:
                welcome = client.hello(resume=resume)  # after the restart, then within its seat
                assert welcome.get("resumed") is resumed
                resume = welcome["resume"]
                client.ws.close(4000)
        with Client(server) as client:
            client.hello(resume=resume)
        eventually_listed(server, "r", 0)
        # The token of somebody who is gone is no way round it.
        for _ in range(4):
            if gone is not None:
                gone = come_and_go(server, resume=gone)
        assert gone is None
