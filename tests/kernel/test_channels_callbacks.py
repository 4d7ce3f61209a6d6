"""Functions that are called with each message: order, errors, what they may call, and the one thread (test process)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import forge_rtc_nb as rtc
from tests.kernel.others import another_kernel, open_everywhere
from tests.kernel.rooms import Join
from tests.python_process import PythonProcess
from tests.support import JupyterProcess, wait_for


@pytest.fixture
def channel(room: rtc.Room, bob: PythonProcess) -> Iterator[rtc.Channel]:
    with open_everywhere(room, bob, maxsize=4) as channel:
        yield channel
        bob.run("ch.close()")


def test_each_message_is_handed_over_once_in_order_with_its_sender(channel: rtc.Channel, bob: PythonProcess) -> None:
    got: list[tuple[Any, str]] = []
    threads = set()

    @channel.on_message
    def take(value: Any, sender: rtc.Participant) -> None:
        threads.add(threading.current_thread().name)
        got.append((value, sender.name))

    bob.run("for n in range(100): ch.send(n)")
    wait_for(lambda: len(got) == 100, what="all messages")
    assert got == [(number, "bob") for number in range(100)]
    assert threads == {"forge-rtc-callbacks"}


def test_messages_that_came_before_the_function_are_handed_over_too(channel: rtc.Channel, bob: PythonProcess) -> None:
    bob.run("for n in range(3): ch.send(n)")
    got: list[Any] = []
    channel.on_message(lambda value, sender: got.append(value))
    wait_for(lambda: got == [0, 1, 2], what="what waited")


def test_all_functions_get_each_message_and_recv_raises(channel: rtc.Channel, bob: PythonProcess) -> None:
    one: list[Any] = []
    two: list[Any] = []
    channel.on_message(lambda value, sender: one.append(value))
    channel.on_message(lambda value, sender: two.append(value))
    bob.run("ch.send('x')")
    wait_for(lambda: one == two == ["x"], what="both have it")
    with pytest.raises(rtc.RTCError, match="on_message"):
        channel.recv()
    with pytest.raises(TypeError):
        channel.on_message("no function")  # type: ignore[arg-type]


def test_an_error_in_a_function_is_told_and_the_next_message_comes(
    room: rtc.Room, channel: rtc.Channel, bob: PythonProcess, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    told: list[Exception] = []
    room.on("error", told.append)

    @channel.on_message
    def fail(value: Any, sender: rtc.Participant) -> None:
        got.append(value)
        if value == 0:
            raise KeyError("missing")

    with caplog.at_level(logging.ERROR, "forge_rtc_nb"):
        bob.run("ch.send(0); ch.send(1)")
        wait_for(lambda: got == [0, 1], what="both messages")
        wait_for(lambda: told, what="the error event")
    assert [type(error) for error in told] == [KeyError]
    assert caplog.text.count("KeyError: 'missing'") == 1


def test_a_function_may_send_and_close(channel: rtc.Channel, bob: PythonProcess) -> None:
    @channel.on_message
    def answer(value: Any, sender: rtc.Participant) -> None:
        channel.send(value * 2, to=sender)
        if value == 3:
            channel.close()

    assert bob.run("[(ch.send(n), ch.recv())[1] for n in (1, 2, 3)]") == [2, 4, 6]
    bob.run("wait_for(lambda: not ch.participants, what='it is closed')")


def test_a_slow_function_slows_its_senders_and_not_the_others(room: rtc.Room, channel: rtc.Channel, bob: PythonProcess) -> None:
    go_on = threading.Event()
    got: list[Any] = []

    @channel.on_message
    def wait(value: Any, sender: rtc.Participant) -> None:
        go_on.wait(20)
        got.append(value)

    bob.run("for n in range(5): ch.send(n)")  # one is being handled, four wait
    assert bob.run("slow = 0\ntry: ch.send(5, timeout=0.3)\nexcept rtc.SendTimeout: slow = 1\nslow") == 1
    other = open_everywhere(room, bob)
    bob.run("ch.send('past it'); ch.close()")
    assert other.recv() == "past it"
    go_on.set()
    wait_for(lambda: got == [0, 1, 2, 3, 4], what="all that were sent")


def test_many_messages_leave_room_for_other_events(room: rtc.Room, channel: rtc.Channel, bob: PythonProcess) -> None:
    order: list[str] = []
    begun = threading.Event()

    @channel.on_message
    def take(value: Any, sender: rtc.Participant) -> None:
        begun.set()
        order.append("message")
        if len(order) == 1:
            room._callbacks.emit("updated", room.me)

    room.on("updated", lambda who: order.append("event"))
    bob.run("for n in range(60): ch.send(n)")
    wait_for(lambda: len(order) >= 61, what="all of it")
    assert "event" in order[:40]


def test_arrays_that_nobody_keeps_are_given_back(room: rtc.Room, channel: rtc.Channel, bob: PythonProcess) -> None:
    from tests.kernel.others import IN_USE

    names: dict[str, Any] = {}
    exec(IN_USE, names)
    sums: list[float] = []
    channel.on_message(lambda value, sender: sums.append(value.sum()))
    bob.run("for n in range(6): ch.send(np.full(200_000, n))")
    wait_for(lambda: len(sums) == 6, what="all messages")
    assert sums == [number * 200_000 for number in range(6)]
    assert isinstance(sums[0], np.integer)
    wait_for(lambda: names["in_use"]() == 0, what="no memory is held")


def test_a_function_may_leave_the_room(jupyter: JupyterProcess, join: Join, room_id: str) -> None:
    room = join(room_id, name="ann")
    with another_kernel(jupyter, room_id) as bob:
        channel = open_everywhere(room, bob)
        channel.on_message(lambda value, sender: room.leave())
        bob.run("ch.send('go')")
        wait_for(lambda: room.state == "left", what="we left")
        bob.run("wait_for(lambda: not ch.participants)")
    with pytest.raises(rtc.NotInRoom):
        channel.send(1)
