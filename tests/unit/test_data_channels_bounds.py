"""What one end keeps for the other: never more than is known again, and little however hostile the other is (test process)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.data import assembly, inlet, outlet
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.numbers import REMEMBERED
from forge_rtc_nb.engine.data.outlet import Outlet, Parcel
from forge_rtc_nb.engine.data.violation import Violation
from forge_rtc_nb.frames import MAX_SIZE, Begin, Credit, Frame, More, Taken, decode
from tests.unit.data_channels import Line, Queue, parcel

BIG = 1_000_000
FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))


# ---- what is not confirmed ----


def quiet(line: Line) -> None:
    """Everything that can move does, but no TAKEN gets through."""
    moved = True
    while moved:
        moved = line.send()
        while line.forth:
            line.deliver()
            moved = True
        for frame in map(decode, line.back):
            if isinstance(frame, Credit):
                line.outlet.receive(frame)
        line.back.clear()


def test_no_more_is_unconfirmed_than_a_receiver_knows_again() -> None:
    queue = Queue(maxsize=1000)
    line = Line(Outlet(), Inlet(queue))
    for number in range(150):
        line.outlet.put(parcel(str(number), 10)[0])
    quiet(line)
    assert len(queue.messages) == REMEMBERED
    line.reconnect()
    line.flow()
    assert [header for header, _ in queue.messages] == [str(number).encode() for number in range(150)]
    assert line.outlet.waiting == 0


def test_one_message_that_is_not_confirmed_is_still_known_when_others_were_taken_back() -> None:
    queue = Queue(maxsize=1000)
    line = Line(Outlet(), Inlet(queue))
    parcels = [parcel(str(number), 10)[0] for number in range(200)]
    for message in parcels:
        line.outlet.put(message)
    quiet(line)
    for message in parcels[1:60]:
        line.outlet.withdraw(message)
    quiet(line)
    line.reconnect()
    line.flow()
    names = [header for header, _ in queue.messages]
    assert len(names) == len(set(names))


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "send", "deliver", "answer", "withdraw", "reconnect"]), st.integers(0, 99)),
    max_size=200,
)


@pytest.mark.parametrize("ordered", [True, False])
@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(steps=STEPS)
def test_nothing_arrives_twice_however_little_is_remembered(ordered: bool, steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inlet, "REMEMBERED", 2)
        patch.setattr(outlet, "REMEMBERED", 2)
        queue = Queue(maxsize=1000)
        line = Line(Outlet(), Inlet(queue, ordered))
        parcels: list[Parcel] = []
        for what, choice in steps:
            if what == "put":
                parcels.append(parcel(str(len(parcels)), 10)[0])
                line.outlet.put(parcels[-1])
            elif what == "withdraw" and parcels:
                line.outlet.withdraw(parcels[choice % len(parcels)])
            elif what == "deliver" and line.forth:
                line.deliver(0 if ordered else choice % len(line.forth))
            elif what == "answer" and line.back:
                line.answer()
            elif what == "send":
                line.send()
            elif what == "reconnect":
                line.reconnect()
        line.flow()
        names = [header for header, _ in queue.messages]
        assert len(names) == len(set(names))
        assert line.outlet.waiting == 0


def test_a_receiver_that_gives_credit_and_confirms_nothing_is_sent_a_few_messages_only() -> None:
    outlet = Outlet(keep=(64, 1 << 30))
    outlet.receive(Credit(MAX_SIZE))
    for number in range(5000):
        outlet.put(parcel(str(number), 1)[0])
        while outlet.next_frame() is not None:
            pass
    assert outlet.waiting == REMEMBERED + 64


@pytest.mark.parametrize("size", [40_000, 600_000])
def test_what_is_unconfirmed_of_a_queue_that_drops_its_oldest_is_bounded_in_bytes(size: int) -> None:
    outlet = Outlet(keep=(64, 100_000))
    outlet.receive(Credit(MAX_SIZE))
    sent: list[int] = []
    for number in range(50):
        outlet.put(parcel(str(number), size)[0])
        while (frame := outlet.next_frame()) is not None:
            sent.append(frame.number)  # type: ignore[union-attr]
    assert set(sent) == set(range(1, 100_000 // size + 2))
    outlet.receive(Taken(1))
    assert outlet.next_frame() is not None


# ---- parts ----


def refused(receive: Callable[[Frame], None], frames: Iterable[Frame]) -> tuple[int, str]:
    """How many frames were taken before one was a violation, and which."""
    for count, frame in enumerate(frames):
        try:
            receive(frame)
        except Violation as error:
            return count, str(error)
    raise AssertionError("all of them were taken")


def test_parts_come_in_order_on_an_ordered_channel() -> None:
    queue = Queue()
    receiver = Inlet(queue)
    count, why = refused(receiver.receive, [Begin(1, BIG, b"{}", b"x" * 10), More(1, 10, b"x"), More(1, 12, b"x")])
    assert (count, why) == (2, "message 1 goes on at byte 12, but has 11")
    receiver.restart()
    assert queue.count == 0


def test_the_holes_of_a_message_are_bounded() -> None:
    receiver = Inlet(Queue(), ordered=False)
    receiver.receive(Begin(1, BIG, b"{}"))
    count, why = refused(receiver.receive, (More(1, 2 * place, b"x") for place in range(BIG // 2)))
    assert (count, why) == (assembly.RANGES, "message 1 comes in more than 4096 separate ranges")


def test_holes_that_are_filled_cost_nothing() -> None:
    queue = Queue()
    receiver = Inlet(queue, ordered=False)
    size = 4 * assembly.RANGES
    receiver.receive(Begin(1, size, b"{}"))
    for start in range(0, size, 200):
        for place in reversed(range(start, min(start + 200, size))):
            receiver.receive(More(1, place, b"x"))
    assert queue.messages == [(b"{}", b"x" * size)]


@pytest.mark.parametrize("ordered", [True, False])
def test_small_parts_of_what_has_no_room_are_bounded(ordered: bool) -> None:
    receiver = Inlet(Queue(maxsize=1), ordered)
    receiver.receive(Begin(1, 0, b"{}"))
    receiver.receive(Begin(2, BIG, b'"2"'))
    count, _ = refused(receiver.receive, (More(2, place, b"x") for place in range(BIG)))
    assert count == inlet.KEPT


def test_small_parts_of_many_messages_are_bounded_together() -> None:
    receiver = Inlet(Queue(), ordered=False)
    for number in range(1, 9):
        receiver.receive(Begin(number, 4096, f'"{number}"'.encode()))
    parts = (More(number, place, b"x") for place in range(4000) for number in range(1, 9))
    count, why = refused(receiver.receive, parts)
    assert (count, why) == (inlet.KEPT, "it sends more than 1024 parts of messages that cannot be put together yet")


def test_small_parts_without_a_beginning_are_bounded() -> None:
    receiver = Inlet(Queue(), ordered=False)
    count, _ = refused(receiver.receive, (More(1 + place % 7, place, b"x") for place in range(BIG)))
    assert count == inlet.KEPT


@pytest.mark.parametrize("ordered", [True, False])
def test_small_parts_where_the_newest_wins_are_bounded(ordered: bool) -> None:
    queue = Queue()
    receiver = LossyInlet(queue, ordered)
    receiver.receive(Begin(1, 4096, b"{}"))
    count, _ = refused(receiver.receive, (More(1, place, b"x") for place in range(4000)))
    assert count == assembly.PARTS
    receiver.restart()
    assert queue.count == 0
