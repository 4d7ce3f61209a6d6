"""Random lives of a room: joins, leaves, lost data channels, partitions; in the end all show the same (test process)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from forge_rtc_nb.arrays import MessageTooLarge
from forge_rtc_nb.engine.data import replica as module
from forge_rtc_nb.engine.data.replica_wire import Version
from tests.unit.replicas import LIMIT, Room

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
NAMES = "abcde"
KEYS = ["k", "l", "m", "n", "o"]
PAIR = ("send", "send", "send", "begin", "deliver", "deliver", "deliver", "cut", "link")
ONE = ("write", "write", "delete", "join", "leave", "partition", "heal", "flow")
STEPS = st.lists(
    st.tuples(st.sampled_from(ONE + 3 * PAIR), st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 99)),
    max_size=300,
)
Step = tuple[str, str, str, int]


class Life:
    """Carries the steps out that make sense, and skips the others."""

    def __init__(self, limit: int = LIMIT, keys: list[str] = KEYS) -> None:
        self.names = {letter: letter for letter in NAMES[:3]}
        """Who is in the room; nobody comes back under the same name."""
        self.room = Room(*self.names.values(), limit=limit)
        self.keys = keys
        self.written = self.joined = 0

    def step(self, what: str, one: str, other: str, number: int) -> None:
        room = self.room
        if what in PAIR:
            self.pair(what, self.names.get(one, ""), self.names.get(other, ""))
        elif what == "heal":
            room.heal()
        elif what == "flow":
            room.flow()
        elif what == "partition":
            for x, y in list(room.links):
                if (number >> NAMES.index(x[0]) & 1) != (number >> NAMES.index(y[0]) & 1):
                    room.cut(x, y)
        elif what == "join" and one not in self.names:
            self.joined += 1
            self.names[one] = f"{one}{self.joined}"
            room.join(self.names[one])
        elif what == "leave" and one in self.names:
            room.leave(self.names.pop(one))
        elif one in self.names:
            self.one(what, self.names[one], number)

    def pair(self, what: str, one: str, other: str) -> None:
        room = self.room
        if (one, other) in room.links:
            getattr(room, what)(one, other)
        elif what == "link" and one != other and {one, other} <= room.participants.keys():
            room.link(one, other)

    def one(self, what: str, name: str, number: int) -> None:
        key = self.keys[number % len(self.keys)]
        participant = self.room[name]
        if what == "write":
            self.written += 1
            try:
                participant.write(key, f"{self.written} of {name} ".encode().ljust(number, b"."))
            except MessageTooLarge:
                event("too large")
        elif what == "delete" and key in participant.shown:
            participant.replica.delete(key, 1.0)

    def newest(self) -> dict[str, tuple[Version, bytes | None]]:
        """Of each key, what is newest in the room."""
        newest: dict[str, tuple[Version, bytes | None]] = {}
        for participant in self.room.participants.values():
            for key, (version, body) in participant.versions.items():
                if key not in newest or newest[key][0] < version:
                    newest[key] = (version, body)
        return newest

    def finish(self) -> None:
        self.room.heal()
        self.room.flow()


@contextmanager
def bounds(**values: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


def check_end_of(life: Life) -> None:
    """All connect, and everything that can move does: what is the newest then is what all of them have."""
    newest = life.newest()
    life.finish()
    others = set(life.room.participants)
    for name, participant in life.room.participants.items():
        assert participant.versions == newest
        assert participant.shown == participant.entries
        assert participant.shown == {key: (body, version[1]) for key, (version, body) in newest.items() if body is not None}
        assert participant.replica.synced(others - {name})
        assert not participant.replica.left_out
        assert participant.replica._budget._total == sum(len(body) for body, _ in participant.shown.values())
        for peer in participant.replica._peers.values():
            left = [peer.dirty, peer.has, peer.askable, peer.asked, peer.requests, peer.pinned, peer.awaited]
            assert not any(left)


@pytest.mark.parametrize("at_a_time", [1, 2, 64])
@settings(max_examples=int(150 * FUZZ), deadline=None)
@given(steps=STEPS)
def test_when_it_is_quiet_all_show_the_newest_that_any_of_them_had(at_a_time: int, steps: list[Step]) -> None:
    with bounds(MAX_ASKED=at_a_time):
        life = Life()
        for step in steps:
            life.step(*step)
        check_end_of(life)


@settings(max_examples=int(20 * FUZZ), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_after_a_long_life(seed: int) -> None:
    source = random.Random(seed)
    life = Life()
    for _ in range(2000):
        life.step(source.choice(ONE + 12 * PAIR), source.choice(NAMES), source.choice(NAMES), source.randrange(100))
    check_end_of(life)


@settings(max_examples=int(150 * FUZZ), deadline=None)
@given(steps=STEPS, limit=st.integers(0, 300), keys=st.integers(1, 4))
def test_nobody_ever_shows_more_than_the_limits_and_all_come_to_rest(steps: list[Step], limit: int, keys: int) -> None:
    with bounds(MAX_KEYS=keys):
        life = Life(limit, KEYS[:keys])
        for step in steps:
            life.step(*step)
            for participant in life.room.participants.values():
                assert sum(len(body) for body, _ in participant.shown.values()) <= limit
        life.finish()
    for name, participant in life.room.participants.items():
        assert participant.shown == participant.entries
        assert participant.replica.synced(set(life.room.participants) - {name})
