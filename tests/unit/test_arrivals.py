"""What waits to be read of a channel: in order, bounded, and of live values the newest (test process)."""

from __future__ import annotations

import pytest

from forge_rtc_nb.errors import ChannelClosed, RTCTimeout
from forge_rtc_nb.kernel.arrivals import Arrivals, Arrived
from forge_rtc_nb.kernel.participants import Participant
from forge_rtc_nb.kernel.reading import Deadline


def person(name: str) -> Participant:
    return Participant(name, name, "kernel", "user", None, False, False, False, 0.0, "connected")


class Told:
    """What the engine was told to have left the queue."""

    def __init__(self) -> None:
        self.count = self.size = 0

    def __call__(self, count: int, size: int) -> None:
        self.count, self.size = self.count + count, self.size + size


def put(arrivals: Arrivals, sender: str, name: str, size: int = 10) -> None:
    arrivals.put(Arrived(person(sender), name.encode(), size, bytes(size)))


def read(arrivals: Arrivals) -> list[str]:
    names = []
    while (message := arrivals.poll()) is not None:
        names.append(message.header.decode())
    return names


def test_messages_are_read_in_order_and_told_when_they_are() -> None:
    told = Told()
    arrivals = Arrivals(told, None)
    for name in "abc":
        put(arrivals, "ann", name)
    assert (told.count, told.size) == (0, 0)
    assert read(arrivals) == ["a", "b", "c"]
    assert (told.count, told.size) == (3, 30)


def test_where_the_oldest_are_dropped_both_bounds_hold_and_the_newest_stays() -> None:
    told = Told()
    arrivals = Arrivals(told, (3, 1000))
    for number in range(10):
        put(arrivals, "ann", str(number))
    assert (told.count, told.size) == (10, 100), "the engine need not wait for a reader"
    assert read(arrivals) == ["7", "8", "9"]
    put(arrivals, "ann", "small")
    put(arrivals, "ann", "large", 5000)
    assert read(arrivals) == ["large"]


def test_of_live_values_the_newest_of_each_sender_waits() -> None:
    arrivals = Arrivals(Told(), (64, 1000), latest=True)
    put(arrivals, "ann", "1")
    put(arrivals, "bob", "2")
    put(arrivals, "ann", "3")
    assert read(arrivals) == ["2", "3"]
    put(arrivals, "bob", "4", 900)
    put(arrivals, "bob", "5", 900)
    put(arrivals, "ann", "6", 100)
    assert read(arrivals) == ["5", "6"]


def test_the_end_drops_what_waits_and_is_told_to_who_reads() -> None:
    arrivals = Arrivals(Told(), None)
    put(arrivals, "ann", "a")
    arrivals.end(ChannelClosed("closed"))
    arrivals.end(ChannelClosed("again"))
    put(arrivals, "ann", "b")
    with pytest.raises(ChannelClosed, match="closed"):
        arrivals.poll()
    with pytest.raises(ChannelClosed):
        arrivals.take(Deadline(5))


def test_a_wait_in_vain_is_a_timeout() -> None:
    with pytest.raises(RTCTimeout, match="no message within"):
        Arrivals(Told(), None).take(Deadline(0.01))
