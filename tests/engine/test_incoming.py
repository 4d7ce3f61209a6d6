"""The queue that the senders of a channel share: room, who is let in, what is dropped, what the kernel gets (test process)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from forge_rtc_nb import control
from forge_rtc_nb.engine.incoming import WINDOW, ChannelQueue, SenderStore, Waiting
from forge_rtc_nb.protocol import Channel

LIMIT = 1000


class Bodies:
    """No memory is needed here."""

    def allocate(self, size: int) -> None:
        return None

    def lend(self, body: bytes) -> bytes:
        return body


class Room:
    """A queue, and what it told."""

    def __init__(self, **options: Any) -> None:
        self.posted: list[control.Received] = []
        self.advanced = 0
        channel = Channel(name="c", **options)
        bodies: Any = Bodies()
        post: Any = self.posted.append
        self.queue = ChannelQueue("room", channel, LIMIT, bodies, post, self._advance)

    def _advance(self) -> None:
        self.advanced += 1

    def deliver(self, sender: str, size: int, name: bytes = b"") -> None:
        self.queue.deliver(Waiting(sender, name, size, bytes(size)))

    @property
    def names(self) -> list[bytes]:
        return [message.header for message in self.posted]


HEADER = b'{"kind": "bytes", "time": 1.5, "id": "x-1"}'


def test_what_comes_is_looked_at_before_there_is_room_for_it() -> None:
    queue = Room().queue
    assert queue.check(HEADER, LIMIT) == "x-1"
    with pytest.raises(ValueError, match="1000 bytes, this one has 1001"):
        queue.check(HEADER, LIMIT + 1)
    with pytest.raises(ValueError, match="not the header"):
        queue.check(b"{}", 1)


def test_there_is_room_for_so_many_messages_until_they_are_read() -> None:
    room = Room(maxsize=2)
    assert [room.queue.admit("a", 1) for _ in range(3)] == [True, True, False]
    room.deliver("a", 1)
    room.deliver("a", 1)
    assert not room.queue.admit("a", 1)
    assert not room.queue.admit("b", 1)
    room.queue.taken(1, 1)
    assert room.advanced == 1
    assert [room.queue.admit("b", 1) for _ in range(2)] == [True, False]


def test_there_is_room_for_so_many_bytes_or_for_one_larger_message() -> None:
    room = Room(maxbytes=100)
    assert [room.queue.admit("a", size) for size in (60, 41, 40, 1)] == [True, False, True, False]
    room.queue.give_up("a", 60)
    assert room.advanced == 1
    assert not room.queue.admit("a", 500)
    room.queue.give_up("a", 40)
    assert room.queue.admit("a", 500)
    assert not room.queue.admit("a", 0)


def test_one_sender_who_never_ends_a_message_keeps_nobody_out() -> None:
    room = Room(maxsize=2, maxbytes=100)
    assert room.queue.admit("slow", 100)
    assert room.queue.admit("a", 50)
    assert not room.queue.admit("b", 60)  # a's counts
    assert room.queue.admit("b", 50)
    assert not room.queue.admit("slow", 1)
    room.deliver("a", 50)
    room.deliver("b", 50)
    assert not room.queue.admit("a", 1)  # nobody reads: that counts for all
    room.queue.taken(2, 100)
    assert room.queue.admit("a", 100)


def test_where_messages_are_dropped_the_kernel_gets_a_few_and_the_newest_wait() -> None:
    room = Room(maxsize=3, policy="drop_oldest")
    for number in range(20):
        assert room.queue.admit("a", 1)
        room.deliver("a", 1, str(number).encode())
    assert room.names == [b"0", b"1", b"2", b"3"]
    room.queue.taken(1, 1)
    room.queue.taken(3, 3)
    assert room.names[WINDOW:] == [b"17", b"18", b"19"]


def test_the_newest_stays_however_large_it_is() -> None:
    room = Room(maxbytes=10, policy="drop_oldest")
    for number in range(WINDOW + 3):
        room.queue.admit("a", 50)
        room.deliver("a", 50, str(number).encode())
    room.queue.taken(WINDOW, WINDOW * 50)
    assert room.names[WINDOW:] == [b"6"]


def test_where_messages_may_be_lost_the_newest_of_each_sender_waits() -> None:
    room = Room(reliable=False)
    for _ in range(WINDOW):
        room.deliver("full", 1)
    for number in range(3):
        for sender in "ab":
            room.queue.admit(sender, 1)
            room.deliver(sender, 1, f"{sender}{number}".encode())
    room.queue.taken(WINDOW, WINDOW)
    assert room.names[WINDOW:] == [b"a2", b"b2"]


def test_a_sender_sees_the_queue_as_its_store() -> None:
    room = Room(maxsize=1)
    store = SenderStore(room.queue, "a")
    assert store.check(HEADER, 5) == "x-1"
    assert store.admit(5)
    assert store.allocate(5) is None
    store.give_up(5, None)
    assert store.admit(5)
    store.deliver(b"{}", 5, b"12345")
    [message] = room.posted
    assert (message.sender, message.size, message.body) == ("a", 5, b"12345")


class Lives(RuleBasedStateMachine):
    """Several senders and a reader do what they may, in any order."""

    MAXSIZE, MAXBYTES = 3, 100

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(maxsize=self.MAXSIZE, maxbytes=self.MAXBYTES)
        self.coming: defaultdict[str, list[int]] = defaultdict(list)
        self.unread: list[int] = []

    @rule(sender=st.sampled_from("abc"), size=st.integers(0, 150))
    def ask(self, sender: str, size: int) -> None:
        if self.room.queue.admit(sender, size):
            self.coming[sender].append(size)
        else:
            assert self.unread or any(self.coming.values())

    @precondition(lambda self: any(self.coming.values()))
    @rule(data=st.data(), arrives=st.booleans())
    def end(self, data: st.DataObject, arrives: bool) -> None:
        sender = data.draw(st.sampled_from(sorted(name for name, sizes in self.coming.items() if sizes)))
        size = self.coming[sender].pop(0)
        if arrives:
            self.room.deliver(sender, size)
            self.unread.append(size)
        else:
            self.room.queue.give_up(sender, size)

    @precondition(lambda self: self.unread)
    @rule()
    def read(self) -> None:
        self.room.queue.taken(1, self.unread.pop(0))

    @invariant()
    def no_more_is_held_than_twice_the_room_and_one_large_message(self) -> None:
        sizes = [*self.unread, *(size for coming in self.coming.values() for size in coming)]
        assert len(sizes) <= 2 * self.MAXSIZE
        assert sum(sizes) <= 2 * self.MAXBYTES + 2 * 150

    @invariant()
    def whoever_has_nothing_is_let_in_where_at_most_one_other_is_at_it(self) -> None:
        if not self.unread and sum(bool(sizes) for sizes in self.coming.values()) <= 1:
            assert self.room.queue.admit("d", 150)
            self.room.queue.give_up("d", 150)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, deadline=None)
