"""A tab's camera as a notebook reads it: real server, real engine, real connection; aiortc in the place of Chromium."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.errors import StreamNotFound
from tests.kernel.tabs import RunningTab, running_tab
from tests.support import JupyterProcess, wait_for

WHITE_OF_100 = (100 - 16) * 255 / 219
"""What a luma of 100 is in RGB, for the tab sends grey planes."""


@pytest.fixture
def room(jupyter: JupyterProcess) -> Iterator[rtc.Room]:
    with rtc.join(f"video-{secrets.token_hex(4)}", server=f"{jupyter.url}?token={jupyter.token}", name="kernel") as room:
        yield room


@pytest.fixture
def tab(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[RunningTab]:
    """A tab of this kernel's notebook with its camera on."""
    with running_tab(jupyter, room.id, owners=[room.me.id]) as tab:
        room.wait_for(tab.id)
        yield tab


def test_the_camera_of_a_participant_by_id_name_and_object(room: rtc.Room, tab: RunningTab) -> None:
    (person,) = room.wait_for("tab")
    assert (person.video, person.audio, person.owner) == (True, False, room.me.id)
    for who in (tab.id, "tab", person):
        frame = room.video(who).latest()
        assert frame.array.shape == (240, 320, 3)
        assert abs(frame.array.mean() - WHITE_OF_100) < 6


def test_the_notebooks_own_camera_follows_what_is_shown(room: rtc.Room, tab: RunningTab) -> None:
    camera = room.camera
    assert abs(camera.latest().array.mean() - WHITE_OF_100) < 6
    tab.value = 200
    wait_for(lambda: abs(camera.latest().array.mean() - (200 - 16) * 255 / 219) < 6, what="the new picture")
    assert room.camera is camera
    assert camera.size == (240, 320)
    assert camera.latency < 1


def test_frames_are_consecutive_in_every_format(room: rtc.Room, tab: RunningTab) -> None:
    frames, times = room.camera.take(10)
    assert frames.shape == (10, 240, 320, 3)
    assert (np.diff(times) > 0).all()
    for pixel_format, shape in (("gray", (240, 320)), ("yuv420p", (360, 320)), ("bgr24", (240, 320, 3))):
        frame = next(room.camera.frames(format=pixel_format))  # type: ignore[arg-type]
        assert frame.array.shape == shape


def test_a_camera_is_waited_for(jupyter: JupyterProcess, room: rtc.Room) -> None:
    shapes = []
    waiting = threading.Thread(target=lambda: shapes.append(room.camera.latest(timeout=20).array.shape))
    waiting.start()
    with running_tab(jupyter, room.id, owners=[room.me.id]):
        waiting.join()
    assert shapes == [(240, 320, 3)]


def test_a_loop_ends_with_the_camera_and_reading_again_says_what_to_do(jupyter: JupyterProcess, room: rtc.Room) -> None:
    with running_tab(jupyter, room.id, owners=[room.me.id]) as tab:
        frames = iter(room.camera)
        next(frames)
        threading.Timer(0.2, tab.leave).start()
        for _ in frames:
            pass
    with pytest.raises(StreamNotFound, match="no browser tab shows this room"):
        room.camera.latest(timeout=0.1)


def test_two_readers_share_one_connection(room: rtc.Room, tab: RunningTab) -> None:
    one, two = room.camera.frames(), room.video(tab.id).frames(format="gray")
    assert next(one).index >= 0
    assert next(two).index >= 0
    assert tab.connections == 1


def test_leaving_ends_a_loop(room: rtc.Room, tab: RunningTab) -> None:
    frames = iter(room.camera)
    next(frames)
    leaving = threading.Timer(0.2, room.leave)
    leaving.start()
    for _ in frames:
        pass
    leaving.join()
    with pytest.raises(rtc.NotInRoom):
        room.camera.latest()
