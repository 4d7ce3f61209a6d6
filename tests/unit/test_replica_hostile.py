"""Peers that mean harm to a replica of the shared mapping: whatever they say breaks nothing (test process)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.data.replica import MAX_AHEAD
from forge_rtc_nb.engine.data.replica_peer import MAX_ASKED, MAX_HAS
from forge_rtc_nb.engine.data.replica_wire import MAX_KEYS
from forge_rtc_nb.frames import MAX_HEADER, MAX_SIZE
from tests.unit.replicas import BYTES, Participant, Room, data_of, entry, gone, have, say, value, want, want_of


def victim() -> Participant:
    """Holds a value, has asked a peer for another one, and was asked for its own."""
    one = Participant("me", limit=1000)
    one.write("mine", b"1")
    one.replica.connect("a")
    one.replica.receive("a", have([entry("k", 1, "a", 3)]), 0, b"")
    assert want_of(one.replica, "a") == "k"
    one.replica.receive("a", want("mine", 1, "me"), 0, b"")
    return one


HARMFUL = {
    "no JSON": (b"\xff{", 0),
    "no object": (b"[]", 0),
    "half a character": (b'{"kind":"want","key":"\\ud800","clock":1,"writer":"a"}', 0),
    "deep": (b'{"kind":"have","entries":' + b"[" * 16000, 0),
    "too long": (b'{"kind":"have","entries":[]' + b" " * MAX_HEADER + b"}", 0),
    "unknown kind": (say("take", key="k"), 0),
    "kind of a value": (BYTES, 3),
    "no key": (have([entry("", 1, "a", 1)]), 0),
    "long key": (have([entry("k" * 257, 1, "a", 1)]), 0),
    "clock of 2^53": (have([entry("k", MAX_SIZE + 1, "a", 1)]), 0),
    "a clock that nobody can have reached": (have([entry("k", MAX_SIZE, "a", 1)]), 0),
    "clock of 10^30": (have([entry("k", 10**30, "a", 1)]), 0),
    "negative clock": (have([entry("k", -1, "a", 1)]), 0),
    "broken clock": (have([{**entry("k", 1, "a", 1), "clock": 1.5}]), 0),
    "no writer": (have([entry("k", 1, "", 1)]), 0),
    "evil writer": (have([entry("k", 1, "a b\n", 1)]), 0),
    "long writer": (have([entry("k", 1, "a" * 65, 1)]), 0),
    "negative size": (have([entry("k", 1, "a", -1)]), 0),
    "size over the limit": (have([entry("k", 1, "a", 1001)]), 0),
    "size without value": (have([{**entry("k", 1, "a"), "size": 1}]), 0),
    "value without size": (have([{**entry("k", 1, "a"), "value": json.loads(BYTES)}]), 0),
    "value that cannot be": (have([{**entry("k", 1, "a", 1), "value": {"kind": "object", "time": 1}}]), 0),
    "shape that does not fit": (
        have([{**entry("k", 1, "a", 3), "value": {"kind": "array", "dtype": "|u1", "shape": [2, 2], "time": 1}}]),
        0,
    ),
    "a good entry before a bad one": (have([entry("new", 9, "a"), entry("k", 9, "a", 1001)]), 0),
    "have with a body": (have([]), 1),
    "want with a body": (want("k", 1, "a"), 1),
    "the same want twice": (want("mine", 1, "me"), 0),
    "value that was not asked for": (value("mine", 1, "a"), 3),
    "value of another version": (value("k", 2, "a"), 3),
    "value of another writer": (value("k", 1, "b"), 3),
    "value of another size": (value("k", 1, "a"), 4),
    "value of another kind": (say("value", key="k", clock=1, writer="a", value={"kind": "str", "time": 1.0}), 3),
    "gone that was not asked for": (gone("mine", 1, "me"), 0),
}


def state(one: Participant) -> object:
    replica = one.replica
    return (one.versions, one.shown, replica._clock, repr(replica._peers), replica._budget._weights, replica._deleted)


@pytest.mark.parametrize("name", HARMFUL)
def test_what_must_not_be_is_refused_and_changes_nothing(name: str) -> None:
    header, size = HARMFUL[name]
    one = victim()
    before = state(one)
    with pytest.raises(ValueError, match="."):
        one.replica.check("a", header, size)
    with pytest.raises(ValueError, match="."):
        one.replica.receive("a", header, size, b"x" * size)
    assert state(one) == before


def test_a_stranger_is_refused() -> None:
    one = victim()
    with pytest.raises(ValueError, match="not connected"):
        one.replica.check("b", have([]), 0)
    one.replica.disconnect("a")
    with pytest.raises(ValueError, match="not connected"):
        one.replica.receive("a", have([]), 0, b"")


def test_what_was_asked_for_may_come_once() -> None:
    one = victim()
    assert one.replica.check("a", value("k", 1, "a"), 3)
    one.replica.receive("a", value("k", 1, "a"), 3, b"abc")
    with pytest.raises(ValueError, match="not asked for"):
        one.replica.check("a", value("k", 1, "a"), 3)
    assert one.shown["k"] == (b"abc", "a")


def flood(one: Participant, say: Callable[[int], bytes], count: int) -> int:
    """How many messages are taken before one is refused."""
    for number in range(count):
        try:
            one.replica.receive("a", say(number), 0, b"")
        except ValueError:
            return number
    return count


def test_a_flood_of_values_is_refused() -> None:
    one = Participant("me")
    one.replica.connect("a")
    assert flood(one, lambda number: have([entry(f"k{number}", number, "a", 1)]), 2 * MAX_HAS) == MAX_HAS
    assert len(one.replica._peers["a"].has) == MAX_HAS
    one.replica.disconnect("a")
    assert not one.replica._budget._weights


def test_what_a_peer_announced_took_back_and_never_sent_takes_no_room_once_it_is_gone() -> None:
    one = Participant("me", limit=10)
    one.replica.connect("a")
    one.replica.receive("a", have([entry("k", 5, "a", 10)]), 0, b"")
    assert want_of(one.replica, "a") == "k"
    one.replica.receive("a", have([entry("k", 3, "a")]), 0, b"")
    one.replica.disconnect("a")
    one.write("mine", b"1234567890")


def test_a_flood_of_deleted_keys_takes_no_more_memory_than_there_is_for_them() -> None:
    one = Participant("me")
    one.replica.connect("a")
    one.replica.connect("b")
    assert flood(one, lambda number: have([entry(f"k{number}", number, "a")]), 3 * MAX_KEYS) == 3 * MAX_KEYS
    assert len(one.versions) == MAX_KEYS
    assert len(one.replica._peers["b"].dirty) == MAX_KEYS
    assert one.changes == []


def test_a_flood_of_wants_is_refused() -> None:
    one = Participant("me")
    one.replica.connect("a")
    assert flood(one, lambda number: want(f"k{number}", 1, "a"), 2 * MAX_ASKED) == MAX_ASKED
    answers = [message for _ in range(MAX_ASKED + 2) if (message := one.replica.next_message("a")) is not None]
    assert sum(json.loads(header)["kind"] == "gone" for header, _ in answers) == MAX_ASKED


def test_who_uses_up_the_clock_is_told_of_clearly() -> None:
    one = victim()
    one.replica._clock = MAX_SIZE - MAX_AHEAD
    one.replica.receive("a", have([entry("k", MAX_SIZE, "a", 3)]), 0, b"")
    with pytest.raises(ValueError, match="used up the clock"):
        one.write("mine", b"2")
    assert one.shown == {"mine": (b"1", "me")}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "size", "kind", "key"]), inner),
    max_leaves=5,
)
ENTRY = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["k", "mine", "n"]) | JSON,
        "clock": st.integers(0, 9) | JSON,
        "writer": st.sampled_from("ab") | JSON,
    },
    optional={"time": st.just(1.0) | JSON, "value": st.just(json.loads(BYTES)) | JSON, "size": st.integers(0, 9) | JSON},
)
MESSAGE = st.builds(
    lambda kind, fields, entries: say(kind, **fields, entries=entries),
    st.sampled_from(["have", "want", "value", "gone"]),
    ENTRY,
    st.lists(ENTRY, max_size=3),
)


@settings(max_examples=500, deadline=None)
@given(messages=st.lists(st.tuples(MESSAGE | st.binary(max_size=40), st.sampled_from([0, 0, 1, 3])), max_size=8))
def test_whatever_comes_is_taken_or_refused_and_never_breaks_a_replica(messages: list[tuple[bytes, int]]) -> None:
    room = Room("me", "z")
    one = room["me"]
    one.write("mine", b"1")
    one.replica.connect("a")
    for header, size in messages:
        before = state(one)
        try:
            one.replica.receive("a", header, size, b"x" * size)
        except ValueError:
            assert state(one) == before
        one.replica.next_message("a")
    one.replica.disconnect("a")
    room.flow()
    assert one.shown == one.entries == room["z"].shown
    assert data_of(next(one.replica.entries()).body) if one.shown else True
