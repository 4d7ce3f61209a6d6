"""As many keys and bytes as the shared mapping may have, and more (test process)."""

from __future__ import annotations

from itertools import permutations

import pytest

from forge_rtc_nb.arrays import InvalidValue, MessageTooLarge
from forge_rtc_nb.engine.data import replica as module
from forge_rtc_nb.engine.data.replica import Replica
from forge_rtc_nb.engine.data.replica_peer import MAX_ASKED
from forge_rtc_nb.engine.data.replica_wire import MAX_KEYS
from forge_rtc_nb.frames import MAX_HEADER
from tests.unit.replicas import BYTES, Participant, Room, entry, gone, have, kinds, value, want_of

# ---- keys ----


def test_a_full_mapping_is_told_in_headers_of_the_size_that_may_be() -> None:
    room = Room("a", "b")
    key = "\x01" * 250
    for number in range(MAX_KEYS):
        room["a"].write(f"{key}{number}")
    room.flow()
    assert len(room["b"].shown) == MAX_KEYS
    room.join("c")
    room.link("b", "c")
    while room.send("b", "c"):
        assert len(room.links["b", "c"][-1][0]) <= MAX_HEADER
    room.flow()
    assert room["c"].shown == room["a"].shown


def test_the_work_is_shared_by_those_who_have_the_values() -> None:
    room = Room("a", "b")
    for number in range(3 * MAX_ASKED):
        room["a"].write(f"k{number}", b"1")
    room.flow()
    room.join("c")
    room.heal()
    for other in "ab":
        kinds(room, other, "c")
    assert [kinds(room, "c", other).count("want") for other in "ab"] == [MAX_ASKED, MAX_ASKED]


def test_there_is_one_key_too_many() -> None:
    one = Participant("a")
    for number in range(MAX_KEYS):
        one.write(f"k{number}")
    with pytest.raises(ValueError, match="delete one first"):
        one.write("more")
    one.write("k0", b"again")
    one.replica.delete("k1", 1.0)
    one.write("more")
    assert len(one.shown) == MAX_KEYS


def test_keys_beyond_those_that_there_can_be_are_left_out_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    room = Room("a", "b")
    for name in "ab":
        for key in "kl":
            room[name].write(f"{key} of {name}", b"1")
    room.flow()
    assert [len(room[name].shown) for name in "ab"] == [2, 2]
    assert room["a"].replica.left_out == {"k of b", "l of b"}
    room["a"].replica.delete("k of a", 1.0)
    room.flow()
    assert room["a"].replica.left_out < {"k of b", "l of b"}
    assert len(room["a"].shown) == 2


def test_deleted_keys_are_forgotten_the_oldest_first() -> None:
    room = Room("a", "b")
    for number in range(MAX_KEYS + 10):
        room["a"].write(f"k{number}")
        room["a"].replica.delete(f"k{number}", 1.0)
    assert list(room["a"].versions) == [f"k{number}" for number in range(10, MAX_KEYS + 10)]
    room.flow()
    assert room["b"].versions.keys() == room["a"].versions.keys()


def test_a_key_that_is_deleted_again_and_again_drives_no_other_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    one = Participant("a")
    for key in "kllll":
        one.write(key)
        one.replica.delete(key, 1.0)
    assert list(one.versions) == ["k", "l"]
    one.write("l")
    assert list(one.versions) == ["k", "l"]


def test_those_who_forget_deleted_keys_do_not_tell_each_other_of_them_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    room = Room("a", "b", "c")
    for pair in permutations("abc", 2):
        room.cut(*pair)
    for name in "abc":
        for number in range(2):
            room[name].write(f"{name}{number}")
            room[name].replica.delete(f"{name}{number}", 1.0)
    room.heal()
    room.flow()
    assert room["a"].versions == room["b"].versions == room["c"].versions
    assert sorted(room["a"].versions) == ["b1", "c1"]


# ---- bytes ----


def test_values_over_the_limit_are_refused_to_their_writer() -> None:
    one = Participant("a", limit=10)
    one.write("k", b"123456")
    with pytest.raises(MessageTooLarge, match="10 bytes together"):
        one.write("l", b"12345")
    with pytest.raises(MessageTooLarge):
        one.write("l", b"12345678901")
    one.write("l", b"1234")
    one.write("k", b"654321")
    assert one.shown == {"k": (b"654321", "a"), "l": (b"1234", "a")}


def test_what_would_exceed_the_limit_is_not_fetched_until_there_is_room() -> None:
    room = Room("a", "b", limit=10)
    room["a"].write("k", b"123456")
    room["b"].write("l", b"123456")
    room.flow()
    assert room["a"].shown == {"k": (b"123456", "a")}
    assert room["a"].replica.left_out == {"l"}
    assert room["a"].replica.synced(["b"])
    room["a"].write("k", b"1234")
    room.flow()
    assert room["a"].shown == room["b"].shown == {"k": (b"1234", "a"), "l": (b"123456", "b")}
    assert room["a"].replica.left_out == frozenset()


def test_a_value_may_take_the_place_of_one_as_large() -> None:
    room = Room("a", "b", limit=10)
    room["a"].write("k", b"1234567890")
    room.flow()
    room["b"].write("k", b"0987654321")
    room.flow()
    assert room["a"].shown == room["b"].shown == {"k": (b"0987654321", "b")}


def test_the_room_for_what_was_asked_for_is_not_given_away() -> None:
    replica = Replica("me", 10, lambda change: None)
    replica.connect("a")
    replica.receive("a", have([entry("k", 1, "a", 6), entry("l", 2, "a", 6)]), 0, b"")
    assert want_of(replica, "a") == "k"
    assert want_of(replica, "a") is None
    assert replica.left_out == {"l"}
    with pytest.raises(MessageTooLarge):
        replica.write("m", BYTES, 5, b"12345", 1.0)
    replica.receive("a", gone("k", 1, "a"), 0, b"")
    assert want_of(replica, "a") == "l"


def test_what_is_not_needed_any_more_takes_no_room() -> None:
    replica = Replica("me", 10, lambda change: None)
    for peer in "ab":
        replica.connect(peer)
    replica.receive("a", have([entry("k", 1, "a", 6)]), 0, b"")
    assert want_of(replica, "a") == "k"
    replica.receive("b", have([entry("k", 2, "b")]), 0, b"")
    replica.write("m", BYTES, 10, b"1234567890", 1.0)


def test_a_value_that_grew_out_of_the_room_there_is_needs_no_memory() -> None:
    replica = Replica("me", 10, lambda change: None)
    replica.write("m", BYTES, 5, b"12345", 1.0)
    replica.connect("a")
    replica.receive("a", have([entry("k", 1, "a", 1)]), 0, b"")
    assert want_of(replica, "a") == "k"
    replica.receive("a", have([entry("k", 2, "a", 6)]), 0, b"")
    assert not replica.check("a", value("k", 2, "a"), 6)
    replica.receive("a", value("k", 2, "a"), 6, b"")
    assert want_of(replica, "a") is None
    assert replica.left_out == {"k"}
    assert [change.key for change in replica.entries()] == ["m"]
    replica.write("m", BYTES, 10, b"1234567890", 1.0)


@pytest.mark.parametrize("key", ["", "k" * 257, "\ud800"])
def test_a_key_that_cannot_be_is_refused(key: str) -> None:
    one = Participant("a")
    with pytest.raises(ValueError, match="key"):
        one.write(key)
    assert not one.replica.holds


def test_a_header_that_does_not_fit_its_body_is_refused_to_its_writer() -> None:
    one = Participant("a")
    with pytest.raises(InvalidValue):
        one.replica.write("k", b'{"kind":"array","dtype":"|u1","shape":[2],"time":1}', 3, b"123", 1.0)
    with pytest.raises(InvalidValue):
        one.replica.write("k", b'{"kind":"pickle","time":1}', 3, b"123", 1.0)
    assert not one.replica.holds


def test_the_longest_key_of_the_longest_characters_can_be_written() -> None:
    room = Room("a", "b")
    room["a"].write("\U0001f600" * 256, b"1")
    room.flow()
    assert room["b"].shown == {"\U0001f600" * 256: (b"1", "a")}
