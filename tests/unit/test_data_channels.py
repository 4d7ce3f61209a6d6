"""Messages from outlet to inlet: whole, once, in order, as credit and room allow, and what must not be (test process)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet
from forge_rtc_nb.engine.data.violation import Violation
from forge_rtc_nb.frames import CHUNK, INITIAL_CREDIT, MESSAGE_COST, Abort, Begin, Credit, Frame, More, Taken
from tests.unit.data_channels import Line, Queue, body_of, frames_of, parcel

BIG = 1_000_000


def reliable(queue: Queue, ordered: bool = True) -> Line:
    return Line(Outlet(), Inlet(queue, ordered))


# ---- what arrives ----


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, CHUNK - 17, CHUNK - 16, CHUNK, CHUNK + 1, BIG])
def test_a_message_arrives_whole_and_its_sender_learns_of_it(size: int) -> None:
    queue = Queue()
    line = reliable(queue)
    message, ends = parcel("a", size)
    line.outlet.put(message)
    line.flow()
    assert queue.messages == [(b"a", body_of("a", size))]
    assert ends == ["done"]
    assert line.outlet.waiting == 0


def test_no_frame_is_longer_than_a_chunk_and_progress_is_told() -> None:
    line = reliable(Queue())
    told: list[int] = []
    message, _ = parcel("a", BIG)
    message.progress = told.append
    line.outlet.put(message)
    while line.send():
        assert len(line.forth[-1]) <= CHUNK
        line.deliver()
        while line.back:
            line.answer()
    assert told == sorted(set(told))
    assert told[-1] == BIG


def test_messages_arrive_in_order() -> None:
    queue = Queue()
    line = reliable(queue)
    for name in "abc":
        line.outlet.put(parcel(name, BIG if name == "b" else 10)[0])
    line.flow()
    assert [header for header, _ in queue.messages] == [b"a", b"b", b"c"]


def test_parts_may_come_in_any_order_where_the_channel_is_not_ordered() -> None:
    queue = Queue()
    line = reliable(queue, ordered=False)
    line.outlet.put(parcel("a", 150_000)[0])
    line.outlet.put(parcel("b", 10)[0])
    while line.send():
        pass
    while line.forth:
        line.deliver(-1)
    assert sorted(queue.messages) == [(b"a", body_of("a", 150_000)), (b"b", body_of("b", 10))]


# ---- room ----


def test_a_full_queue_holds_its_sender_up_until_somebody_reads() -> None:
    queue = Queue(maxsize=2)
    line = reliable(queue)
    ends = []
    for name in "abcd":
        message, end = parcel(name, 10)
        line.outlet.put(message)
        ends.append(end)
    line.flow()
    assert [len(end) for end in ends] == [1, 1, 0, 0]
    queue.read()
    line.room()
    line.flow()
    assert [len(end) for end in ends] == [1, 1, 1, 0]
    assert [header for header, _ in queue.messages] == [b"a", b"b", b"c"]


def test_what_has_no_room_waits_within_the_credit_of_the_beginning() -> None:
    queue = Queue(maxsize=1)
    line = reliable(queue)
    for name in ("a", "b", "c"):
        line.outlet.put(parcel(name, BIG)[0])
    line.flow()
    assert [header for header, _ in queue.messages] == [b"a"]
    sent = line.outlet._spent - MESSAGE_COST - BIG
    assert 0 < sent <= INITIAL_CREDIT


def test_a_message_larger_than_the_whole_queue_has_room_when_it_is_empty() -> None:
    queue = Queue(maxbytes=1000)
    line = reliable(queue)
    line.outlet.put(parcel("a", BIG)[0])
    line.flow()
    assert [header for header, _ in queue.messages] == [b"a"]


def test_thousands_of_messages_use_no_credit_up() -> None:
    queue = Queue()
    line = reliable(queue)
    for number in range(3000):
        line.outlet.put(parcel(str(number), 100)[0])
        line.flow()
        queue.read()
    assert len(queue.messages) == 3000


# ---- given up ----


def test_a_message_that_is_withdrawn_does_not_arrive_and_costs_the_next_nothing() -> None:
    queue = Queue()
    line = reliable(queue)
    message, ends = parcel("a", BIG)
    line.outlet.put(message)
    line.outlet.put(parcel("b", 10)[0])
    line.send()
    line.deliver()
    line.outlet.withdraw(message)
    line.flow()
    assert ends == ["done"]
    assert queue.messages == [(b"b", body_of("b", 10))]
    assert (queue.count, queue.size) == (1, 10)


def test_one_that_waits_whole_at_the_receiver_is_taken_back() -> None:
    queue = Queue(maxsize=1)
    line = reliable(queue)
    messages = [parcel(name, 10)[0] for name in "abc"]
    for message in messages:
        line.outlet.put(message)
    line.flow()
    line.outlet.withdraw(messages[1])
    line.flow()
    queue.read()
    line.room()
    line.flow()
    assert [header for header, _ in queue.messages] == [b"a", b"c"]


def test_messages_that_are_taken_back_while_they_wait_use_no_credit_up() -> None:
    queue = Queue(maxsize=1)
    line = reliable(queue)
    line.outlet.put(parcel("first", 10)[0])
    for number in range(600):
        message, _ = parcel(str(number), 1000)
        line.outlet.put(message)
        line.flow()
        line.outlet.withdraw(message)
        line.flow()
    queue.read()
    line.outlet.put(parcel("last", 10)[0])
    line.flow()
    assert [header for header, _ in queue.messages] == [b"first", b"last"]


def test_withdrawing_what_was_taken_is_harmless() -> None:
    queue = Queue()
    line = reliable(queue)
    message, ends = parcel("a", 10)
    line.outlet.put(message)
    line.flow()
    line.outlet.withdraw(message)
    line.flow()
    assert ends == ["done"]
    assert line.outlet.waiting == 0


def test_closing_ends_all_that_waits() -> None:
    line = reliable(Queue(maxsize=1))
    ends = []
    for name in "abc":
        message, end = parcel(name, BIG)
        line.outlet.put(message)
        ends.append(end)
    line.flow()
    line.outlet.close()
    assert ends == [["done"]] * 3


# ---- another connection ----


def test_what_was_not_taken_is_sent_again_and_arrives_once() -> None:
    queue = Queue()
    line = reliable(queue)
    for name, size in (("a", 10), ("b", BIG), ("c", 10)):
        line.outlet.put(parcel(name, size)[0])
    for _ in range(3):
        line.send()
        line.deliver()
    assert [header for header, _ in queue.messages] == [b"a"]  # whose TAKEN gets lost with the connection
    line.reconnect()
    assert queue.count == 1
    line.flow()
    assert queue.messages == [(b"a", body_of("a", 10)), (b"b", body_of("b", BIG)), (b"c", body_of("c", 10))]
    assert line.outlet.waiting == 0


def test_messages_without_names_do_not_hide_each_other() -> None:
    queue = Queue(named=False)
    line = reliable(queue)
    for _ in range(2):
        line.outlet.put(parcel("a", BIG)[0])
    line.flow()
    line.outlet.put(parcel("a", BIG)[0])
    line.send()
    line.deliver()
    line.reconnect()
    assert (queue.count, queue.size) == (2, 2 * BIG)
    line.flow()
    assert len(queue.messages) == 3


# ---- newest wins ----


def test_without_confirmation_a_sender_does_not_wait() -> None:
    queue = Queue()
    line = Line(Outlet(reliable=False, keep=(1, 1 << 40)), LossyInlet(queue))
    message, ends = parcel("a", BIG)
    line.outlet.put(message)
    line.flow()
    assert ends == ["done"]
    assert queue.messages == [(b"a", body_of("a", BIG))]
    assert not line.back


def test_of_live_values_that_wait_only_the_newest_is_sent() -> None:
    queue = Queue()
    line = Line(Outlet(reliable=False, keep=(1, 1 << 40)), LossyInlet(queue))
    ends = []
    for name in "abcd":
        message, end = parcel(name, BIG)
        line.outlet.put(message)
        ends.append(end)
        line.send()  # the first is begun, and goes on
    line.flow()
    assert [header for header, _ in queue.messages] == [b"a", b"d"]
    assert ends == [["done"]] * 4


def test_a_queue_that_drops_its_oldest_keeps_within_both_its_bounds() -> None:
    outlet = Outlet(keep=(3, 1000))
    for number in range(10):
        outlet.put(parcel(str(number), 10)[0])
    assert outlet.waiting == 3
    outlet.put(parcel("large", 5000)[0])
    assert outlet.waiting == 1


@pytest.mark.parametrize("lost", range(4))
def test_a_message_of_which_a_part_is_lost_is_dropped_with_the_next(lost: int) -> None:
    queue = Queue()
    line = Line(Outlet(reliable=False), LossyInlet(queue))
    line.outlet.put(parcel("a", 200_000)[0])
    while line.send():
        pass
    assert len(line.forth) == 4
    del line.forth[lost]
    line.outlet.put(parcel("b", 10)[0])
    line.flow()
    assert [header for header, _ in queue.messages] == [b"b"]
    assert queue.count == 1


def test_a_message_that_was_overtaken_by_a_newer_one_is_stale() -> None:
    queue = Queue()
    line = Line(Outlet(reliable=False), LossyInlet(queue, ordered=False))
    for name in "ab":
        line.outlet.put(parcel(name, 10)[0])
    while line.send():
        pass
    line.deliver(1)
    line.deliver(0)
    assert [header for header, _ in queue.messages] == [b"b"]


def test_messages_that_never_finish_take_the_room_of_a_few() -> None:
    queue = Queue(maxsize=1000)
    inlet = LossyInlet(queue, ordered=False)
    for number in range(1, 1001):
        inlet.receive(Begin(number, BIG, b"{}"))
    assert queue.count == 4
    inlet.restart()
    assert (queue.count, queue.size) == (0, 0)


# ---- what must not be ----

PART = b"x" * 100
BAD: dict[str, list[Frame]] = {
    "a number is left out": [Begin(2, 0, b"{}")],
    "a message begins before the one before it has ended": [Begin(1, 200, b"{}", PART), Begin(2, 0, b"{}")],
    "a part of nothing": [More(1, 0, PART)],
    "a part of what is over": [Begin(1, 0, b"{}"), More(1, 0, PART)],
    "a part that was there": [Begin(1, 300, b"{}", PART), More(1, 0, PART)],
    "a part that overlaps": [Begin(1, 300, b"{}", PART), More(1, 50, PART)],
    "a part beyond the end": [Begin(1, 150, b"{}", PART), More(1, 100, PART)],
    "an abort of nothing": [Abort(1)],
    "a header that is refused": [Begin(1, 0, b"bad")],
    "a confirmation": [Taken(1)],
    "a credit": [Credit(1)],
}


@pytest.mark.parametrize("frames", BAD.values(), ids=BAD.keys())
def test_each_violation_is_told_and_leaves_nothing_reserved(frames: list[Frame]) -> None:
    queue = Queue()
    inlet = Inlet(queue)
    *good, bad = frames_of(*frames)
    for frame in good:
        inlet.receive(frame)
    with pytest.raises(Violation):
        inlet.receive(bad)
    inlet.restart()
    assert queue.count == len(queue.messages)


BAD_UNORDERED: dict[str, list[Frame]] = {
    "a message begins twice": [Begin(1, 0, b"{}"), Begin(1, 0, b"{}")],
    "a number far ahead": [Begin(2000, 0, b"{}")],
    "a part of a number far ahead": [More(2000, 0, PART)],
    "an abort of a number far ahead": [Abort(2000)],
    "early parts that overlap": [More(1, 0, PART), More(1, 50, PART), Begin(1, 300, b"{}")],
    "early parts beyond the end": [More(1, 100, PART), Begin(1, 150, b"{}")],
}


@pytest.mark.parametrize("frames", BAD_UNORDERED.values(), ids=BAD_UNORDERED.keys())
def test_each_violation_on_a_channel_without_order(frames: list[Frame]) -> None:
    *good, bad = frames_of(*frames)
    inlet = Inlet(Queue(), ordered=False)
    for frame in good:
        inlet.receive(frame)
    with pytest.raises(Violation):
        inlet.receive(bad)


def begun(inlet: Inlet, frames: Iterable[Frame]) -> int:
    """How many of the frames an inlet takes before it says that the credit is spent."""
    for count, frame in enumerate(frames):
        try:
            inlet.receive(frame)
        except Violation as error:
            assert "credit" in str(error)
            return count
    raise AssertionError("the credit has no end")


def test_what_has_no_room_may_spend_the_credit_and_no_more() -> None:
    inlet = Inlet(Queue(maxsize=1))
    inlet.receive(Begin(1, 0, b"{}"))
    waiting = (Begin(number, 0, f'"{number}"'.encode()) for number in range(2, 1000))
    assert begun(inlet, waiting) == INITIAL_CREDIT // MESSAGE_COST


def test_parts_without_a_beginning_take_no_more_than_the_credit() -> None:
    inlet = Inlet(Queue(), ordered=False)
    parts = (More(number, 0, b"x" * 10_000) for number in range(1, 1000))
    assert begun(inlet, parts) == INITIAL_CREDIT // 10_000


def test_an_outlet_refuses_confirmations_of_what_it_never_sent() -> None:
    outlet = Outlet()
    with pytest.raises(Violation):
        outlet.receive(Taken(1))
    outlet.put(parcel("a", BIG)[0])
    outlet.next_frame()
    with pytest.raises(Violation):
        outlet.receive(Taken(1))
    with pytest.raises(Violation):
        Outlet(reliable=False).receive(Credit(1 << 20))
