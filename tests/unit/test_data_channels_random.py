"""Random scripts of sending, reading, withdrawing, reconnecting: nothing honest is refused, lost or doubled (test process)."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet, Parcel
from tests.unit.data_channels import Line, Queue, body_of, parcel

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
SIZES = st.sampled_from([0, 1, 100, 4097, 65_000, 66_000, 150_000, 700_000])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), SIZES),
        st.tuples(st.sampled_from(["send", "deliver", "answer", "flow", "read", "withdraw", "reconnect"]), st.integers(0, 99)),
    ),
    max_size=120,
)


class Script:
    """Carries the steps out; ``sent`` are the names of the messages that were put, ``withdrawn`` those that were taken back."""

    def __init__(self, ordered: bool, maxsize: int) -> None:
        self.queue = Queue(maxsize=maxsize, maxbytes=500_000)
        self.line = Line(Outlet(), Inlet(self.queue, ordered))
        self.ordered = ordered
        self.parcels: dict[str, tuple[Parcel, list[str]]] = {}
        self.withdrawn: set[str] = set()
        self.read = 0

    def step(self, what: str, choice: int) -> None:
        line = self.line
        if what == "put":
            name = f"m{len(self.parcels)}"
            self.parcels[name] = parcel(name, choice)
            line.outlet.put(self.parcels[name][0])
        elif what == "send":
            line.send()
        elif what == "deliver" and line.forth:
            line.deliver(0 if self.ordered else choice % len(line.forth))
        elif what == "answer" and line.back:
            line.answer()
        elif what == "flow":
            line.flow()
        elif what == "read":
            self.take()
        elif what == "withdraw" and self.parcels:
            name = list(self.parcels)[choice % len(self.parcels)]
            self.withdrawn.add(name)
            line.outlet.withdraw(self.parcels[name][0])
        elif what == "reconnect":
            line.reconnect()

    def take(self) -> bool:
        """Read the oldest unread message."""
        if self.read == len(self.queue.messages):
            return False
        self.queue.give_up(len(self.queue.messages[self.read][1]), None)
        self.read += 1
        self.line.room()
        return True

    def finish(self) -> None:
        self.line.flow()
        while self.take():
            self.line.flow()


@pytest.mark.parametrize("ordered", [True, False])
@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(steps=STEPS, maxsize=st.integers(1, 4))
def test_every_message_that_is_not_withdrawn_arrives_once(ordered: bool, steps: list[tuple[str, int]], maxsize: int) -> None:
    script = Script(ordered, maxsize)
    for what, choice in steps:
        script.step(what, choice)
    script.finish()
    arrived = [header.decode() for header, _ in script.queue.messages]
    assert len(arrived) == len(set(arrived))
    assert set(script.parcels) - script.withdrawn <= set(arrived) <= set(script.parcels)
    if ordered:
        assert arrived == [name for name in script.parcels if name in set(arrived)]
    assert all(body == body_of(header.decode(), len(body)) for header, body in script.queue.messages)
    assert all(ends == ["done"] for _, ends in script.parcels.values())
    assert (script.queue.count, script.queue.size) == (0, 0)
    assert not script.line.inlet._assemblies


@pytest.mark.parametrize("ordered", [True, False])
@settings(max_examples=int(200 * FUZZ), deadline=None)
@given(sizes=st.lists(SIZES, min_size=1, max_size=12), loss=st.floats(0, 0.5), seed=st.integers(0, 2**32))
def test_what_arrives_over_a_lossy_channel_is_whole_and_newer_each_time(
    ordered: bool, sizes: list[int], loss: float, seed: int
) -> None:
    source = random.Random(seed)
    queue = Queue(maxsize=1000)
    line = Line(Outlet(reliable=False), LossyInlet(queue, ordered))
    for number, size in enumerate(sizes):
        line.outlet.put(parcel(f"m{number}", size)[0])
    while line.send():
        if source.random() < loss:
            line.forth.pop()
    while line.forth:
        line.deliver(0 if ordered else source.randrange(min(len(line.forth), 4)))
    numbers = [int(header[1:]) for header, _ in queue.messages]
    assert numbers == sorted(set(numbers))
    assert all(body == body_of(header.decode(), sizes[int(header[1:])]) for header, body in queue.messages)
    line.inlet.restart()
    assert queue.count == len(queue.messages)
    if loss == 0 and ordered:
        assert len(numbers) == len(sizes)
