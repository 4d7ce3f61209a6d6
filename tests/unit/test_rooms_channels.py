"""Channels and the shared flag in participants' records: one name has one set of options in a room (test process)."""

from __future__ import annotations

import msgspec
import pytest

from forge_rtc_nb import protocol
from forge_rtc_nb.errors import ChannelOptions
from forge_rtc_nb.protocol import Channel, Hello, Joined, Participant, Stream, Updated
from tests.unit.test_rooms import CAMERA, World

LOG = Channel(name="log")
SPECTRA = Channel(name="spectra", ordered=False, maxsize=1)
OTHER_SPECTRA = msgspec.structs.replace(SPECTRA, ordered=True)


def channels(world: World, participant: str, room: str = "r") -> list[Channel]:
    return next(peer.channels for peer in world.peers(room) if peer.id == participant)


def test_the_others_hear_which_channels_somebody_has_open_and_whether_it_holds_shared_values() -> None:
    world = World()
    world.join(1)
    joined = world.join(2, channels=(LOG,), shared=True).participant
    assert (joined.channels, joined.shared) == ([LOG], True)
    assert world.sent[1] == [Joined(participant=joined)]
    world.receive(2, Updated(channels=[LOG, SPECTRA]))
    world.receive(2, Updated(shared=False))
    told = [message.participant for message in world.sent[1] if isinstance(message, Updated)]
    assert [(one.channels, one.shared) for one in told if one] == [([LOG, SPECTRA], True), ([LOG, SPECTRA], False)]


def test_what_an_update_does_not_mention_stays_as_it_is() -> None:
    world = World()
    before = world.join(1, streams=(CAMERA,), owners=("k",), channels=(LOG,), shared=True).participant
    world.receive(1, Updated(owners=["k2"]))
    assert world.peers() == [msgspec.structs.replace(before, owners=["k2"])]
    world.receive(1, Updated(channels=[]))
    assert world.peers() == [msgspec.structs.replace(before, owners=["k2"], channels=[])]


def test_an_update_with_the_same_channels_is_told_to_nobody() -> None:
    world = World()
    world.join(1, channels=(LOG,), shared=True)
    world.join(2)
    world.receive(1, Updated(channels=[Channel(name="log", ordered=True, maxsize=64)], shared=True))
    assert world.sent[2] == []


def test_a_channel_with_other_options_than_those_in_force_is_refused_and_nothing_of_the_update_applies() -> None:
    world = World()
    world.join(1, channels=(SPECTRA,))
    before = world.join(2, streams=(CAMERA,)).participant
    world.sent = {1: [], 2: []}
    with pytest.raises(ChannelOptions) as refused:
        world.receive(2, Updated(channels=[LOG, OTHER_SPECTRA], streams=[], owners=["k"], shared=True))
    assert world.peers()[1] == before
    assert world.sent == {1: [], 2: []}
    assert str(refused.value) == (
        "channel 'spectra' is open with ordered=False, reliable=True, policy='block', maxsize=1, maxbytes=268435456: "
        "open it with these options, or choose another name"
    )
    world.receive(2, Updated(channels=[LOG, SPECTRA]))
    assert channels(world, "p2") == [LOG, SPECTRA]


def test_every_option_counts() -> None:
    others = {"ordered": True, "reliable": False, "policy": "drop_oldest", "maxsize": 2, "maxbytes": 1}
    assert {"name", *others} == set(Channel.__struct_fields__)
    world = World()
    world.join(1, channels=(SPECTRA,))
    world.join(2)
    for option, value in others.items():
        with pytest.raises(ChannelOptions):
            world.receive(2, Updated(channels=[msgspec.structs.replace(SPECTRA, **{option: value})]))


def test_who_is_reconnecting_keeps_the_options_of_its_channels() -> None:
    world = World()
    world.join(1, channels=(SPECTRA,))
    world.join(2)
    world.drop(1)
    with pytest.raises(ChannelOptions):
        world.receive(2, Updated(channels=[OTHER_SPECTRA]))
    world.wait(31)
    world.receive(2, Updated(channels=[OTHER_SPECTRA]))
    assert channels(world, "p2") == [OTHER_SPECTRA]


def test_a_name_is_free_again_when_nobody_has_it_open() -> None:
    world = World()
    for number in (1, 2, 3):
        world.join(number, channels=(SPECTRA,))
    world.receive(1, Updated(channels=[]))
    world.drop(2, left=True)
    with pytest.raises(ChannelOptions):
        world.receive(1, Updated(channels=[OTHER_SPECTRA]))
    # Who is the only one to have it open may change its own mind.
    world.receive(3, Updated(channels=[OTHER_SPECTRA]))
    world.receive(1, Updated(channels=[OTHER_SPECTRA]))
    assert channels(world, "p1") == channels(world, "p3") == [OTHER_SPECTRA]


def test_a_channel_of_the_same_name_in_another_room_is_another_one() -> None:
    world = World()
    world.join(1, channels=(SPECTRA,))
    assert world.join(2, room="elsewhere", channels=(OTHER_SPECTRA,)).participant.channels == [OTHER_SPECTRA]


def test_of_a_hello_those_channels_are_left_out_that_are_open_with_other_options() -> None:
    world = World()
    world.join(1, channels=(SPECTRA,))
    newcomer = world.join(2, channels=(LOG, OTHER_SPECTRA), shared=True).participant
    assert (newcomer.channels, newcomer.shared) == ([LOG], True)
    assert world.sent[1] == [Joined(participant=newcomer)]
    assert channels(world, "p1") == [SPECTRA]


def test_who_comes_back_has_the_channels_that_it_says_then() -> None:
    world = World()
    world.join(1, channels=(LOG, SPECTRA), shared=True)
    world.join(2)
    world.drop(1)
    world.receive(2, Updated(channels=[SPECTRA]))
    back = world.join(11, participant_id="p1", user="u1", channels=(SPECTRA, LOG)).participant
    assert (back.channels, back.shared, back.state) == ([SPECTRA, LOG], False, "connected")
    # Its own earlier options are not in its way, those of others are.
    changed = msgspec.structs.replace(LOG, reliable=False)
    again = world.join(12, participant_id="p1", user="u1", channels=(changed, OTHER_SPECTRA))
    assert again.resumed
    assert again.participant.channels == [changed]
    told = world.sent[2][-1]
    assert isinstance(told, Updated)
    assert told.participant == again.participant


WIDE = "\U0001f600"
"""A character of four bytes; none that a name may have takes more in JSON."""
FULL_STREAMS = [
    Stream(id=f"{i:0>64}", name=WIDE * 64, kind="video", source="microphone", muted=True, started=1750000000.1234567)
    for i in range(protocol.MAX_STREAMS)
]
FULL_CHANNELS = [
    Channel(name=f"{WIDE * 62}{i:02}", ordered=False, reliable=False, policy="drop_oldest", maxsize=65536, maxbytes=2**40)
    for i in range(protocol.MAX_CHANNELS)
]
FULL = Participant(
    id="f" * 16,
    name=WIDE * 64,
    kind="browser",
    user=WIDE * 256,
    owners=["o" * 64] * protocol.MAX_OWNERS,
    joined_at=1750000000.1234567,
    state="reconnecting",
    streams=FULL_STREAMS,
    channels=FULL_CHANNELS,
    shared=True,
)


def test_the_largest_record_fits_into_a_message_and_into_a_welcome() -> None:
    frame = protocol.encode(Updated(participant=FULL))
    assert protocol.decode_server(frame) == Updated(participant=FULL)
    assert len(frame.encode()) < protocol.MAX_MESSAGE * 3 // 4


def test_the_largest_hello_fits_into_a_message() -> None:
    hello = Hello(
        version=1,
        kind="browser",
        name=WIDE * 256,
        owners=FULL.owners,
        streams=[msgspec.structs.replace(stream, mid=WIDE * 32) for stream in FULL_STREAMS],
        channels=FULL_CHANNELS,
        shared=True,
        ticket="t" * 4096,
        resume="r" * 4096,
        id=WIDE * 256,
    )
    assert protocol.decode_client(protocol.encode(hello)) == hello
