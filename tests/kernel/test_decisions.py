"""Whose camera is meant, what slow callbacks lose, where a ticket is tried: small decisions of the kernel."""

from __future__ import annotations

import threading

import pytest

from forge_rtc_nb.kernel.callbacks import MAX_WAITING, Callbacks
from forge_rtc_nb.kernel.selectors import Own, Theirs
from forge_rtc_nb.protocol import Participant, Stream
from forge_rtc_nb.widget import _ways


def camera(started: float) -> Stream:
    return Stream(id="camera-1", name="camera", kind="video", source="camera", started=started)


ME = Participant(id="kernel-1", name="spectrometer", kind="kernel", user="ann")
MINE = Participant(id="tab-1", name="Ann", kind="browser", user="ann", owners=["kernel-1"], streams=[camera(1)])
STRANGER = Participant(id="tab-2", name="Eve", kind="browser", user="eve", owners=["kernel-1"], streams=[camera(2)])


def test_a_strangers_tab_cannot_claim_to_show_my_notebook() -> None:
    found = Own("camera").find([STRANGER, MINE], ME)
    assert found is not None
    assert found[0] is MINE
    assert Own("camera").find([STRANGER], ME) is None
    assert "for this notebook" in Own("camera").missing([STRANGER], ME)


def test_a_notebooks_name_stands_for_the_camera_of_its_tab() -> None:
    found = Theirs("video", "spectrometer").find([ME, MINE], None)
    assert found is not None
    assert found[0] is MINE


@pytest.mark.parametrize("who", ["tab-1", "Ann", "ann"])
def test_id_name_and_user_name_a_participant(who: str) -> None:
    found = Theirs("video", who).find([STRANGER, MINE], ME)
    assert found is not None
    assert found[0] is MINE


def test_callbacks_that_are_too_slow_lose_the_oldest_events() -> None:
    callbacks = Callbacks()
    started, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow(state: str) -> None:
        started.set()
        go_on.wait(10)
        seen.append(state)

    callbacks.on("state", slow)
    callbacks.emit("state", "first")
    assert started.wait(10)
    for number in range(MAX_WAITING + 50):
        callbacks.emit("state", str(number))
    go_on.set()
    callbacks.close()
    callbacks.join(30)
    assert seen[0] == "first"
    assert seen[-1] == str(MAX_WAITING + 49)
    assert len(seen) <= MAX_WAITING + 1


def test_a_ticket_is_tried_where_the_page_reaches_the_server_and_never_in_clear_text_after_https() -> None:
    both = {"browser_url": "http://a/", "url": "http://b/", "ticket": "t"}
    assert [way.url for way in _ways(both)] == ["http://a/", "http://b/"]
    assert [way.url for way in _ways({**both, "browser_url": "https://a/"})] == ["https://a/"]
    assert [way.url for way in _ways({"url": "http://b/", "ticket": "t"})] == ["http://b/"]
