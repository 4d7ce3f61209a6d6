"""A kernel's place in a room of the real server: joining, names, events, waiting, the end, and coming back."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.kernel import joining
from forge_rtc_nb.kernel.joining import joined
from tests.server.client import Client, eventually_listed
from tests.support import JupyterProcess, free_port, wait_for

CAMERA = {"id": "camera-00000001", "name": "camera", "kind": "video", "source": "camera"}
LEFT = {"id": "screen-00000002", "name": "left", "kind": "video", "source": "screen"}
RIGHT = {"id": "screen-00000003", "name": "right", "kind": "video", "source": "screen"}

Join = Callable[..., rtc.Room]


@pytest.fixture
def room_id() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def _no_room_is_left() -> Iterator[None]:
    yield
    for room in joined.rooms():
        room.leave()


@pytest.fixture
def join(jupyter: JupyterProcess) -> Join:
    """`rtc.join` on the session's server."""
    return lambda room_id, **options: rtc.join(room_id, server=jupyter.url, token=jupyter.token, **options)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def engine_pids() -> list[int]:
    """The engine processes of this process."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends at this moment
            if "forge_rtc_nb.engine" in child.cmdline():
                found.append(child.pid)
    return found


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("forge-rtc")]


@contextmanager
def watching(room: rtc.Room) -> Iterator[list[tuple[str, Any]]]:
    """Every event of the room, as (name, argument), while the context lasts."""
    seen: list[tuple[str, Any]] = []
    for event in ("joined", "left", "updated", "stream", "stream-ended", "state", "error"):
        room.on(event, lambda argument, event=event: seen.append((event, argument)))
    yield seen


def fail(argument: object) -> None:
    raise KeyError("missing")


def names(room: rtc.Room) -> list[str]:
    return [person.name for person in room.participants]


class Relay:
    """A TCP relay to the server that holds connections back until `open`; a server that is slow to answer."""

    def __init__(self, server: JupyterProcess) -> None:
        self._target = ("127.0.0.1", server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._gate = threading.Event()
        self.called = threading.Event()
        """Somebody has connected."""
        self.done = threading.Event()
        """That connection is closed."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def open(self) -> None:
        self._gate.set()

    def _serve(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        self.called.set()
        with near, socket.socket() as far:
            self._ends = [near, far]
            self._gate.wait(20)
            far.connect(self._target)
            back = threading.Thread(target=self._copy, args=(far, near))
            back.start()
            self._copy(near, far)
            back.join()
        self.done.set()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exc: object) -> None:
        self._gate.set()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):  # closed already
                end.shutdown(socket.SHUT_RDWR)  # close() alone does not wake who waits in accept() or recv()
        self._listener.close()
        self._thread.join()


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
            wait_for(lambda: len(our_threads()) == 2, what="the client's and the callbacks' thread")
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


# The server goes away, or ends the room


def test_a_restart_of_the_server_is_survived(tmp_path: Path, room_id: str) -> None:
    with JupyterProcess(tmp_path) as server:
        room = rtc.join(room_id, server=server.url, token=server.token)
        me = room.me
        with watching(room) as events:
            server.stop()
            wait_for(lambda: room.state == "reconnecting", what="the loss is noticed")
            server.start()
            wait_for(lambda: room.state == "joined", 20, "the kernel is back")
        assert eventually_listed(server, room_id, 1)[0]["id"] == me.id
        assert (room.me.id, room.me.name) == (me.id, me.name)
        assert events == [("state", "reconnecting"), ("state", "joined")]
        # A restart without the key file would be noticed here: the kernel would have come back as somebody else.
        room.leave()
        eventually_listed(server, room_id, 0)


def test_a_deleted_room_is_closed_with_the_reason(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    room = join(room_id)
    widget, camera = room.widget, room.camera
    blocked: list[Future[Any]] = [pool.submit(room.wait_for, "nobody", 30), pool.submit(camera.latest, 30)]
    with watching(room) as events:
        jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
        calls: list[Callable[[], Any]] = [
            *(lambda: blocked[0].result(5), lambda: blocked[1].result(5)),
            *(lambda: camera.latest(5), lambda: room.participants),
        ]
        for call in calls:
            with pytest.raises(rtc.NotInRoom, match="is closed: the room was deleted"):
                call()
        wait_for(lambda: events == [("state", "closed")], what="the event")
    assert room.state == "closed"
    assert (widget.status, widget.detail) == ("error", "the room was deleted")
    wait_for(lambda: not our_threads() and not engine_pids(), what="the end of the engine")
    room.leave()
    assert (room.state, joined.rooms()) == ("closed", [])


def test_a_deleted_room_can_be_joined_again_while_the_engine_serves_another(
    jupyter: JupyterProcess, join: Join, room_id: str
) -> None:
    other, room = join(f"{room_id}-2"), join(room_id)
    engine, me = engine_pids(), room.me.id
    jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
    wait_for(lambda: room.state == "closed", what="the end")
    again = join(room_id)
    assert (again.state, again.me.id == me, engine_pids()) == ("joined", False, engine)
    assert eventually_listed(jupyter, room_id, 1)[0]["id"] == again.me.id
    assert other.state == "joined"


def test_a_room_that_ends_while_another_is_being_joined_holds_nothing_up(
    jupyter: JupyterProcess, join: Join, room_id: str, pool: ThreadPoolExecutor
) -> None:
    room, other = join(room_id), f"{room_id}-2"
    with Relay(jupyter) as relay:
        joining_other = pool.submit(rtc.join, other, server=relay.url, token=jupyter.token)
        assert relay.called.wait(10)
        jupyter.request("DELETE", f"forge-rtc/api/rooms/{room_id}")
        wait_for(lambda: room.id not in {one.id for one in joined.rooms()}, 3, "the end")
        assert not joining_other.done()
        relay.open()
        joining_other.result(5).leave()


def test_an_interrupted_join_leaves_nobody_behind(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    keeps_the_engine, other = join(room_id), f"{room_id}-2"
    with Relay(jupyter) as relay:

        def interrupt() -> None:
            if relay.called.wait(10):
                os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            rtc.join(other, server=relay.url, token=jupyter.token)
        relay.open()
        assert relay.done.wait(10), "the engine is still in the room that nobody holds"
    eventually_listed(jupyter, other, 0)
    assert [room.id for room in joined.rooms()] == [room_id]
    assert keeps_the_engine.state == "joined"


def test_leaving_while_a_ticket_is_being_taken_leaves_nobody_behind(
    jupyter: JupyterProcess, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_in_notebook", lambda: True)
    for name in ("FORGE_RTC_SERVER_URL", "JUPYTERHUB_API_TOKEN", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    room = rtc.join(room_id)
    assert (room.state, engine_pids()) == ("waiting", [])
    widget: Any = room.widget
    ticket = jupyter.request("POST", "forge-rtc/api/tickets", {"room": room_id, "kind": "kernel"})["ticket"]
    with Relay(jupyter) as relay:
        for _ in range(2):  # two cells show the room
            widget._handle_custom_msg({"type": "ticket.offer", "ticket": ticket, "url": relay.url}, [])
        assert relay.called.wait(10)
        room.leave()
        relay.open()
        assert relay.done.wait(10), "the engine is still in the room that nobody holds"
    wait_for(lambda: not our_threads() and not engine_pids(), what="the end of the engine")
    assert (room.state, widget.status) == ("left", "left")


# Processes that die

IN_ANOTHER_PROCESS = """
import sys, threading
import forge_rtc_nb as rtc
room = rtc.join(sys.argv[1], server=sys.argv[2], name="other process")
print(room.me.id, flush=True)
threading.Event().wait()
"""


def test_a_killed_process_is_gone_from_the_room_within_seconds(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id)
    process = subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, room_id, jupyter.url],
        env={**os.environ, "FORGE_RTC_TOKEN": jupyter.token},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            (other,) = room.wait_for("other process", 30)
            assert process.stdout is not None
            assert (process.stdout.readline().strip(), other.kind) == (other.id, "kernel")
        finally:
            process.kill()
        start = time.monotonic()
        wait_for(lambda: names(room) == [room.me.name], 12, "the participant is gone")
        took = time.monotonic() - start
    print(f"\ngone from the room {took * 1000:.0f} ms after kill -9")
    assert took < 6


def test_a_server_that_is_not_there_leaves_nothing_behind(room_id: str) -> None:
    with pytest.raises(rtc.SignalingError, match="the server= argument"):
        rtc.join(room_id, server=f"http://127.0.0.1:{free_port()}/", token="x")
    assert (joined.rooms(), engine_pids(), our_threads()) == ([], [], [])
