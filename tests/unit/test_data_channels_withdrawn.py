"""Messages that are taken back at a bad moment, or that nobody needs (test process)."""

from __future__ import annotations

from forge_rtc_nb.engine.data.assembly import Memory
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet
from tests.unit.data_channels import Line, Queue, body_of, parcel

BIG = 1_000_000


def test_an_abort_may_overtake_the_beginning_of_a_large_message() -> None:
    queue = Queue()
    line = Line(Outlet(), Inlet(queue, ordered=False))
    message, ends = parcel("a", BIG)
    line.outlet.put(message)
    line.send()
    line.outlet.withdraw(message)
    line.send()
    line.deliver(1)  # the abort
    line.deliver(0)
    after, _ = parcel("b", BIG)
    line.outlet.put(after)
    line.flow()
    assert ends == ["done"]
    assert queue.messages == [(b"b", body_of("b", BIG))]
    assert (queue.count, queue.size) == (1, BIG)


def test_withdrawing_what_was_taken_spares_the_message_that_has_its_number_now() -> None:
    line = Line(Outlet(), Inlet(Queue()))
    first, first_ends = parcel("a", 10)
    second, second_ends = parcel("b", 10)
    line.outlet.put(first)
    line.flow()
    line.outlet.put(second)
    line.reconnect()
    line.send()
    line.outlet.withdraw(first)
    assert (first_ends, second_ends) == (["done"], [])
    assert line.outlet.waiting == 1
    line.flow()
    assert second_ends == ["done"]


def test_a_body_that_nobody_needs_takes_no_memory_and_is_delivered_as_an_empty_one() -> None:
    class Picky(Queue):
        def check(self, header: bytes, size: int) -> str | None:
            return None if header == b'"a"' else ""

        def deliver(self, header: bytes, size: int, body: Memory | bytes) -> None:
            self.messages.append((header.strip(b'"'), body if isinstance(body, bytes) else bytes(body.memory)))

    queue = Picky()
    line = Line(Outlet(), Inlet(queue))
    for name in "ab":
        line.outlet.put(parcel(name, BIG)[0])
    line.flow()
    assert queue.messages == [(b"a", b""), (b"b", body_of("b", BIG))]
    assert (queue.count, queue.size) == (1, BIG)
    assert line.outlet.waiting == 0


def test_of_live_values_one_that_never_ends_does_not_keep_the_next_out() -> None:
    queue = Queue(maxsize=1)
    line = Line(Outlet(reliable=False, keep=(1, 1 << 40)), LossyInlet(queue))
    line.outlet.put(parcel("a", BIG)[0])
    line.send()
    line.deliver()
    while line.send():
        pass
    line.forth.clear()  # the rest is lost
    line.outlet.put(parcel("b", 10)[0])
    line.flow()
    assert queue.messages == [(b"b", body_of("b", 10))]
