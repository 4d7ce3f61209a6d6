"""The network between tab and engine goes away and comes back, while signaling stays (test process)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.faults.conftest import GoLive
from tests.udp_proxy import UdpProxy

BACK = 16.0
"""Twice the promise: the longest wait between two tries is 8 s."""


@pytest.fixture
def proxy(context: BrowserContext) -> Iterator[UdpProxy]:
    """The only way out for the pages of the test's context."""
    with UdpProxy() as proxy:
        context.add_init_script(proxy.script)
        yield proxy


@pytest.mark.parametrize("away", [10, pytest.param(60, marks=pytest.mark.soak)])
def test_a_loop_over_the_camera_outlives_a_lost_network(go_live: GoLive, proxy: UdpProxy, away: float) -> None:
    live = go_live()
    proxy.loss = 0.1
    assert live.watch(2) < 2, "lost datagrams are no lost network"
    assert live.ask("list(reader.events)") == []
    proxy.loss = 0
    proxy.blocked = True
    lost = time.time()
    silence = live.watch(away)
    assert silence == pytest.approx(away, abs=2), "frames went past the proxy"
    proxy.blocked = False
    back = time.time()
    took = live.frames_since(back, BACK)
    print(f"\nnetwork away for {back - lost:.1f} s: frames {took:.2f} s after it was back (promise 8 s)")
    assert live.ask("reader.said('joined', 'left', 'reconnecting')") == []
    assert "ConnectionFailed" in live.ask("reader.said('error')")
    assert live.ask("reader.end") == ""
    assert live.notebook.errors == []
