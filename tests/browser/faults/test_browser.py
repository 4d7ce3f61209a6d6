"""What happens to the tab: it goes to the background, or its whole browser is killed (test process)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright

from tests.browser.faults.conftest import GoLive
from tests.browser.faults.own_chromium import OwnChromium
from tests.support import wait_for

NOTICED = 16.0
"""Twice the promise: a dead browser is noticed within 8 s."""


@pytest.fixture
def own(camera_flags: list[str]) -> Iterator[OwnChromium]:
    with OwnChromium(*camera_flags, "--use-fake-ui-for-media-stream") as chromium:
        yield chromium


def test_frames_come_from_a_tab_in_the_background(own: OwnChromium, playwright: Playwright, go_live: GoLive) -> None:
    live = go_live(own.drive(playwright))
    page = live.notebook.page.url
    own.let_go()
    own.cover(page)
    assert live.watch(8) < 3, "frames stopped behind another tab"
    assert live.ask("reader.said('error', 'left', 'reconnecting')") == []


def test_a_killed_browser_is_noticed(own: OwnChromium, playwright: Playwright, go_live: GoLive) -> None:
    live = go_live(own.drive(playwright))
    live.notebook.execute("import time\nroom.on('error', lambda error: noticed.append(time.time()))\nnoticed = []")
    killed = time.time()
    own.kill()
    wait_for(lambda: live.tab in live.ask("reader.said('reconnecting')"), NOTICED, "the tab counts as gone for the moment")
    noticed = wait_for(lambda: live.ask("noticed"), NOTICED, "the reader is told")[0]
    print(f"\na killed browser was noticed after {noticed - killed:.1f} s (promise 8 s)")
    assert noticed - killed < NOTICED
    error = "try:\n    while True: room.camera.read(timeout=0.5)\nexcept rtc.RTCError as error: print(type(error).__name__)"
    assert live.notebook.execute(error).strip() == "ConnectionFailed"
