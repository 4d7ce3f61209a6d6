"""The room state machine in random order, against clients that believe what they are told (test process)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from forge_rtc_nb.actions import Close
from forge_rtc_nb.errors import ChannelOptions, PeerNotFound, RoomFull, RoomNotFound, RTCError
from forge_rtc_nb.protocol import Channel, Error, Joined, Left, Message, Negotiate, Participant, Updated
from forge_rtc_nb.records import Entry
from tests.unit.test_rooms import CAMERA, World

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
CHANNELS = st.lists(
    st.builds(Channel, name=st.sampled_from("ab"), ordered=st.booleans(), maxsize=st.sampled_from([1, 64])),
    unique_by=lambda channel: channel.name,
)


def conflicts(channel: Channel, others: Iterable[Participant]) -> bool:
    """Whether anybody has a channel of that name with other options."""
    return any(other.name == channel.name and other != channel for peer in others for other in peer.channels)


class RandomRooms(RuleBasedStateMachine):
    """Clients that keep their own roster from what they are told; it must always be the server's."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(rooms=3, participants=4, per_user=3, resume_seconds=30, empty_seconds=60, buffer_bytes=1600)
        self.next_connection = 0
        self.rosters: dict[int, dict[str, Participant]] = {}
        self.me: dict[int, tuple[str, str]] = {}
        """connection -> (room, participant)"""
        self.users: dict[str, str] = {}

    def carry_out(self, actions: list[Any]) -> None:
        for action in actions:
            if isinstance(action, Close):
                del self.rosters[action.connection], self.me[action.connection]
                continue
            for connection in action.to:
                self.hear(connection, action.message)

    def hear(self, connection: int, message: Message) -> None:
        roster = self.rosters[connection]
        if isinstance(message, Joined):
            assert message.participant.id not in roster
            roster[message.participant.id] = message.participant
        elif isinstance(message, Left):
            del roster[message.participant_id]
        elif isinstance(message, Updated):
            assert message.participant is not None
            assert message.participant.id in roster
            roster[message.participant.id] = message.participant
        elif not isinstance(message, Error):
            assert message.routed
            assert message.to == self.me[connection][1]
            assert message.from_ in roster

    @rule(
        room=st.sampled_from("abcd"),
        user=st.sampled_from("xyz"),
        name=st.sampled_from(["n", "n (2)", "m" * 64]),
        channels=CHANNELS,
    )
    def join(self, room: str, user: str, name: str, channels: list[Channel]) -> None:
        self.enter(room, f"{self.next_connection:016x}", user, name, channels)

    @precondition(lambda self: self.users)
    @rule(data=st.data(), room=st.sampled_from("abcd"), channels=CHANNELS)
    def come_back(self, data: st.DataObject, room: str, channels: list[Channel]) -> None:
        participant = data.draw(st.sampled_from(sorted(self.users)))
        if any(participant == mine and room != where for where, mine in self.me.values()):
            return  # a token is bound to its room
        if any(peer.id == participant and other.id != room for other in self.world.rooms.all() for peer in other.peers):
            return
        self.enter(room, participant, self.users[participant], "n", channels)

    def enter(self, room: str, participant: str, user: str, name: str, channels: list[Channel]) -> None:
        connection = self.next_connection = self.next_connection + 1
        known = participant in {peer.id for other in self.world.rooms.all() for peer in other.peers}
        entry = Entry(participant, "browser", user, name, streams=(CAMERA,), channels=tuple(channels), may_create=True)
        try:
            admission = self.world.rooms.join(room, entry, connection)
        except RoomFull:
            assert not known  # whoever comes back in time finds its seat
            return
        kept = [channel for channel in channels if not conflicts(channel, admission.others)]
        assert admission.participant.channels == kept
        self.users[participant] = user
        self.me[connection] = (room, participant)
        self.rosters[connection] = {peer.id: peer for peer in admission.others}
        self.carry_out(admission.actions)

    @precondition(lambda self: self.me)
    @rule(data=st.data(), left=st.booleans())
    def disconnect(self, data: st.DataObject, left: bool) -> None:
        connection = data.draw(st.sampled_from(sorted(self.me)))
        del self.me[connection], self.rosters[connection]
        self.carry_out(self.world.rooms.disconnect(connection, left=left))

    @precondition(lambda self: self.me)
    @rule(data=st.data(), padding=st.sampled_from(["", "x" * 200]))
    def send(self, data: st.DataObject, padding: str) -> None:
        connection = data.draw(st.sampled_from(sorted(self.me)))
        target = data.draw(st.sampled_from(sorted(self.users)))
        message = Negotiate(to=target, id=padding or None)
        try:
            self.carry_out(self.world.rooms.receive(connection, message))
        except PeerNotFound:
            assert target not in self.rosters[connection]
        else:
            assert target in self.rosters[connection]

    @precondition(lambda self: self.me)
    @rule(
        data=st.data(),
        streams=st.none() | st.lists(st.sampled_from("abc"), unique=True),
        channels=st.none() | CHANNELS,
        shared=st.none() | st.booleans(),
    )
    def update(
        self, data: st.DataObject, streams: list[str] | None, channels: list[Channel] | None, shared: bool | None
    ) -> None:
        connection = data.draw(st.sampled_from(sorted(self.me)))
        room, participant = self.me[connection]
        listed = None if streams is None else [msgspec.structs.replace(CAMERA, id=stream) for stream in streams]
        before = {peer.id: peer for peer in self.world.peers(room)}
        own = before.pop(participant)
        refused = any(conflicts(channel, before.values()) for channel in channels or [])
        try:
            self.carry_out(self.world.rooms.receive(connection, Updated(streams=listed, channels=channels, shared=shared)))
        except ChannelOptions:
            assert refused
        else:
            assert not refused
        after = {peer.id: peer for peer in self.world.peers(room)}
        now = after.pop(participant)
        assert after == before  # whatever one says, the others stay what they are
        said = {} if refused else {"channels": channels, "shared": shared}
        changes = {field: value for field, value in said.items() if value is not None}
        assert now == msgspec.structs.replace(own, streams=now.streams, **changes)
        assert now.streams == own.streams if refused or streams is None else [one.id for one in now.streams] == streams

    @rule(seconds=st.sampled_from([1, 29, 31, 61]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.carry_out(self.world.rooms.expire())
        deadline = self.world.rooms.next_deadline()
        assert deadline is None or deadline > self.world.now

    @rule(room=st.sampled_from("abcd"))
    def delete(self, room: str) -> None:
        try:
            self.carry_out(self.world.rooms.delete(room))
        except RTCError as error:
            assert isinstance(error, RoomNotFound)

    @invariant()
    def rosters_are_the_servers(self) -> None:
        for connection, (room, participant) in self.me.items():
            peers = {peer.id: peer for peer in self.world.peers(room)}
            assert peers.pop(participant).state == "connected"
            assert self.rosters[connection] == peers

    @invariant()
    def limits_hold(self) -> None:
        rooms = self.world.rooms.all()
        assert len(rooms) <= 3
        everybody = [peer for room in rooms for peer in room.peers]
        assert len(everybody) == self.world.rooms.participants
        assert all(len(room.peers) <= 4 for room in rooms)
        assert all(sum(peer.user == user for peer in everybody) <= 6 for user in "xyz")
        for room in rooms:
            names = [peer.name for peer in room.peers]
            assert len(names) == len(set(names))
            assert all(len(name) <= 64 for name in names)

    @invariant()
    def channels_of_one_name_have_the_same_options(self) -> None:
        for room in self.world.rooms.all():
            for peer in room.peers:
                assert not any(conflicts(channel, room.peers) for channel in peer.channels)

    @invariant()
    def whoever_is_connected_has_a_connection(self) -> None:
        seated = {participant for _, participant in self.me.values()}
        for room in self.world.rooms.all():
            for peer in room.peers:
                assert (peer.id in seated) == (peer.state == "connected")


TestRandomRooms = RandomRooms.TestCase
TestRandomRooms.settings = settings(max_examples=int(60 * FUZZ), stateful_step_count=40, deadline=None)
