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
LETTERS = "abcde"
KEYS = ["k", "l", "m", "n", "o"]
HOW_OFTEN = {
    "send": 30, "deliver": 24, "begin": 8, "write": 12, "delete": 4,
    "cut": 1, "link": 4, "join": 2, "leave": 1, "partition": 1, "heal": 2, "flow": 1,
}  # fmt: skip
STEP = st.tuples(st.sampled_from([what for what, often in HOW_OFTEN.items() for _ in range(often)]), st.integers(0, 99))
Step = tuple[str, int]


class Life:
    """Carries the steps out that make sense, and skips the others."""

    def __init__(self, limit: int = LIMIT, keys: list[str] = KEYS) -> None:
        self.names = {letter: letter for letter in LETTERS[:3]}
        """Who is in the room; nobody comes back under the same name."""
        self.room = Room(*self.names.values(), limit=limit)
        self.keys = keys
        self.written = self.joined = 0

    def step(self, what: str, number: int) -> None:
        room = self.room
        letter = LETTERS[number % len(LETTERS)]
        if what in {"send", "deliver", "begin", "cut"} and room.links:
            getattr(room, what)(*list(room.links)[number % len(room.links)])
        elif what in {"heal", "flow"}:
            getattr(room, what)()
        elif what == "partition":
            self.partition(number)
        elif what == "join" and letter not in self.names:
            self.joined += 1
            self.names[letter] = f"{letter}{self.joined}"
            room.join(self.names[letter])
        elif letter in self.names:
            self.one(what, letter, number // len(LETTERS))

    def partition(self, number: int) -> None:
        sides = {name: number >> LETTERS.index(letter) & 1 for letter, name in self.names.items()}
        for one, other in list(self.room.links):
            if sides[one] != sides[other]:
                self.room.cut(one, other)

    def one(self, what: str, letter: str, number: int) -> None:
        name = self.names[letter]
        key = self.keys[number % len(self.keys)]
        participant = self.room[name]
        if what == "leave":
            self.room.leave(self.names.pop(letter))
        elif what == "link" and len(self.names) > 1:
            others = [other for other in self.names.values() if other != name]
            self.room.link(name, others[number % len(others)])
        elif what == "write":
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
@given(steps=st.lists(STEP, max_size=300))
def test_when_it_is_quiet_all_show_the_newest_that_any_of_them_had(at_a_time: int, steps: list[Step]) -> None:
    with bounds(MAX_ASKED=at_a_time):
        life = Life()
        for step in steps:
            life.step(*step)
        check_end_of(life)


@settings(max_examples=int(40 * FUZZ), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_after_a_long_life(seed: int) -> None:
    source = random.Random(seed)
    life = Life()
    for _ in range(2000):
        (what,) = source.choices(list(HOW_OFTEN), list(HOW_OFTEN.values()))
        life.step(what, source.randrange(100))
    check_end_of(life)


@settings(max_examples=int(150 * FUZZ), deadline=None)
@given(steps=st.lists(STEP, max_size=300), limit=st.integers(0, 300), keys=st.integers(1, 4))
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
