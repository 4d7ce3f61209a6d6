"""The configured TURN server carries a call: a browser that may use nothing else, through a real coturn (test process)."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.bars import HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.browser.lobby import run_first
from tests.support import JupyterProcess, free_port, stop_process, wait_for

RELAY_ONLY = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(options) { super({ ...options, iceTransportPolicy: "relay" }); window.connections.push(this); }
};
"""
SELECTED = """async () => {
  const stats = await window.connections.at(-1).getStats();
  const transport = [...stats.values()].find(s => s.type === "transport");
  const pair = stats.get(transport?.selectedCandidatePairId);
  return pair ? stats.get(pair.localCandidateId).candidateType : null;
}"""
"""What carries the newest connection; null while it has no pair (on a busy machine a connection may just be made anew)."""


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[str]:
    """A TURN server on this machine; its URL. User ``nb``, password ``secret``."""
    program = shutil.which("turnserver")
    assert program is not None, "no turnserver on PATH: `make system` installs it"
    port = free_port()
    options = [
        f"--listening-port={port}",
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--lt-cred-mech",
        "--user=nb:secret",
    ]
    options += ["--realm=test", "--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls", f"--pidfile={tmp_path / 'pid'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "-n", "--log-file=stdout", *options], stdout=log, stderr=log, cwd=tmp_path)
    try:
        wait_for(lambda: _listens(port), what="coturn")
        yield f"turn:127.0.0.1:{port}"
    finally:
        stop_process(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(coturn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    root = tmp_path_factory.mktemp("turn")
    (root / "jupyter_server_config.py").write_text(
        f"c.ForgeRTC.turn_servers = [{{'urls': [{coturn!r}], 'username': 'nb', 'credential': '${{TURN_PASSWORD}}'}}]\n"
    )
    arguments = (f"--config={root / 'jupyter_server_config.py'}",)
    with JupyterProcess(root, arguments=arguments, environ={"TURN_PASSWORD": "secret"}) as process:
        yield process


def test_frames_through_turn_and_nothing_else(
    server: JupyterProcess, context: BrowserContext, open_notebook: Callable[..., NotebookPage], room_id: str
) -> None:
    run_first(context, RELAY_ONLY)
    notebook = open_notebook(context, ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r})\nroom"], server)
    notebook.run_all()
    notebook.room_joined()
    notebook.switch_camera_on()
    assert notebook.evaluate("list(room.camera.latest(timeout=30).array.shape)") == [HEIGHT, WIDTH, 3]
    assert wait_for(lambda: notebook.page.evaluate(SELECTED), what="a pair that is in use") == "relay"
