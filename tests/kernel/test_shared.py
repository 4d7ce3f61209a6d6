"""The shared mapping of two and three kernels: who sees what, when, and for how long (test process)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import IN_USE, another_kernel
from tests.kernel.rooms import Join, fail
from tests.python_process import PythonProcess, RemoteError
from tests.server.conftest import make_server
from tests.support import JupyterProcess, wait_for

pytestmark = pytest.mark.usefixtures("no_room_is_left")


@pytest.fixture
def room(join: Join, room_id: str) -> rtc.Room:
    return join(room_id, name="ann")


@pytest.fixture
def bob(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[PythonProcess]:
    with another_kernel(jupyter, room.id) as bob:
        room.wait_for("bob")
        yield bob


def sees(process: PythonProcess, condition: str) -> None:
    """The other kernel's mapping comes to be so."""
    process.run(f"wait_for(lambda: {condition}, what={condition!r})")


VALUES: dict[str, Any] = {
    "array": np.arange(12.0).reshape(3, 4).T,
    "large": np.arange(300_000, dtype=">i4"),
    "0-d": np.array(1 + 2j, np.complex64),
    "empty": np.zeros((0, 3), np.uint8),
    "bytes": b"\0\1",
    "text": "Zoë",
    "JSON": {"a": [1, None, 2.5]},
}


def test_what_one_writes_the_other_reads(room: rtc.Room, bob: PythonProcess) -> None:
    for key, value in VALUES.items():
        room.shared[key] = value
    sees(bob, f"len(room.shared) == {len(VALUES)}")
    for key, value in VALUES.items():
        for read in (bob.run("room.shared[key]", key=key), room.shared[key]):
            assert np.array_equal(read, value)
            if isinstance(value, np.ndarray):
                assert (read.dtype.str, read.shape) == (value.dtype.str, value.shape)
    assert sorted(room.shared) == sorted(VALUES)
    assert bob.run("room.shared.writer('text')") == "ann" == room.shared.writer("text")


def test_own_values_can_be_read_at_once_and_do_not_change_with_the_array(room: rtc.Room) -> None:
    array = np.ones(100_000)
    room.shared["w"] = array
    array[:] = 2
    read = room.shared["w"]
    assert read.sum() == 100_000
    with pytest.raises(ValueError, match="read-only"):
        read[0] = 1
    room.shared["w"] = array
    assert (read.sum(), room.shared["w"].sum()) == (100_000, 200_000)


def test_it_is_a_mapping(room: rtc.Room) -> None:
    shared = room.shared
    shared.update(a=1, b=2)
    assert (dict(shared), len(shared), "a" in shared, "c" in shared) == ({"a": 1, "b": 2}, 2, True, False)
    assert (shared.get("c", 7), shared.setdefault("a", 9), shared.pop("b")) == (7, 1, 2)
    assert repr(shared) == f"<SharedMapping of room {room.id!r}: 1 keys>"
    shared.clear()
    assert list(shared) == []
    for missing in (lambda: shared["a"], lambda: shared.__delitem__("a"), lambda: shared.writer("a")):
        with pytest.raises(KeyError):
            missing()
    assert room.shared is shared


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (5, 1, TypeError),
        ("", 1, ValueError),
        ("x" * 257, 1, ValueError),
        ("\ud800", 1, ValueError),
        ("object", np.array([object()]), TypeError),
        ("set", {1}, TypeError),
        ("nan", float("nan"), ValueError),
    ],
    ids=["number", "empty", "long", "half a character", "object", "set", "nan"],
)
def test_what_cannot_be_a_key_or_a_value_is_refused(room: rtc.Room, key: Any, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        room.shared[key] = value
    assert len(room.shared) == 0
    room.shared["after"] = 1


def test_a_late_joiner_has_it_all_at_once(jupyter: JupyterProcess, room: rtc.Room) -> None:
    room.shared["first"] = np.arange(200_000)
    for number in range(100):
        room.shared[f"key {number}"] = number
    del room.shared["key 7"]
    with another_kernel(jupyter, room.id) as bob:
        # No waiting: the first use of the mapping does that.
        assert bob.run("len(room.shared), int(room.shared['first'].sum()), 'key 7' in room.shared") == [
            100, 200_000 * 199_999 // 2, False,
        ]  # fmt: skip


def test_a_deleted_key_is_gone_everywhere_and_may_be_written_again(room: rtc.Room, bob: PythonProcess) -> None:
    room.shared["a"] = 1
    sees(bob, "'a' in room.shared")
    bob.run("del room.shared['a']")
    wait_for(lambda: "a" not in room.shared, what="it is deleted here too")
    room.shared["a"] = 2
    sees(bob, "room.shared.get('a') == 2")


def test_values_stay_when_their_writer_leaves(jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess) -> None:
    bob.run("room.shared['large'] = np.arange(100_000); room.shared['small'] = 'text'; mine = room.me.id")
    wait_for(lambda: len(room.shared) == 2, what="both are here")
    writer = bob.run("mine")
    bob.run("room.leave()")
    wait_for(lambda: len(room.participants) == 1, what="bob has left")
    assert room.shared["large"][-1] == 99_999
    assert room.shared.writer("small") == writer
    with another_kernel(jupyter, room.id, "carol") as carol:
        assert carol.run("int(room.shared['large'][-1]), room.shared['small']") == [99_999, "text"]


def test_the_last_writer_wins_and_all_agree(jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess) -> None:
    with another_kernel(jupyter, room.id, "carol") as carol:
        room.wait_for(3)
        write = "for n in range(100): room.shared[f'key {n % 5}'] = [room.me.name, n, 'x' * (n * 331 % 30_000)]"
        writing = [other.start(write) for other in (bob, carol)]
        for number in range(100):
            room.shared[f"key {number % 5}"] = ["ann", number, ""]
        for one in writing:
            one.result(60)
        room.shared["end"] = 0
        for other in (bob, carol):
            sees(other, "'end' in room.shared")
        everywhere = [{k: v[:2] for k, v in room.shared.items() if k != "end"}]

        def agree() -> bool:
            read = "{k: v[:2] for k, v in room.shared.items() if k != 'end'}"
            everywhere[:] = [bob.run(read), carol.run(read), {k: v[:2] for k, v in room.shared.items() if k != "end"}]
            return everywhere[0] == everywhere[1] == everywhere[2]

        wait_for(agree, what="all three see the same")
        assert all(number >= 95 for _, number in everywhere[0].values())


def test_functions_are_told_of_each_change_in_the_one_thread(room: rtc.Room, bob: PythonProcess) -> None:
    told: list[tuple[str, Any, str]] = []
    threads: set[str] = set()

    @room.shared.on_change
    def take(key: str, value: Any, writer: str) -> None:
        threads.add(threading.current_thread().name)
        told.append((key, value, writer))

    room.shared["mine"] = 1
    wait_for(lambda: told == [("mine", 1, "ann")], what="our own")
    bob.run("room.shared['theirs'] = 2")
    wait_for(lambda: told[1:] == [("theirs", 2, "bob")], what="theirs")
    bob.run("del room.shared['mine']")
    wait_for(lambda: told[2:] == [("mine", None, "bob")], what="the deletion")
    assert threads == {"forge-rtc-callbacks"}


def test_a_function_that_is_slow_sees_the_newest_and_one_that_fails_stops_nothing(room: rtc.Room, bob: PythonProcess) -> None:
    go_on = threading.Event()
    told: list[Any] = []
    errors: list[Exception] = []
    room.on("error", errors.append)
    room.shared.on_change(lambda key, value, writer: fail(key))

    @room.shared.on_change
    def take(key: str, value: Any, writer: str) -> None:
        go_on.wait(20)
        told.append(value)

    bob.run("for n in range(50): room.shared['n'] = n")
    wait_for(lambda: room.shared.get("n") == 49, what="the newest is here")
    go_on.set()
    wait_for(lambda: told and told[-1] == 49, what="the newest is told")
    assert len(told) < 50
    assert told == sorted(told)
    wait_for(lambda: errors, what="the error")
    assert {type(error) for error in errors} == {KeyError}


def test_large_values_arrive_whole_and_their_memory_is_given_back(room: rtc.Room, bob: PythonProcess) -> None:
    names: dict[str, Any] = {}
    exec(IN_USE, names)
    bob.run(IN_USE)
    room.shared["large"] = np.arange(1_500_000)
    sees(bob, "'large' in room.shared")
    assert bob.run("bool((room.shared['large'] == np.arange(1_500_000)).all())") is True
    assert bob.run("in_use()") >= 12_000_000
    bob.run("room.shared['large'] = 0")
    wait_for(lambda: np.array_equal(room.shared["large"], 0), what="the new value")
    wait_for(lambda: names["in_use"]() < 100_000, what="our memory is given back")
    sees(bob, "in_use() < 100_000")


def test_joining_again_keeps_the_values(room: rtc.Room, bob: PythonProcess, join: Join) -> None:
    room.shared["a"] = np.arange(50_000)
    sees(bob, "'a' in room.shared")
    again = join(room.id)
    assert again.shared["a"][-1] == 49_999
    with pytest.raises(rtc.NotInRoom, match="joined again"):
        room.shared["a"]
    again.shared["b"] = 1
    sees(bob, "'b' in room.shared")
    bob.run("room.shared['c'] = 2")
    wait_for(lambda: "c" in again.shared, what="changes still arrive")


def test_after_leaving_nothing_can_be_read_or_written(room: rtc.Room) -> None:
    shared = room.shared
    shared["a"] = 1
    room.leave()
    uses = (lambda: shared["a"], lambda: shared.update(a=2), lambda: list(shared), lambda: len(shared), lambda: room.shared)
    for use in uses:
        with pytest.raises(rtc.NotInRoom, match="you left"):
            use()


def test_an_engine_that_died_is_said(jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess) -> None:
    room.shared["a"] = 1
    sees(bob, "'a' in room.shared")
    bob.run("import os, signal; from tests.kernel.rooms import engine_pids; os.kill(engine_pids()[0], signal.SIGKILL)")
    with pytest.raises(RemoteError, match="EngineDied"):
        bob.run("while True: room.shared['b'] = 2")
    with pytest.raises(RemoteError, match="EngineDied"):
        bob.run("room.shared['a']")
    bob.run("room = rtc.join(room_id, server=server, token=token, name='bob')")
    assert bob.run("room.shared['a']") == 1


def test_values_and_channels_survive_a_restart_of_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    with make_server(tmp_path_factory.mktemp("restarted")) as server:
        room = rtc.join("restarted", server=server.url, token=server.token, name="ann")
        states: list[str] = []
        room.on("state", states.append)
        with another_kernel(server, "restarted") as bob:
            room.shared["before"] = np.arange(50_000)
            channel = room.channel("steady")
            bob.run("ch = room.channel('steady'); wait_for(lambda: ch.participants)")
            sees(bob, "'before' in room.shared")
            server.stop()
            wait_for(lambda: room.state == "reconnecting", what="the server is gone")
            # Data goes on without it, channels too.
            room.shared["meanwhile"] = 1
            sees(bob, "'meanwhile' in room.shared")
            channel.send("meanwhile")
            assert bob.run("ch.recv()") == "meanwhile"
            sending = bob.start("ch.send(np.ones(30_000_000, np.uint8), progress=False)")
            server.start()
            assert channel.recv(30).sum() == 30_000_000
            sending.result(10)
            wait_for(lambda: room.state == "joined", 30, what="the server is back")
            bob.run("wait_for(lambda: room.state == 'joined', 30)")
            room.shared["after"] = 2
            sees(bob, "'after' in room.shared")
            with another_kernel(server, "restarted", "carol") as carol:
                assert sorted(carol.run("list(room.shared)")) == ["after", "before", "meanwhile"]
                carol.run("ch = room.channel('steady'); wait_for(lambda: len(ch.participants) == 2)")
                carol.run("ch.send('from carol')")
                assert channel.recv() == bob.run("ch.recv()") == "from carol"
        room.leave()
    assert states[:2] == ["reconnecting", "joined"]
