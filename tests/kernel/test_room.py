"""A kernel's place in a room of the real server: joining, names, leaving, waiting, events (test process)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel.joining import joined
from tests.kernel.rooms import Join, Relay, engine_pids, fail, names, our_threads, watching
from tests.server.client import Client, eventually_listed
from tests.support import JupyterProcess, wait_for

CAMERA = {"id": "camera-00000001", "name": "camera", "kind": "video", "source": "camera"}
LEFT = {"id": "screen-00000002", "name": "left", "kind": "video", "source": "screen"}
RIGHT = {"id": "screen-00000003", "name": "right", "kind": "video", "source": "screen"}

pytestmark = pytest.mark.usefixtures("no_room_is_left")


# Joining


def test_a_url_with_a_token_as_jupyter_prints_it_is_enough(jupyter: JupyterProcess, room_id: str) -> None:
    room = rtc.join(room_id, server=f"{jupyter.url}lab?token={jupyter.token}")
    assert (room.id, room.state) == (room_id, "joined")
    assert [(me.id, me.kind) for me in room.participants] == [(room.me.id, "kernel")]
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == room.me.id


def test_the_token_may_come_apart_from_the_url_or_from_the_environment(
    jupyter: JupyterProcess, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rtc.join(room_id, server=jupyter.url, token=jupyter.token) as room:
        assert room.state == "joined"
    monkeypatch.setenv("FORGE_RTC_TOKEN", jupyter.token)
    assert rtc.join(room_id, server=jupyter.url).state == "joined"


@pytest.mark.parametrize("bad", ["", "a b", "ü", "x" * 65, "a/b", "../a", "a\n"])
def test_a_bad_room_id_is_refused_before_anything_starts(join: Join, bad: str) -> None:
    with pytest.raises(rtc.InvalidRoomId):
        join(bad)
    assert (engine_pids(), joined.rooms()) == ([], [])


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_a_number_above_zero(join: Join, room_id: str, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        join(room_id, timeout=timeout)
    assert (engine_pids(), joined.rooms()) == ([], [])


def test_a_taken_name_gets_a_number(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann")
        room = join(room_id, name="Ann")
        assert names(room) == ["Ann (2)", "Ann"]
        assert room.me.name == "Ann (2)"


def test_a_name_of_any_length_is_shortened(join: Join, room_id: str) -> None:
    assert join(room_id, name="n" * 1000).me.name == "n" * 64


# Joining again


def test_joining_again_keeps_the_participant_and_nobody_notices(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello(name="tab")
        first = join(room_id)
        tab.sync()
        engine, me = engine_pids(), first.me.id
        second = join(room_id)
        assert second is not first
        assert (second.me.id, second.state, names(second)[1:]) == (me, "joined", ["tab"])
        assert tab.sync() == []
        assert engine_pids() == engine
        assert joined.rooms() == [second]


def test_the_earlier_handle_and_its_streams_are_over(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello(name="tab")
        old = join(room_id)
        streams = [old.camera, old.video("tab")]
        events: list[Any] = []
        old.on("joined", events.append)
        reading = pool.submit(streams[0].latest, 30)
        waiting = pool.submit(old.wait_for, "nobody", 30)
        new = join(room_id)
        for blocked in (reading, waiting):
            with pytest.raises(rtc.NotInRoom, match="joined again"):
                blocked.result(5)
        for stream in streams:
            with pytest.raises(rtc.NotInRoom, match="joined again"):
                stream.latest(5)
        calls: list[Callable[[], Any]] = [
            *(lambda: old.me, lambda: old.participants, lambda: old.streams, lambda: old.camera),
            *(lambda: old.video("tab"), lambda: old.wait_for(1), lambda: old.on("left", print)),
        ]
        for call in calls:
            with pytest.raises(rtc.NotInRoom, match="joined again"):
                call()
        assert old.state == "left"
        old.leave()
        assert new.state == "joined"
        with Client(jupyter, room_id) as late:
            late.hello(name="late")
            new.wait_for("late")
        assert events == []


def test_joining_again_under_another_name_is_another_participant(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello()
        before = join(room_id, name="Ann").me
        tab.sync()
        room = join(room_id, name="Bob")
        assert (room.me.name, room.me.id == before.id) == ("Bob", False)
        assert [message["type"] for message in tab.sync()] == ["room.left", "room.joined"]
        # Who gives no name keeps the one that it has.
        bob = room.me
        assert join(room_id).me == bob
        assert tab.sync() == []


def test_the_widget_of_a_cell_goes_on_with_the_new_handle(join: Join, room_id: str) -> None:
    old = join(room_id)
    widget = old.widget
    new = join(room_id)
    assert new.widget is widget
    assert (widget.status, widget.kernel_id) == ("joined", new.me.id)
    new.leave()
    assert widget.status == "left"


def test_the_earlier_handle_is_over_where_joining_again_fails(jupyter: JupyterProcess, room_id: str) -> None:
    with Relay(jupyter) as relay:
        relay.open()
        old = rtc.join(room_id, server=relay.url, token=jupyter.token, name="Ann")
        # The relay takes one connection, and leaves a second one without an answer.
        with pytest.raises(rtc.RTCTimeout, match=r"no welcome to room .* within 0\.5 s; tried the server= argument"):
            rtc.join(room_id, server=relay.url, token=jupyter.token, name="Bob", timeout=0.5)
        assert old.state == "left"
        with pytest.raises(rtc.NotInRoom):
            old.wait_for(1)
    assert (joined.rooms(), engine_pids(), our_threads()) == ([], [], [])
    eventually_listed(jupyter, room_id, 0)


# Leaving


def test_leaving_ends_the_engine_and_its_threads_and_may_be_repeated(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello()
        room = join(room_id)
        with watching(room) as events:
            camera = room.camera
            reading = pool.submit(camera.latest, 30)
            wait_for(lambda: len(our_threads()) == 3, what="the client's two threads and the callbacks'")
            assert len(engine_pids()) == 1
            room.leave()
            room.leave()
        assert (engine_pids(), our_threads(), joined.rooms()) == ([], [], [])
        assert (room.state, events) == ("left", [("state", "left")])
        assert [message["type"] for message in tab.sync()] == ["room.joined", "room.left"]
        for call in (lambda: reading.result(5), camera.latest, lambda: room.participants):
            with pytest.raises(rtc.NotInRoom, match="you left room"):
                call()
    assert room_id in repr(room)
    assert room.widget.status == "left"


def test_the_end_of_a_with_statement_leaves(join: Join, room_id: str) -> None:
    with pytest.raises(ZeroDivisionError), join(room_id) as room:
        1 / 0  # noqa: B018
    assert (room.state, engine_pids()) == ("left", [])


def test_two_rooms_share_the_engine_until_the_last_is_left(join: Join, room_id: str) -> None:
    one, two = join(room_id), join(f"{room_id}-2")
    engine = engine_pids()
    assert len(engine) == 1
    one.leave()
    assert (two.state, engine_pids()) == ("joined", engine)
    two.leave()
    assert engine_pids() == []


# Waiting


def test_waiting_for_somebody_by_id_name_user_or_count(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    room = join(room_id)
    waiting = [pool.submit(room.wait_for, who, 10) for who in ("Ann", 2)]
    assert not any(one.done() for one in waiting)
    with Client(jupyter, room_id) as tab:
        ann = tab.hello(name="Ann")["participant"]
        assert [person.id for person in waiting[0].result(10)] == [ann["id"]]
        assert [person.id for person in waiting[1].result(10)] == [room.me.id, ann["id"]]
        assert [person.name for person in room.wait_for(ann["id"])] == ["Ann"]
        assert [person.id for person in room.wait_for(ann["user"])] == [room.me.id, ann["id"]]


def test_waiting_in_vain_says_who_is_there(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann")
        room = join(room_id, name="me")
        with pytest.raises(rtc.RTCTimeout, match=r"waited 0\.1 s for 'Bob'; in the room: 'me', 'Ann'") as caught:
            room.wait_for("Bob", timeout=0.1)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(rtc.RTCTimeout, match="for 3;"):
            room.wait_for(3, timeout=0.1)
        with pytest.raises(ValueError, match="nobody"):
            room.wait_for("")


# Events


def test_events_come_in_order_and_in_one_thread(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)
    threads: set[str] = set()
    room.on("stream", lambda stream: threads.add(threading.current_thread().name))
    room.on("left", lambda person: threads.add(threading.current_thread().name))
    with watching(room) as events:
        with Client(jupyter, room_id) as tab:
            tab.hello(name="Ann", streams=[CAMERA])
            tab.send("room.updated", streams=[LEFT])
            tab.sync()
        wait_for(lambda: events and events[-1][0] == "left", what="Ann left")
    assert [event for event, _ in events] == [
        *("joined", "stream"),
        *("updated", "stream", "stream-ended"),
        *("stream-ended", "left"),
    ]
    ann = events[0][1]
    assert isinstance(ann, rtc.Participant)
    assert (ann.name, ann.video, ann.screen) == ("Ann", True, False)
    assert [argument.id for event, argument in events if event == "stream"] == [CAMERA["id"], LEFT["id"]]
    assert (events[2][1].screen, events[4][1].id, events[5][1].id) == (True, CAMERA["id"], LEFT["id"])
    assert threads == {"forge-rtc-callbacks"}


def test_a_callback_may_leave_the_room(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)

    @room.on("joined")
    def leave(person: rtc.Participant) -> None:
        room.leave()

    with Client(jupyter, room_id) as tab:
        tab.hello()
        wait_for(lambda: not our_threads(), what="the end of the callbacks' thread")
    assert (room.state, engine_pids()) == ("left", [])
    assert callable(leave)


def test_a_callback_may_join_the_room_again(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    rooms = [join(room_id)]
    rooms[0].on("joined", lambda person: rooms.append(join(room_id)))
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann")
        wait_for(lambda: len(rooms) == 2, what="joined again")
        assert names(rooms[1])[1:] == ["Ann"]
        wait_for(lambda: rooms[0].state == "left", what="the end of the earlier handle")


def test_a_failing_callback_is_logged_once_and_stops_nothing(
    jupyter: JupyterProcess, join: Join, room_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = join(room_id)
    room.on("joined", fail)
    with watching(room) as events, caplog.at_level(logging.ERROR, "forge_rtc_nb"), Client(jupyter, room_id) as tab:
        tab.hello(name="Ann")
        tab.send("room.updated", streams=[CAMERA])
        wait_for(lambda: "stream" in dict(events) and "error" in dict(events), what="both events")
    assert isinstance(dict(events)["error"], KeyError)
    (record,) = caplog.records
    assert "'joined'" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_a_failing_error_callback_does_not_call_itself(
    jupyter: JupyterProcess, join: Join, room_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = join(room_id)
    for event in ("joined", "error"):
        room.on(event, fail)
    with caplog.at_level(logging.ERROR, "forge_rtc_nb"), Client(jupyter, room_id) as tab:
        tab.hello()
        wait_for(lambda: len(caplog.records) == 2, what="both failures")
        room.leave()  # after that no callback runs any more
    assert ["'joined'" in record.getMessage() for record in caplog.records] == [True, False]


def test_an_unknown_event_or_no_function_is_refused(join: Join, room_id: str) -> None:
    room = join(room_id)
    with pytest.raises(ValueError, match="no event 'join': use one of joined, left, updated"):
        room.on("join", print)
    with pytest.raises(TypeError, match="cannot be called"):
        room.on("joined", "print")  # type: ignore[arg-type]


# Streams that are not there


def test_a_camera_that_is_not_there_says_what_to_do(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)
    camera = room.camera
    with pytest.raises(rtc.StreamNotFound, match="no browser tab shows this room yet: display it"):
        camera.latest(0.1)
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann", owners=[room.me.id])
        room.wait_for("Ann")
        with pytest.raises(rtc.StreamNotFound, match="no camera is on: click Camera in the room widget"):
            camera.latest(0.1)


def test_a_video_that_is_not_there_lists_the_candidates(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)

    def refusal(who: str, stream: str | None = None) -> str:
        with pytest.raises(rtc.StreamNotFound) as caught:
            room.video(who, stream).latest(0.1)
        return str(caught.value)

    assert refusal("Ann") == "no participant 'Ann'; in the room: nobody else"
    with Client(jupyter, room_id) as tab:
        tab.hello(name="Ann")
        room.wait_for("Ann")
        assert refusal("Bob") == "no participant 'Bob'; in the room: 'Ann'"
        assert refusal("Ann") == "'Ann' sends no camera, and no other video"
        tab.send("room.updated", streams=[LEFT, RIGHT])
        wait_for(lambda: len(room.streams) == 2, what="two screens")
        assert refusal("Ann").endswith("sends no camera; choose one with room.video('Ann', stream=...): 'left', 'right'")
        assert refusal("Ann", "middle").startswith("'Ann' sends no video stream 'middle'")
        ann = room.participants[1]
        assert repr(room.video(ann, "left")) == f"<VideoStream left of {ann.id!r} in room {room_id!r}>"
