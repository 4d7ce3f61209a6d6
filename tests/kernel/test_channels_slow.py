"""Channels whose readers are slow, and senders who give up: who waits for whom, and what arrives (test process)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import IN_USE, Sending, another_kernel, open_everywhere, settle
from tests.python_process import PythonProcess, RemoteError
from tests.support import JupyterProcess, wait_for

COLLECT = "got = []\nch.on_message(lambda value, sender: got.append(value))"
LARGE = 60_000_000
"""Bytes that take seconds."""


@pytest.fixture(scope="module")
def carol(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[PythonProcess]:
    with another_kernel(jupyter, room.id, "carol") as carol:
        yield carol


@pytest.fixture(scope="module")
def mark(room: rtc.Room, bob: PythonProcess) -> rtc.Channel:
    """For `settle`."""
    return open_everywhere(room, bob)


@contextmanager
def stopped(process: PythonProcess) -> Iterator[None]:
    """The kernel stands still, as in a long call of a library that does not let other threads run."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def test_a_timeout_names_the_slow_ones_and_the_others_have_it(
    room: rtc.Room, bob: PythonProcess, carol: PythonProcess, mark: rtc.Channel
) -> None:
    channel = open_everywhere(room, bob, carol, maxsize=1)
    carol.run(COLLECT)
    channel.send("first")
    with pytest.raises(rtc.SendTimeout, match="not taken within 0.5 s by 'bob': ") as raised:
        channel.send("second", timeout=0.5)
    assert "carol" not in str(raised.value)
    carol.run("wait_for(lambda: got == ['first', 'second'])")
    settle(mark)
    assert bob.run("ch.recv()") == "first"
    channel.send("third")
    assert bob.run("ch.recv()") == "third"


def test_a_send_goes_on_when_there_is_room(room: rtc.Room, bob: PythonProcess, mark: rtc.Channel) -> None:
    channel = open_everywhere(room, bob, maxsize=2)
    for number in range(2):
        channel.send(number)
    sending = Sending(channel, 2)
    settle(mark)
    assert sending.is_under_way
    assert bob.run("ch.recv()") == 0
    sending.join()
    assert sending.raised is None
    assert bob.run("[ch.recv(), ch.recv()]") == [1, 2]


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_queues_are_bounded_in_bytes_and_take_one_that_is_larger(
    room: rtc.Room, bob: PythonProcess, mark: rtc.Channel, size: int
) -> None:
    channel = open_everywhere(room, bob, maxbytes=size - 1)
    channel.send(b"1" * size)
    with pytest.raises(rtc.SendTimeout):
        channel.send(b"2" * size, timeout=0.2)
    settle(mark)
    assert bob.run("len(ch.recv())") == size
    channel.send(b"3")
    assert bob.run("ch.recv()") == b"3"


def test_who_never_reads_slows_nobody_else(room: rtc.Room, bob: PythonProcess, carol: PythonProcess) -> None:
    channel = open_everywhere(room, bob, carol, maxsize=8)
    carol.run(COLLECT)
    for number in range(8):
        channel.send(number)  # as much as bob's queue takes
    errors: list[BaseException] = []

    def wait_for_bob() -> None:
        try:
            channel.send("too much", timeout=5, progress=False)
        except rtc.SendTimeout as error:
            errors.append(error)

    stuck = threading.Thread(target=wait_for_bob)
    stuck.start()
    other = open_everywhere(room, bob, carol)
    for number in range(50):
        channel.send(np.full(5000, number), to="carol")
        other.send(number)  # bob has room for those
    carol.run("wait_for(lambda: len(got) == 8 + 1 + 50); wait_for(lambda: len(ch._arrivals._queue) == 50)")
    assert stuck.is_alive()  # all that took no longer than bob was waited for
    stuck.join()
    assert "'bob'" in str(errors[0])


def test_a_kernel_that_stands_still_is_waited_for_and_then_goes_on(
    room: rtc.Room, bob: PythonProcess, mark: rtc.Channel
) -> None:
    channel = open_everywhere(room, bob, maxsize=4)
    with stopped(bob):
        for number in range(4):
            channel.send(number)
        with pytest.raises(rtc.SendTimeout):
            channel.send("lost", timeout=0.3)
        settle(mark)
    assert bob.run("[ch.recv() for _ in range(4)]") == [0, 1, 2, 3]
    channel.send("after")
    assert bob.run("ch.recv()") == "after"


@pytest.mark.parametrize(
    "options",
    [{"policy": "drop_oldest"}, {"reliable": False}, {"reliable": False, "ordered": False}],
    ids=["drop_oldest", "not reliable", "neither reliable nor ordered"],
)
@pytest.mark.parametrize("size", [10, 100_000])
def test_channels_that_drop_never_wait_and_show_the_newest(
    room: rtc.Room, bob: PythonProcess, options: dict[str, Any], size: int
) -> None:
    channel = open_everywhere(room, bob, maxsize=3, **options)
    last = 199
    with stopped(bob):
        for number in range(last + 1):
            channel.send(np.full(size, number, np.uint8), timeout=5)
    bob.run("""
read = []
def newest():
    try:
        read.append(int(ch.recv(timeout=0.05)[0]))
    except rtc.RTCTimeout:
        return False
    return read[-1] == 199
""")
    if "reliable" in options:
        # The very last may be lost on its way, the next one is not likely to be lost too.
        for _ in range(20):
            channel.send(np.full(size, last, np.uint8))
    read = bob.run("wait_for(newest, what='the newest message'); read")
    assert read == sorted(read)
    assert len(read) < 60


def test_a_reader_of_a_channel_that_drops_finds_no_more_than_it_may_hold(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob, maxsize=3, policy="drop_oldest")
    for number in range(50):
        channel.send(number)
    channel.send("end", to="bob")
    assert bob.run(
        "wait_for(lambda: any(b'str' in each.header for each in ch._arrivals._queue.copy())); [ch.recv() for _ in range(3)]"
    ) == [
        48,
        49,
        "end",
    ]


def test_an_interrupt_stops_a_message_and_the_next_one_arrives(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    bob.run(IN_USE)
    bob.run("before = in_use()")  # what earlier tests left unread
    sending = bob.start(f"ch.send(np.zeros({4 * LARGE}, np.uint8), progress=False)")
    arena = room._data.client.arena

    def held() -> int:
        return 512 * os.fstat(arena._fd).st_blocks

    before = least = held()

    def has_grown() -> bool:
        nonlocal least
        least = min(least, held())  # what earlier tests left goes, too
        return held() > least + 1_000_000

    wait_for(has_grown, what="the message is on its way")
    bob.interrupt()
    with pytest.raises(RemoteError, match="KeyboardInterrupt"):
        sending.result(10)
    wait_for(lambda: held() <= before, what="what had come of it is given back")
    bob.run("wait_for(lambda: in_use() <= before)")
    bob.run("ch.send('the next one')")
    assert channel.recv() == "the next one"


def test_a_timeout_stops_a_message_too(room: rtc.Room, bob: PythonProcess) -> None:
    channel = open_everywhere(room, bob)
    with pytest.raises(rtc.SendTimeout, match="'bob'"):
        channel.send(np.zeros(4 * LARGE, np.uint8), timeout=0.3, progress=False)
    wait_for(lambda: room._data.client.arena.in_use == 0, what="our memory is free again")
    channel.send("the next one")
    assert bob.run("ch.recv()") == "the next one"


def test_a_receiver_that_leaves_is_not_waited_for(jupyter: JupyterProcess, room: rtc.Room, bob: PythonProcess) -> None:
    with another_kernel(jupyter, room.id, "dora") as dora:
        channel = open_everywhere(room, bob, dora, maxsize=1)
        channel.send(1, to="dora")
        sending = Sending(channel, 2)
        assert sending.is_under_way
        dora.run("room.leave()")
        sending.join()
        assert sending.raised is None
        assert bob.run("ch.recv()") == 2


# ---- limits ----


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A server that allows little."""
    arguments = ("--ForgeRTC.max_data_bytes=100000", "--ForgeRTC.max_shared_bytes=150000")
    with JupyterProcess(tmp_path_factory.mktemp("small"), arguments=arguments) as server:
        yield server


def test_a_message_above_the_servers_limit_is_refused_by_its_sender(small: JupyterProcess) -> None:
    with (
        rtc.join("small", server=small.url, token=small.token) as room,
        another_kernel(small, "small") as bob,
    ):
        channel = open_everywhere(room, bob)
        with pytest.raises(
            rtc.MessageTooLarge, match=r"has 100001 bytes, a message may have 100000: .* c.ForgeRTC.max_data_bytes"
        ):
            channel.send(bytes(100_001))
        channel.send(bytes(100_000))
        assert bob.run("len(ch.recv())") == 100_000
        room.shared["a"] = bytes(100_000)
        with pytest.raises(rtc.MessageTooLarge, match="150000"):
            room.shared["b"] = bytes(50_001)
        with pytest.raises(rtc.MessageTooLarge):
            room.shared["a"] = bytes(100_001)
        room.shared["b"] = bytes(50_000)
        bob.run("wait_for(lambda: set(room.shared) == {'a', 'b'})")
        with pytest.raises(RemoteError, match="MessageTooLarge"):
            bob.run("room.shared['c'] = b'more'")
        bob.run("room.shared['a'] = b'less'; room.shared['c'] = b'more'")
        wait_for(lambda: len(room.shared) == 3, what="what fits now")


# ---- progress ----


def in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a fixture: what is captured during a test is captured by another object than before it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_bar_that_was_asked_for_ends_full_and_stays(
    room: rtc.Room, bob: PythonProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_terminal(monkeypatch)
    channel = open_everywhere(room, bob, maxsize=1)
    channel.send(0)
    sending = Sending(channel, np.zeros(12_000_000, np.uint8), progress=True)
    printed = [""]

    def shown() -> bool:
        printed[0] += capsys.readouterr().err
        return f"channel {channel.name!r}: " in printed[0] and " of 11.4 MiB" in printed[0]

    wait_for(shown, what="a bar")
    assert bob.run("[ch.recv(), ch.recv(30).nbytes]") == [0, 12_000_000]
    sending.join()
    lines = [line.strip() for line in (printed[0] + capsys.readouterr().err).split("\r")]
    assert "#" * 30 in lines[-2]
    assert lines[-1].startswith(f"channel {channel.name!r}: 11.4 MiB in ")


def test_a_bar_shows_by_itself_after_a_while_and_goes(
    room: rtc.Room, bob: PythonProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_terminal(monkeypatch)
    monkeypatch.setattr("forge_rtc_nb.kernel.progress.SHOW_AFTER", 0.2)
    channel = open_everywhere(room, bob, maxsize=1)
    channel.send(0)
    assert capsys.readouterr().err == ""
    unwanted = Sending(channel, "xyz", progress=False)
    sending = Sending(channel, 1, progress=None)
    printed = [""]

    def shown() -> bool:
        printed[0] += capsys.readouterr().err
        return f"channel {channel.name!r}: 0 bytes of 1 bytes" in printed[0]

    wait_for(shown, what="a bar")
    bob.run("[ch.recv(), ch.recv()]")
    sending.join()
    unwanted.join()
    printed[0] += capsys.readouterr().err
    assert printed[0].rpartition("\r")[2] == ""
    assert "of 3 bytes" not in printed[0], "that one waited longer"


def test_a_bar_of_a_message_that_does_not_arrive_says_so(
    room: rtc.Room, bob: PythonProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = open_everywhere(room, bob, maxsize=1)
    channel.send(0)
    with pytest.raises(rtc.SendTimeout):
        channel.send(1, timeout=0.3, progress=True)
    assert "not all of 1 bytes has arrived" in capsys.readouterr().err
