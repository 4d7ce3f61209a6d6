"""The network between the tab and everybody else goes away and comes back (test process)."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.faults.conftest import GoLive, Live
from tests.browser.lobby import run_first
from tests.support import JupyterProcess
from tests.tcp_gate import TcpGate
from tests.udp_proxy import UdpProxy

BACK = 16.0
"""Twice the promise: the longest wait between two tries is 8 s."""
COUNT_CONNECTIONS = """
window.connections = 0;
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); window.connections++; }
};
"""


@pytest.fixture
def proxy(context: BrowserContext) -> Iterator[UdpProxy]:
    """The only way out for the media of the test's context."""
    with UdpProxy() as proxy:
        run_first(context, proxy.script)
        run_first(context, COUNT_CONNECTIONS)
        yield proxy


@pytest.fixture
def gate(jupyter: JupyterProcess) -> Iterator[TcpGate]:
    """The only way to the server for pages of `gated`."""
    with TcpGate(jupyter.port) as gate:
        yield gate


@pytest.fixture
def gated(jupyter: JupyterProcess, gate: TcpGate) -> JupyterProcess:
    gated = copy.copy(jupyter)
    gated.page_port = gate.port
    return gated


def is_back(live: Live, away: float) -> None:
    """Frames come again from now on in the same loop, nobody was seen to leave, and the tries were few."""
    took = live.frames_since(time.time(), BACK)
    print(f"\nframes {took:.2f} s after the network was back (promise 8 s)")
    assert live.ask("reader.said('joined', 'left')") == []
    assert live.ask("reader.end") == ""
    assert live.notebook.page.evaluate("connections") <= 2 + away / 4
    assert live.notebook.errors == []


@pytest.mark.parametrize("away", [10, pytest.param(60, marks=pytest.mark.soak)])
def test_a_loop_over_the_camera_outlives_a_network_without_media(go_live: GoLive, proxy: UdpProxy, away: float) -> None:
    live = go_live()
    proxy.loss = 0.1
    assert live.watch(2) < 2, "lost datagrams are no lost network"
    assert live.ask("list(reader.events)") == []
    proxy.loss = 0
    proxy.blocked = True
    assert live.watch(away) == pytest.approx(away, abs=2), "frames went past the proxy"
    proxy.blocked = False
    is_back(live, away)


@pytest.mark.parametrize("away", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_a_loop_over_the_camera_outlives_a_network_that_is_gone(
    go_live: GoLive, proxy: UdpProxy, gate: TcpGate, gated: JupyterProcess, away: float
) -> None:
    # After a minute without a word the tab would have left: 30 s of silence, and 30 s in which it may come back.
    live = go_live(server=gated)
    proxy.blocked = True
    gate.close()
    assert live.watch(away) == pytest.approx(away, abs=2), "frames went past the proxy"
    proxy.blocked = False
    gate.open()
    is_back(live, away)
