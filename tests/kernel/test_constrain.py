"""Which tab is asked for another size, and what comes of it: real server and engine, aiortc for Chromium (test process)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.errors import Forbidden, RTCError, RTCTimeout
from tests.kernel.tabs import RunningTab, running_tab
from tests.support import JupyterProcess, wait_for

Start = Callable[..., RunningTab]


@pytest.fixture
def start(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[Start]:
    """A tab with a camera, which shows this notebook unless told otherwise."""
    tabs = []

    def start_(mine: bool = True) -> RunningTab:
        tab = RunningTab(jupyter, room.id, owners=[room.me.id] if mine else [])
        tabs.append(tab)
        room.wait_for(tab.id)
        return tab

    yield start_
    for tab in tabs:
        tab.close()


def test_of_two_tabs_the_one_that_is_read_is_asked(room: rtc.Room, start: Start) -> None:
    read = start()
    room.camera.latest()
    later = start()
    assert room.camera.constrain(width=64, height=48) == (64, 48, 30)
    assert [(q["width"], q["height"], "fps" in q) for q in read.tab.asked] == [(64, 48, False)]
    assert later.tab.asked == []
    assert room.video(later.id).constrain(fps=15) == (1280, 720, 15)
    assert len(later.tab.asked) == 1


def test_a_tab_of_somebody_elses_notebook_is_not_for_us_to_set(room: rtc.Room, start: Start) -> None:
    theirs = start(mine=False)
    with pytest.raises(Forbidden, match="not of a tab that shows this notebook"):
        room.video(theirs.id).constrain(width=64)
    assert theirs.tab.asked == []


def test_a_tab_that_leaves_is_not_waited_for(room: rtc.Room, start: Start, pool: ThreadPoolExecutor) -> None:
    tab = start()
    tab.tab.answers = False
    asked = pool.submit(room.camera.constrain, width=64, timeout=60)
    wait_for(lambda: tab.tab.asked, what="the question")
    begun = time.monotonic()
    tab.leave()
    with pytest.raises(RTCError, match="has left"):
        asked.result(30)
    assert time.monotonic() - begun < 12


def test_a_tab_that_says_nothing_is_waited_for_as_long_as_was_said(room: rtc.Room, start: Start) -> None:
    start().tab.answers = False
    with pytest.raises(RTCTimeout, match="not answered within 0.2 s"):
        room.camera.constrain(width=64, timeout=0.2)


def test_leaving_the_room_ends_the_question(jupyter: JupyterProcess, room_id: str, pool: ThreadPoolExecutor) -> None:
    room = rtc.join(room_id, server=f"{jupyter.url}?token={jupyter.token}")
    with running_tab(jupyter, room_id, owners=[room.me.id]) as tab:
        room.wait_for(tab.id)
        tab.tab.answers = False
        asked = pool.submit(room.camera.constrain, width=64, timeout=60)
        wait_for(lambda: tab.tab.asked, what="the question")
        room.leave()
        with pytest.raises(RTCError, match="left room"):
            asked.result(12)
