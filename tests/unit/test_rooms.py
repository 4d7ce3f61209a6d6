"""The room state machine: each rule by itself, and all of them in random order against a model (test process)."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import msgspec
import pytest

from forge_rtc_nb import protocol
from forge_rtc_nb.actions import Close, Send
from forge_rtc_nb.errors import (
    InvalidMessage,
    InvalidRoomId,
    NotInRoom,
    PeerNotFound,
    RoomExists,
    RoomFull,
    RoomNotFound,
    Unauthorized,
)
from forge_rtc_nb.protocol import (
    Error,
    Hello,
    Joined,
    Left,
    Message,
    Negotiate,
    Offer,
    Participant,
    SessionDescription,
    Stream,
    Subscribe,
    Updated,
)
from forge_rtc_nb.records import Entry
from forge_rtc_nb.rooms import Admission, RoomLimits, Rooms

CAMERA = Stream(id="camera-1", name="Camera", kind="video", source="camera")


class World:
    """Rooms with a clock that only moves when told, and everything that was sent, by connection."""

    def __init__(self, **limits: Any) -> None:
        self.now = 100.0
        self.rooms = Rooms(RoomLimits(**limits), clock=lambda: self.now, wall=lambda: 1e9 + self.now)
        self.sent: dict[int, list[Message]] = {}
        self.closed: dict[int, int] = {}

    def join(self, number: int, room: str = "r", **entry: Any) -> Admission:
        defaults = {"participant_id": f"p{number}", "kind": "browser", "user": f"u{number}", "name": f"n{number}"}
        admission = self.rooms.join(room, Entry(**{**defaults, "may_create": True, **entry}), number)
        self.sent[number] = []
        self.act(admission.actions)
        return admission

    def act(self, actions: Any) -> None:
        for action in actions:
            if isinstance(action, Close):
                self.closed[action.connection] = action.code
                continue
            assert isinstance(action, Send)
            for connection in action.to:
                self.sent[connection].append(action.message)

    def receive(self, number: int, message: Message) -> None:
        self.act(self.rooms.receive(number, message))

    def drop(self, number: int, *, left: bool = False) -> None:
        self.act(self.rooms.disconnect(number, left=left))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.act(self.rooms.expire())

    def peers(self, room: str = "r") -> list[Participant]:
        return self.rooms.get(room).peers


def test_who_joins_hears_of_those_there_and_they_of_it() -> None:
    world = World()
    assert world.join(1).others == []
    admission = world.join(2, name="n1")
    assert [peer.id for peer in admission.others] == ["p1"]
    assert world.sent == {1: [Joined(participant=admission.participant)], 2: []}
    assert admission.participant.name == "n1 (2)"
    assert world.join(3, name="n1").participant.name == "n1 (3)"


def test_a_long_name_stays_within_its_limit_when_it_is_numbered() -> None:
    world = World()
    world.join(1, name="x" * 64)
    name = world.join(2, name="x" * 64).participant.name
    assert len(name) == 64
    assert name.endswith("x (2)")


def test_a_routed_message_reaches_its_target_only_and_names_its_sender() -> None:
    world = World()
    for number in (1, 2, 3):
        world.join(number)
    world.sent = {1: [], 2: [], 3: []}
    world.receive(1, Subscribe(to="p2", stream="camera-1", from_="p3"))
    assert world.sent == {1: [], 2: [Subscribe(to="p2", stream="camera-1", from_="p1")], 3: []}


@pytest.mark.parametrize("target", ["p1", "p3", "nobody"])
def test_a_message_to_nobody_here_is_an_error(target: str) -> None:
    world = World()
    world.join(1)
    world.join(2)
    world.join(3, room="elsewhere")
    with pytest.raises(PeerNotFound):
        world.receive(1, Negotiate(to=target))
    assert world.sent[2] == world.sent[3] == []


def test_stream_names_are_cleaned_wherever_they_pass() -> None:
    world = World()
    world.join(1)
    world.join(2)
    nasty = Stream(id="s", name="\u202e\x00evil", kind="video", source="screen", mid="0")
    world.receive(1, Updated(streams=[nasty]))
    world.receive(1, Offer(to="p2", sdp=SessionDescription(type="offer", sdp="v=0"), streams=[nasty]))
    told, offer = world.sent[2][-2:]
    assert isinstance(told, Updated)
    assert told.participant is not None
    assert (told.participant.streams[0].name, told.participant.streams[0].mid) == ("evil", None)
    assert isinstance(offer, Offer)
    assert (offer.streams[0].name, offer.streams[0].mid) == ("evil", "0")


def test_a_stream_is_stamped_when_it_is_first_heard_of() -> None:
    world = World()
    world.join(1)
    world.receive(1, Updated(streams=[CAMERA]))
    first = world.peers()[0].streams[0].started
    assert first == 1e9 + world.now
    world.wait(5)
    other = msgspec.structs.replace(CAMERA, id="camera-2")
    world.receive(1, Updated(streams=[msgspec.structs.replace(CAMERA, muted=True, started=7.0), other]))
    assert [stream.started for stream in world.peers()[0].streams] == [first, 1e9 + world.now]


def test_an_update_that_changes_nothing_is_told_to_nobody() -> None:
    world = World()
    world.join(1, streams=(CAMERA,), owners=("k",))
    world.join(2)
    world.receive(1, Updated(streams=[CAMERA], owners=["k"]))
    world.receive(1, Updated())
    assert world.sent[2] == []


def test_two_streams_of_one_id_are_refused() -> None:
    world = World()
    world.join(1)
    with pytest.raises(InvalidMessage):
        world.receive(1, Updated(streams=[CAMERA, CAMERA]))
    with pytest.raises(InvalidMessage):
        world.join(2, streams=(CAMERA, CAMERA))
    assert [peer.id for peer in world.peers()] == ["p1"]


def test_a_second_hello_is_refused() -> None:
    world = World()
    world.join(1)
    with pytest.raises(InvalidMessage, match="only once"):
        world.receive(1, Hello(version=1, kind="browser"))


def test_an_unknown_connection_is_in_no_room() -> None:
    with pytest.raises(NotInRoom):
        World().receive(1, Updated())


def test_leaving_is_told_at_once() -> None:
    world = World()
    world.join(1)
    world.join(2)
    world.drop(1, left=True)
    assert world.sent[2] == [Left(participant_id="p1", reason="left")]
    world.drop(1)
    assert len(world.sent[2]) == 1


def test_a_broken_connection_is_resumed_and_what_came_meanwhile_is_delivered() -> None:
    world = World()
    before = world.join(1, streams=(CAMERA,)).participant
    world.join(2)
    world.drop(1)
    assert world.peers()[0].state == "reconnecting"
    world.receive(2, Negotiate(to="p1", epoch=1))
    world.receive(2, Negotiate(to="p1", epoch=2))
    world.wait(29)
    admission = world.join(11, participant_id="p1", user="u1", streams=(CAMERA,))
    assert admission.resumed
    assert admission.participant == before
    assert [message.epoch for message in world.sent[11]] == [1, 2]
    assert [type(message) for message in world.sent[2]] == [Updated, Updated]
    world.wait(60)
    assert [peer.id for peer in world.peers()] == ["p1", "p2"]


def test_a_broken_connection_that_stays_away_is_told_as_expired() -> None:
    world = World()
    world.join(1)
    world.join(2)
    world.drop(1)
    world.wait(29.9)
    assert len(world.peers()) == 2
    world.wait(0.2)
    assert world.sent[2][-1] == Left(participant_id="p1", reason="expired")
    assert not world.join(11, participant_id="p1", user="u1").resumed


def test_without_resume_a_broken_connection_has_left() -> None:
    world = World(resume_seconds=0)
    world.join(1)
    world.join(2)
    world.drop(1)
    assert world.sent[2] == [Left(participant_id="p1", reason="expired")]


def test_a_resume_replaces_a_connection_that_is_still_open_and_nobody_hears_of_it() -> None:
    world = World()
    world.join(1)
    world.join(2)
    assert world.join(11, participant_id="p1", user="u1").resumed
    assert world.closed == {1: protocol.CLOSE_REPLACED}
    assert world.sent[2] == []
    world.drop(1)
    assert world.sent[2] == []
    world.receive(2, Negotiate(to="p1"))
    assert len(world.sent[11]) == 1


def test_a_participant_id_of_somebody_else_is_refused() -> None:
    world = World()
    world.join(1)
    for other in ({"user": "eve"}, {"user": "u1", "kind": "kernel"}):
        with pytest.raises(Unauthorized):
            world.join(11, participant_id="p1", **other)


def test_of_what_a_connection_has_no_room_for_the_sender_hears() -> None:
    world = World()
    for number in (1, 2, 3):
        world.join(number)
    message = Subscribe(to="p1", from_="p2", stream="s", id="m")
    before = len(world.sent[1])
    world.act(world.rooms.refuse(1, message))
    refusal = world.sent[2][-1]
    assert isinstance(refusal, Error)
    assert (refusal.code, refusal.reply_to) == ("slow-reader", "m")
    assert (len(world.sent[1]), world.sent[3]) == (before, [])
    world.drop(2, left=True)
    assert world.rooms.refuse(1, message) == world.rooms.refuse(99, message) == []


def test_a_message_that_its_sender_makes_too_long_is_refused() -> None:
    world = World()
    world.join(1, participant_id="p" * 64)
    world.join(2)
    frame = '{"type":"webrtc.offer","to":"p2","sdp":{"type":"offer","sdp":"v=0%s"}}'
    fitting = protocol.decode_client(frame % ("x" * (protocol.MAX_MESSAGE - len(frame) + 2)))
    with pytest.raises(InvalidMessage):
        world.receive(1, fitting)


def test_room_ids_are_checked() -> None:
    world = World()
    for attempt in (lambda: world.join(1, room="a b"), lambda: world.rooms.create("")):
        with pytest.raises(InvalidRoomId):
            attempt()


def test_who_may_not_create_finds_no_room() -> None:
    world = World()
    with pytest.raises(RoomNotFound):
        world.join(1, may_create=False)
    world.rooms.create("r")
    world.join(1, may_create=False)
    with pytest.raises(RoomNotFound):
        world.rooms.get("other")


def test_limits_of_rooms_participants_and_users() -> None:
    world = World(rooms=2, participants=2, per_user=2)
    world.rooms.create("small", max_participants=1)
    world.join(1, user="ann")
    with pytest.raises(RoomFull, match="max_rooms"):
        world.join(2, room="third")
    world.join(2, user="ann")
    with pytest.raises(RoomFull, match="max_connections_per_user"):
        world.join(3, room="small", user="ann")
    with pytest.raises(RoomFull, match="2 participants"):
        world.join(3, user="bob")
    world.join(4, room="small", user="bob")
    with pytest.raises(RoomFull, match="1 participants"):
        world.join(5, room="small", user="eve")
    world.drop(1, left=True)
    world.join(6, user="ann")


def test_whoever_joins_meanwhile_a_reconnecting_participant_keeps_its_seat() -> None:
    world = World(per_user=2)
    world.join(1, user="ann")
    world.join(2, user="ann")
    for number in range(10, 40):
        if number % 2:
            world.drop(number - 1)
        elif number == 10:
            world.drop(1)
        with contextlib.suppress(RoomFull):
            world.join(number, room=f"r{number % 3}", user="ann")
    world.wait(29)
    assert world.join(99, participant_id="p1", user="ann").resumed
    assert world.rooms.participants == 4


def test_reconnecting_participants_keep_nobody_out_up_to_as_many_again() -> None:
    world = World(per_user=2)
    for number in (1, 2, 3, 4):
        world.join(number, user="ann")
        world.drop(number)
    with pytest.raises(RoomFull, match="max_connections_per_user"):
        world.join(5, user="ann")
    world.wait(31)
    world.join(5, user="ann")
    world.join(6, user="ann")
    with pytest.raises(RoomFull, match="max_connections_per_user"):
        world.join(7, user="ann")


def test_a_refused_join_leaves_no_room_behind() -> None:
    world = World(per_user=1)
    world.join(1, user="ann")
    with pytest.raises(RoomFull):
        world.join(2, room="other", user="ann")
    assert [room.id for room in world.rooms.all()] == ["r"]


def test_an_empty_room_ends_after_its_time() -> None:
    world = World()
    world.rooms.create("new")
    world.rooms.create("kept", lifetime=math.inf)
    world.rooms.create("brief", lifetime=1)
    world.join(1)
    world.wait(2)
    assert [room.id for room in world.rooms.all()] == ["new", "kept", "r"]
    world.wait(59)
    world.drop(1, left=True)
    assert [room.id for room in world.rooms.all()] == ["kept", "r"]
    world.wait(59)
    assert len(world.rooms.all()) == 2
    world.wait(1.1)
    assert [room.id for room in world.rooms.all()] == ["kept"]
    assert world.rooms.next_deadline() is None


def test_a_deleted_room_closes_everybody() -> None:
    world = World()
    for number in (1, 2, 3):
        world.join(number)
    world.drop(3)
    world.act(world.rooms.delete("r"))
    assert world.closed == {1: protocol.CLOSE_ROOM_DELETED, 2: protocol.CLOSE_ROOM_DELETED}
    assert world.rooms.participants == 0
    world.drop(1)
    with pytest.raises(RoomNotFound):
        world.rooms.delete("r")
    assert not world.join(13, participant_id="p3", user="u3").resumed


def test_a_room_exists_once() -> None:
    world = World()
    room = world.rooms.create("r")
    with pytest.raises(RoomExists):
        world.rooms.create("r")
    assert repr(room) == "<Room 'r': 0 participants>"
