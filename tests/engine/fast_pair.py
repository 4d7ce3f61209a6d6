"""Two connections in one process whose data channels go the fast way, and the fault that a test wants (test process)."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection

from forge_rtc_nb.engine.aiortc_compat import install
from tests.support import await_for, free_port, stop_process, wait_for

install()


def run_on(loop: str, test: Callable[[], Awaitable[None]]) -> None:
    """In an event loop of that kind: ``asyncio`` or ``uvloop``."""

    async def work() -> None:
        await asyncio.wait_for(test(), 60)

    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())


@dataclass
class FastPair:
    """``near`` offered."""

    near: RTCPeerConnection
    far: RTCPeerConnection
    out: RTCDataChannel
    """The channel that both have, at the near end; what comes on it is in `back`."""
    in_: RTCDataChannel
    """At the far end; what comes on it is in `heard`."""
    heard: list[Any] = field(default_factory=list)
    back: list[Any] = field(default_factory=list)

    async def works(self, text: str) -> None:
        """Both ways."""
        self.out.send(text)
        self.in_.send(text)
        await await_for(lambda: text in self.heard and text in self.back, what=f"{text!r} arrives at both ends")


def dtls(connection: RTCPeerConnection) -> Any:
    """Its transport, with its privates."""
    assert connection.sctp is not None
    return connection.sctp.transport


def ice(connection: RTCPeerConnection) -> Any:
    """aioice's connection, with its privates."""
    return dtls(connection).transport._connection


async def negotiate(offerer: RTCPeerConnection, answerer: RTCPeerConnection) -> None:
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offerer.localDescription)
    await answerer.setLocalDescription(await answerer.createAnswer())
    await offerer.setRemoteDescription(answerer.localDescription)


@asynccontextmanager
async def fast_pair(
    near_config: RTCConfiguration | None = None,
    prepare: Callable[[RTCPeerConnection, RTCPeerConnection], None] | None = None,
    far_config: RTCConfiguration | None = None,
) -> AsyncIterator[FastPair]:
    """Connected, with one open channel."""
    plain = RTCConfiguration(iceServers=[])
    near, far = RTCPeerConnection(near_config or plain), RTCPeerConnection(far_config or plain)
    try:
        out, in_ = (end.createDataChannel("both", negotiated=True, id=0) for end in (near, far))
        pair = FastPair(near, far, out, in_)
        pair.in_.on("message", pair.heard.append)
        pair.out.on("message", pair.back.append)
        if prepare is not None:
            prepare(near, far)
        await negotiate(near, far)
        ends = (pair.out, pair.in_)
        await await_for(lambda: all(end.readyState == "open" for end in ends), what="open channels")
        yield pair
    finally:
        await asyncio.gather(near.close(), far.close())


def sockets() -> int:
    """How many this process has open."""
    names = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(name) and os.readlink(name).startswith("socket:") for name in names if os.path.islink(name))


@contextmanager
def coturn(folder: Path) -> Iterator[int]:
    """A TURN server on this machine, for user ``nb`` with password ``secret``; its port, of UDP and TCP."""
    program = shutil.which("turnserver")
    assert program is not None, "no turnserver on PATH: `make system` installs it"
    port = free_port()
    options = ["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--lt-cred-mech", "--user=nb:secret", "--realm=test"]
    options += ["--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls", f"--pidfile={folder / 'pid'}"]
    with (folder / "log").open("wb") as log:
        command = [program, "-n", "--log-file=stdout", f"--listening-port={port}", *options]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(lambda: _listens(port), what="coturn")
        yield port
    finally:
        stop_process(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
