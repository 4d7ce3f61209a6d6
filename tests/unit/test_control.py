"""The control messages between kernel and engine: whole through any cuts of the stream, secrets out of sight."""

from __future__ import annotations

import os
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb import control
from forge_rtc_nb.control import Control, Way
from forge_rtc_nb.control_stream import MAX_FRAME, Unpacker, pack
from forge_rtc_nb.protocol import Channel, Limits, Participant, Stream

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
CAMERA = Stream(id="camera-1", name="camera", kind="video", source="camera", started=3.5)
PERSON = Participant(id="p1", name="Zoë", kind="browser", user="jo", owners=["k1"], streams=[CAMERA])
LIMITS = Limits(message_bytes=65536, messages_per_second=50.0, burst=100, participants=64, resume_seconds=30.0)
EVERY: list[Control] = [
    control.Join(1, "room", None, [Way("env", "http://x/", secret="s"), Way("arg", "http://y/", token="t")], 2.5),
    control.Leave(2, "room"),
    control.TicketRequest(3, "room", "k1"),
    control.OpenView(4, "room", "p1", "camera-1", "rgb24"),
    control.CloseView(4),
    control.Reply(1),
    control.Reply(3, value={"url": "http://x/", "ticket": "abc"}),
    control.Reply(2, error="room-full", message="no"),
    control.Welcomed("room", PERSON, [PERSON, PERSON], LIMITS),
    control.Welcomed("room", PERSON, [], LIMITS, "5e6f708192a3b4c5"),
    control.RoomState("room", "closed", "the room was deleted"),
    control.ParticipantJoined("room", PERSON),
    control.ParticipantLeft("room", "p1", "expired"),
    control.ParticipantUpdated("room", PERSON),
    control.ViewOpened(4, 63),
    control.ViewReady(4),
    control.ViewEnded(4, "memory", "none left"),
    control.PeerFault("room", "p1", "lost"),
    control.GiveBack(1 << 40),
    control.OpenChannel(5, "room", Channel(name="Zoë", ordered=False, maxsize=3)),
    control.CloseChannel("room", "Zoë"),
    control.SendData(6, "room", "Zoë", None, b"{}", 3, b"abc"),
    control.SendData(7, "room", "Zoë", ["p1"], b"{}", 1 << 30, 4096),
    control.CancelSend(7),
    control.SendProgress(7, 65536),
    control.Received("room", "Zoë", "p1", b"{}", 3, b"abc"),
    control.Received("room", "Zoë", "p1", b"{}", 1 << 30, 1 << 36),
    control.Taken("room", "Zoë", 1, 1 << 30),
    control.ChannelEnded("room", "Zoë", "closed"),
    control.DataFault("room", "c/Zoë", "p1", "not a frame"),
    control.OpenShared(8, "room", 5.0),
    control.SetShared(9, "room", "w", 3.5, b"{}", 1 << 20, 8192),
    control.SetShared(10, "room", "w", 3.5, None),
    control.SharedChanged("room", "w", "p1", 3.5, b"{}", 3, b"abc"),
    control.SharedSeen("room"),
    control.Publish(11, "room", 12, "plot", 25.0, 1_000_000, "VP8"),
    control.PictureReady(12),
    control.Unpublish(12),
    control.Mute("room", "tab-1", "microphone-1"),
    control.Constrain(3, "room", "tab-1", "camera-1", 640, None, 15, 10.0),
    control.PublicationState("room", 12, 3, 1, 100, 2, 1 << 20, 5, 0.5, 900_000),
    control.PublicationFault("room", 12, "no codec"),
    control.PublicationEnded("room", 12, "replaced"),
]


def test_the_list_above_has_every_message() -> None:
    assert {type(message) for message in EVERY} == set(Control.__subclasses__())


@settings(max_examples=int(100 * FUZZ), deadline=None)
@given(st.lists(st.sampled_from(EVERY), max_size=12), st.data())
def test_messages_survive_any_cutting_of_the_stream(messages: list[Control], data: Any) -> None:
    stream = b"".join(pack(message) for message in messages)
    unpacker = Unpacker()
    arrived = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        arrived += list(unpacker.feed(stream[:size]))
        stream = stream[size:]
    assert arrived == messages


def test_a_message_may_be_followed_at_once_by_a_part_of_the_next() -> None:
    unpacker = Unpacker()
    first, second = pack(EVERY[0]), pack(EVERY[1])
    assert list(unpacker.feed(first + second[:3])) == [EVERY[0]]
    assert list(unpacker.feed(second[3:])) == [EVERY[1]]


@settings(max_examples=int(100 * FUZZ), deadline=None)
@given(st.binary(max_size=200))
def test_a_stream_that_is_not_ours_is_a_value_error(noise: bytes) -> None:
    for stream in (noise, struct.pack("<I", len(noise)) + noise):
        try:
            for message in Unpacker().feed(stream):
                assert isinstance(message, Control)
        except ValueError:
            pass


def test_a_length_over_the_limit_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(ValueError, match=str(MAX_FRAME + 1)):
        list(Unpacker().feed(struct.pack("<I", MAX_FRAME + 1)))


def test_an_unknown_message_is_refused() -> None:
    body = msgspec.msgpack.encode({"type": "Nonsense"})
    with pytest.raises(msgspec.ValidationError):
        list(Unpacker().feed(struct.pack("<I", len(body)) + body))


def test_no_repr_shows_a_secret() -> None:
    ways = [Way("a way", "http://host/", token="t0ken", secret="s3cret", ticket="t1cket")]
    shown = repr(control.Join(1, "room", "me", ways, 1.0)) + str(ways)
    assert "http://host/" in shown
    assert not any(secret in shown for secret in ("t0ken", "s3cret", "t1cket"))
