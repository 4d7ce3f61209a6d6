"""The one thread for a room's callbacks: work and events take turns, and nothing that a callback raises ends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from forge_rtc_nb.kernel.callbacks import MAX_WAITING, Callbacks
from tests.support import wait_for


@pytest.fixture
def callbacks() -> Iterator[Callbacks]:
    made = Callbacks()
    yield made
    made.close()
    made.join()


class Busy:
    """Work that asks for another turn each time, until it is told to stop."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.callbacks = callbacks
        self.turns = 0
        self.over = threading.Event()

    def __call__(self) -> None:
        self.turns += 1
        if not self.over.is_set():
            self.callbacks.run(self)


class Gate:
    """Work that holds the thread up until it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def wait(self) -> None:
        self.open.wait(10)


def test_an_event_has_its_turn_while_work_goes_on_without_end(callbacks: Callbacks) -> None:
    busy = Busy(callbacks)
    seen: list[str] = []
    callbacks.on("joined", seen.append)
    callbacks.run(busy)
    wait_for(lambda: busy.turns > 10, what="work")
    callbacks.emit("joined", "zoe")
    try:
        wait_for(lambda: seen == ["zoe"], what="the event")
    finally:
        busy.over.set()


def test_two_that_are_busy_take_turns(callbacks: Callbacks) -> None:
    first, second = Busy(callbacks), Busy(callbacks)
    callbacks.run(first)
    wait_for(lambda: first.turns > 10, what="the first")
    callbacks.run(second)
    wait_for(lambda: second.turns > 10, what="the second")
    first.over.set()
    second.over.set()


def test_work_and_events_keep_their_order(callbacks: Callbacks) -> None:
    seen: list[str] = []
    gate = Gate()
    callbacks.on("state", seen.append)
    callbacks.run(gate.wait)
    for number in range(5):
        callbacks.emit("state", f"event {number}")
        callbacks.run(lambda number=number: seen.append(f"work {number}"))  # type: ignore[misc]
    gate.open.set()
    wait_for(lambda: len(seen) == 10, what="all of it")
    assert seen == [f"{kind} {number}" for number in range(5) for kind in ("event", "work")]


def test_much_work_drops_no_event_and_too_many_events_drop_no_work(
    callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    done: list[int] = []
    gate = Gate()
    callbacks.on("state", seen.append)
    callbacks.run(gate.wait)
    for number in range(3 * MAX_WAITING):
        callbacks.run(lambda number=number: done.append(number))  # type: ignore[misc]
    for number in range(MAX_WAITING):
        callbacks.emit("state", number)
    assert caplog.records == []
    callbacks.emit("state", MAX_WAITING)
    callbacks.emit("state", MAX_WAITING + 1)
    gate.open.set()
    callbacks.close()
    callbacks.join(30)
    assert done == list(range(3 * MAX_WAITING))
    assert seen == list(range(2, MAX_WAITING + 2))
    assert ["too slow" in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("kind", ["work", "event"])
def test_what_a_callback_raises_is_logged_and_told_and_the_thread_goes_on(
    callbacks: Callbacks, caplog: pytest.LogCaptureFixture, error: BaseException, kind: str
) -> None:
    told: list[BaseException] = []
    after: list[str] = []

    def fail(*_arguments: object) -> None:
        raise error

    callbacks.on("error", told.append)
    callbacks.on("joined", fail)
    with caplog.at_level(logging.ERROR):
        if kind == "work":
            callbacks.run(fail)
        else:
            callbacks.emit("joined", "zoe")
        callbacks.run(lambda: after.append("after"))
        wait_for(lambda: told and after, what="the error, and what comes after it")
    assert told == [error]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]


def test_an_error_in_a_callback_for_errors_is_logged_once(callbacks: Callbacks, caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: object) -> None:
        raise SystemExit(2)

    callbacks.on("error", fail)
    callbacks.emit("error", ValueError("first"))
    callbacks.close()
    callbacks.join()
    assert len(caplog.records) == 1


def test_work_that_waits_at_the_end_is_done_and_what_comes_later_is_not(callbacks: Callbacks) -> None:
    busy = Busy(callbacks)
    callbacks.run(busy)
    wait_for(lambda: busy.turns > 3, what="work")
    callbacks.close()
    callbacks.join()
    turns = busy.turns
    callbacks.run(busy)
    callbacks.emit("state", "late")
    assert busy.turns == turns
    assert callbacks._thread not in threading.enumerate()
