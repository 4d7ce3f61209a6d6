"""The rules of the shared mapping one by one; values that outlive their writers (test process)."""

from __future__ import annotations

import json

import pytest

from forge_rtc_nb.engine.data.replica import Replica
from tests.unit.replicas import BYTES, Participant, Room, entry, gone, have, kinds, value, want, want_of

# ---- what is shown ----


def test_what_one_writes_all_see_and_those_who_come_later_too() -> None:
    room = Room("a", "b", "c")
    room["a"].write("k", b"1")
    room.flow()
    room.join("d")
    room.heal()
    room.flow()
    assert all(participant.shown == {"k": (b"1", "a")} for participant in room.participants.values())
    change = room["d"].changes[0]
    assert (change.key, change.header, change.size, change.writer, change.time) == ("k", BYTES, 1, "a", 1.0)


def test_what_is_written_here_is_a_change_too() -> None:
    one = Participant("a")
    one.write("k", b"1")
    one.write("k", b"2")
    one.replica.delete("k", 2.0)
    assert [(change.header, change.body, change.time) for change in one.changes] == [
        (BYTES, b"1", 1.0),
        (BYTES, b"2", 1.0),
        (None, b"", 2.0),
    ]
    assert list(one.replica.entries()) == []


def test_a_body_is_kept_and_sent_as_it_is() -> None:
    body = memoryview(bytearray(b"abc"))
    one = Participant("a")
    one.replica.connect("b")
    one.replica.write("k", BYTES, 3, body, 1.0)
    one.replica.receive("b", want("k", 1, "a"), 0, b"")
    sent = [message for _ in range(3) if (message := one.replica.next_message("b")) is not None]
    assert any(message[1] is body for message in sent)
    assert next(one.replica.entries()).body is body


def test_of_two_that_write_at_once_the_higher_id_wins() -> None:
    room = Room("a", "b", "c")
    room["b"].write("k", b"of b")
    room["a"].write("k", b"of a")
    room.flow()
    assert all(participant.shown == {"k": (b"of b", "b")} for participant in room.participants.values())


def test_who_has_seen_a_value_writes_a_newer_one() -> None:
    room = Room("a", "b")
    room["b"].write("k", b"of b")
    room.flow()
    room["a"].write("k", b"of a")
    room.flow()
    assert room["b"].shown == {"k": (b"of a", "a")}


def test_who_has_only_heard_of_a_value_writes_a_newer_one() -> None:
    room = Room("a", "b")
    room["b"].write("k", b"of b")
    assert kinds(room, "b", "a") == ["have"]
    assert room["a"].shown == {}
    room["a"].write("k", b"of a")
    room.flow()
    assert room["a"].shown == room["b"].shown == {"k": (b"of a", "a")}


def test_a_deleted_key_is_deleted_everywhere_and_stays_so_for_those_who_missed_it() -> None:
    room = Room("a", "b", "c")
    room["a"].write("k", b"1")
    room.flow()
    room.cut("a", "c")
    room.cut("b", "c")
    room["b"].replica.delete("k", 2.0)
    room.flow()
    assert room["a"].shown == {}
    assert room["c"].shown == {"k": (b"1", "a")}
    room.heal()
    room.flow()
    assert room["c"].shown == {}
    assert [change.header for change in room["c"].changes] == [BYTES, None]


def test_a_key_that_is_not_there_cannot_be_deleted() -> None:
    one = Participant("a")
    with pytest.raises(KeyError):
        one.replica.delete("k", 1.0)
    one.write("k")
    one.replica.delete("k", 1.0)
    with pytest.raises(KeyError):
        one.replica.delete("k", 1.0)


def test_a_participant_holds_something_as_soon_as_it_has_written_or_deleted() -> None:
    one = Participant("a")
    assert not one.replica.holds
    one.write("k")
    assert one.replica.holds
    one.replica.delete("k", 1.0)
    assert one.replica.holds


# ---- who tells whom ----


def test_values_outlive_the_leaving_of_their_writer() -> None:
    room = Room("a", "b")
    room["a"].write("k", b"1")
    room.flow()
    room.leave("a")
    room.join("c")
    room.heal()
    room.flow()
    assert room["c"].shown == {"k": (b"1", "a")}


def test_a_value_that_nobody_has_any_more_is_given_up_and_the_older_one_stays() -> None:
    room = Room("a", "b", "c")
    room["a"].write("k", b"old")
    room.flow()
    room["a"].write("k", b"new")
    assert kinds(room, "a", "b") == ["have"]
    room.leave("a")
    room.flow()
    assert room["b"].shown == room["c"].shown == {"k": (b"old", "a")}
    room["b"].write("k", b"newer")
    room.flow()
    assert room["c"].shown == {"k": (b"newer", "b")}


def test_what_was_asked_of_one_that_leaves_is_asked_of_another() -> None:
    room = Room("a", "b")
    room["a"].write("k", b"1")
    room.flow()
    room.join("c")
    room.heal()
    assert kinds(room, "a", "c") == ["have"]
    assert kinds(room, "b", "c") == ["have"]
    assert "want" in kinds(room, "c", "a")
    assert "want" not in kinds(room, "c", "b")
    room.cut("a", "c")
    assert kinds(room, "c", "b") == ["want"]
    room.flow()
    assert room["c"].shown == {"k": (b"1", "a")}


def test_what_one_has_not_got_any_more_is_asked_of_another() -> None:
    replica = Replica("me", 100, lambda change: None)
    for peer in "ab":
        replica.connect(peer)
        replica.receive(peer, have([entry("k", 1, "w", 1)]), 0, b"")
    assert want_of(replica, "a") == "k"
    assert want_of(replica, "b") is None
    replica.receive("a", gone("k", 1, "w"), 0, b"")
    assert want_of(replica, "a") is None
    assert want_of(replica, "b") == "k"
    replica.receive("b", gone("k", 1, "w"), 0, b"")
    assert want_of(replica, "a") is want_of(replica, "b") is None


def test_a_new_data_channel_ends_what_was_asked_on_the_old_one() -> None:
    replica = Replica("me", 100, lambda change: None)
    for peer in "ab":
        replica.connect(peer)
        replica.receive(peer, have([entry("k", 1, "w", 1)]), 0, b"")
    assert want_of(replica, "a") == "k"
    replica.connect("a")
    assert want_of(replica, "b") == "k"
    replica.connect("b")
    replica.write("l", BYTES, 100, b"." * 100, 1.0)


def test_the_newest_is_asked_of_the_one_that_has_it() -> None:
    replica = Replica("me", 100, lambda change: None)
    for number, peer in enumerate("ab"):
        replica.connect(peer)
        replica.receive(peer, have([entry("k", number, "w", 1)]), 0, b"")
    assert want_of(replica, "a") is None
    assert want_of(replica, "b") == "k"
    replica.disconnect("b")
    assert want_of(replica, "a") == "k"


def test_a_newer_value_that_is_known_is_fetched_after_the_older_one_came() -> None:
    one = Participant("me")
    for number, peer in enumerate("ab"):
        one.replica.connect(peer)
        one.replica.receive(peer, have([entry("k", number, "w", 1)]), 0, b"")
        if peer == "a":
            assert want_of(one.replica, "a") == "k"
    one.replica.receive("a", value("k", 0, "w"), 1, b"0")
    assert one.shown == {"k": (b"0", "w")}
    assert want_of(one.replica, "b") == "k"


def test_what_a_peer_takes_back_is_not_asked_of_it() -> None:
    replica = Replica("me", 100, lambda change: None)
    replica.connect("a")
    replica.receive("a", have([entry("k", 5, "w", 1), entry("k", 3, "w")]), 0, b"")
    assert want_of(replica, "a") is None


def test_a_value_is_fetched_once_from_one_of_those_who_have_it() -> None:
    room = Room("a", "b", "c")
    room["a"].write("k", b"1")
    room.flow()
    room.join("d")
    for other in "abc":
        room.link("d", other)
    for other in "abc":
        kinds(room, other, "d")
    asked = [kind for other in "abc" for kind in kinds(room, "d", other) if kind == "want"]
    assert asked == ["want"]


def test_nobody_is_told_what_it_has_told() -> None:
    room = Room("a", "b")
    room.flow()
    room["a"].write("k", b"1")
    assert kinds(room, "a", "b") == ["have"]
    assert kinds(room, "b", "a") == ["want"]
    assert kinds(room, "a", "b") == ["value"]
    assert kinds(room, "b", "a") == []
    room["b"].replica.delete("k", 1.0)
    assert kinds(room, "b", "a") == ["have"]
    assert kinds(room, "a", "b") == []


def test_what_changes_while_nothing_can_be_sent_is_told_once_as_it_is_then() -> None:
    room = Room("a", "b")
    room.flow()
    for number in range(100):
        room["a"].write("k", str(number).encode())
    assert kinds(room, "a", "b") == ["have"]
    room.flow()
    assert [change.body for change in room["b"].changes] == [b"99"]


def test_one_who_writes_all_the_time_is_seen_all_the_same() -> None:
    room = Room("a", "b")
    for number in range(60):
        room["a"].write("k", b"." * number)
        room.send("a", "b")
        room.send("b", "a")
        room.deliver("a", "b")
        room.deliver("b", "a")
    assert len(room["b"].changes) >= 15


def test_a_newer_value_takes_the_place_of_the_one_that_was_asked_for() -> None:
    room = Room("a", "b")
    room.flow()
    room["a"].write("k", b"old")
    assert kinds(room, "a", "b") == ["have"]
    assert kinds(room, "b", "a") == ["want"]
    room["a"].write("k", b"new")
    assert kinds(room, "a", "b") == ["have", "value"]
    assert [change.body for change in room["b"].changes] == [b"new"]


def test_a_value_that_is_older_than_what_came_meanwhile_is_dropped() -> None:
    one = Participant("me")
    one.replica.connect("a")
    one.replica.receive("a", have([entry("k", 1, "a", 3)]), 0, b"")
    assert want_of(one.replica, "a") == "k"
    assert one.replica.check("a", value("k", 1, "a"), 3)
    one.write("k", b"newer")
    assert not one.replica.check("a", value("k", 1, "a"), 3)
    one.replica.receive("a", value("k", 1, "a"), 3, b"abc")
    assert one.shown == {"k": (b"newer", "me")}
    assert len(one.changes) == 1


def test_a_new_data_channel_begins_anew() -> None:
    room = Room("a", "b")
    room["a"].write("k", b"1")
    room.send("a", "b")
    room.link("a", "b")
    kinds(room, "a", "b")
    room.send("b", "a")
    room.send("b", "a")
    room.link("a", "b")
    room.flow()
    assert room["b"].shown == {"k": (b"1", "a")}


def test_there_is_nothing_to_send_to_one_who_is_not_connected() -> None:
    one = Participant("a")
    one.write("k")
    assert one.replica.next_message("b") is None
    one.replica.disconnect("b")


# ---- the first list ----


def test_a_replica_is_in_step_when_all_that_was_there_is_here() -> None:
    room = Room("a")
    room["a"].write("k", b"1")
    room.join("b")
    assert not room["b"].replica.synced(["a"])
    room.heal()
    assert not room["b"].replica.synced(["a"])
    assert kinds(room, "a", "b") == ["have"]
    assert not room["b"].replica.synced(["a"])
    kinds(room, "b", "a")
    kinds(room, "a", "b")
    assert room["b"].replica.synced(["a"])
    assert not room["b"].replica.synced(["a", "c"])
    room["a"].write("k", b"2")
    kinds(room, "a", "b")
    assert room["b"].replica.synced(["a"])


def test_an_empty_mapping_is_told_of_too() -> None:
    room = Room("a", "b")
    header, _ = room["a"].replica.next_message("b") or (b"{}", b"")
    assert json.loads(header) == {"kind": "have", "entries": [], "last": True}
    room["b"].replica.receive("a", header, 0, b"")
    assert room["b"].replica.synced(["a"])


def test_a_long_list_ends_with_its_last_part() -> None:
    room = Room("a")
    for number in range(1000):
        room["a"].write(f"k{number}")
    room.join("b")
    room.heal()
    parts = []
    while room.send("a", "b"):
        parts.append(json.loads(room.links["a", "b"][-1][0]))
        assert not room["b"].replica.synced(["a"])
        room.deliver("a", "b")
    assert len(parts) > 3
    assert [part.get("last", False) for part in parts] == [False] * (len(parts) - 1) + [True]
    assert sum(len(part["entries"]) for part in parts) == 1000


def test_a_replica_is_in_step_when_what_is_not_here_cannot_be_had() -> None:
    replica = Replica("me", 10, lambda change: None)
    replica.connect("a")
    replica.receive("a", have([entry("k", 1, "a", 1)], last=True), 0, b"")
    assert want_of(replica, "a") == "k"
    assert not replica.synced(["a"])
    replica.receive("a", gone("k", 1, "a"), 0, b"")
    assert replica.synced(["a"])
