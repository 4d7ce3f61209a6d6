"""What participants who keep to no rule send to a kernel: one clear error, one closed data channel, no more."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.frames import Abort, Begin, Credit, Frame, More, Taken
from tests.kernel.attack import Attack, attack
from tests.kernel.others import IN_USE
from tests.kernel.raw import Raw, Wire, raw_participant
from tests.python_process import PythonProcess
from tests.support import JupyterProcess, wait_for

Sent = Frame | bytes | str
HUGE = 2**53 - 1


@pytest.fixture(scope="module")
def eve(jupyter: JupyterProcess, room: rtc.Room) -> Iterator[Raw]:
    """Does not."""
    with raw_participant(jupyter, room.id) as eve:
        eve.connect(room.me.id)
        yield eve


@pytest.fixture(scope="module")
def errors(room: rtc.Room) -> list[Exception]:
    """``error`` events of the room."""
    errors: list[Exception] = []
    room.on("error", errors.append)
    return errors


@pytest.fixture
def on(room: rtc.Room, bob: PythonProcess, eve: Raw, errors: list[Exception]) -> Iterator[Attack]:
    with attack(room, bob, eve, errors) as on:
        yield on


def begin(size: int, body: bytes = b"", *, number: int = 1, **header: Any) -> Begin:
    return Begin(number, size, json.dumps({"kind": "bytes", "time": 1.5, **header}).encode(), body)


def array(shape: list[int], dtype: str = "<f8", size: int = 8, body: bytes = b"") -> Begin:
    return begin(size, body, kind="array", dtype=dtype, shape=shape)


def raw_begin(header: bytes, size: int = 0) -> bytes:
    return struct.pack("<BBHIQ", 1, 0, len(header), 1, size) + header


def test_what_is_right_arrives(on: Attack) -> None:
    on.wire.send(array([2], body=b"12345678", size=16), More(1, 8, b"87654321"))
    message = on.channel.receive()
    assert (message.value.shape, message.sender.name, message.time) == ((2,), "Eve", 1.5)
    wait_for(lambda: Taken(1) in on.wire.heard, what="it is taken")
    with pytest.raises(rtc.SendTimeout, match="'Eve'"):  # she never says that she has it
        on.channel.send("back", to="Eve", timeout=0.5)
    wait_for(lambda: any(isinstance(frame, Begin) and frame.body == b"back" for frame in on.wire.heard), what="the way back")
    assert on.errors == []


# ---- headers and frames that must not be ----

HEADERS: dict[str, tuple[Sent, str]] = {
    "a dimension of 2^63": (array([2**63]), "not the header of a value"),
    "dimensions whose product is too large": (array([2**40, 2**40]), "too large for an array"),
    "a negative dimension": (array([-1]), "not the header of a value"),
    "a dimension that is no number": (array([0.5]), "not the header of a value"),  # type: ignore[list-item]
    "33 dimensions": (array([1] * 33), "not the header of a value"),
    "eight thousand dimensions": (
        raw_begin(b'{"kind":"array","dtype":"|u1","time":1,"shape":[' + b"1," * 8000 + b"1]}", 1),
        "not the",
    ),
    "nothing times very much": (array([0, 2**52, 2**52], size=0), "too large for an array"),
    "more bytes than the shape has": (array([2], size=24), "takes 16 bytes, the body has 24"),
    "fewer bytes than the shape has": (array([2], size=8), "takes 16 bytes, the body has 8"),
    "an unknown dtype": (array([1], "<f16", 16), "not the header of a value"),
    "objects": (array([1], "|O"), "not the header of a value"),
    "a structured dtype": (array([1], "[('a', '<i4')]"), "not the header of a value"),
    "text of numpy": (array([1], "<U2"), "not the header of a value"),
    "another byte order": (array([1], "=f8"), "not the header of a value"),
    "more than a message may have": (begin(2**30 + 1), "a message may have 1073741824 bytes"),
    "as much as can be counted": (begin(HUGE), "a message may have"),
    "an unknown kind": (begin(0, kind="pickle"), "not the header of a value"),
    "no kind": (raw_begin(b'{"time": 1}'), "not the header of a value"),
    "no time": (raw_begin(b'{"kind": "bytes"}'), "not the header of a value"),
    "no JSON": (raw_begin(b"nonsense"), "not the header of a value"),
    "half a JSON": (raw_begin(b'{"kind": "by'), "not the header of a value"),
    "a header that is no UTF-8": (raw_begin(b'{"kind": "bytes", "time": 1, "id": "\xff"}'), "not the header of a value"),
    "a very deep header": (raw_begin(b"[" * 16_000), "not the header of a value"),
    "an empty header": (raw_begin(b""), "a header has 2 to 16384 bytes"),
    "a header that is too long": (raw_begin(b" " * 16_385), "a header has 2 to 16384 bytes"),
    "a header that is cut": (struct.pack("<BBHIQ", 1, 0, 100, 1, 0) + b"{}", "no frame"),
    "more body than there is": (struct.pack("<BBHIQ", 1, 0, 2, 1, 1) + b"{}12", "begins with 2 bytes"),
    "a size that cannot be counted": (struct.pack("<BBHIQ", 1, 0, 2, 1, 2**63) + b"{}", "more than a frame can count"),
    "message 0": (struct.pack("<BBHIQ", 1, 0, 2, 0, 0) + b"{}", "numbered from 1"),
    "message 2 first": (begin(0, number=2), "message 2 follows message 0"),
    "text": ("hello", "this one is text"),
    "nothing": (b"", "no frame has 0 bytes"),
    "three bytes": (b"\1\0\0", "no frame has 3 bytes"),
    "an unknown type": (struct.pack("<BBHIQ", 9, 0, 0, 1, 0), "no frame of type 9"),
    "a reserved byte": (struct.pack("<BBHIQ", 1, 1, 2, 1, 0) + b"{}", "reserved"),
    "a frame that is too long": (raw_begin(b"{}", 300_000) + bytes(262_144), "262144 bytes"),
    "a part of nothing": (More(1, 0, b"1"), "message 1 goes on, but is not under way"),
    "an end of nothing": (Abort(1), "message 1 is aborted before it began"),
    "thanks for nothing": (Taken(1), "it has taken message 1, which was not sent"),
}


@pytest.mark.parametrize(("frame", "words"), HEADERS.values(), ids=HEADERS.keys())
def test_a_frame_that_must_not_be_costs_its_sender_that_data_channel(on: Attack, frame: Sent, words: str) -> None:
    on.wire.send(frame)
    on.is_over(words)


SEQUENCES: dict[str, tuple[list[Sent], str]] = {
    "a part twice": (
        [begin(100_000, bytes(100)), More(1, 100, bytes(50)), More(1, 100, bytes(50))],
        "goes on at byte 100, but has 150",
    ),
    "parts that overlap": ([begin(100_000, bytes(100)), More(1, 50, bytes(100))], "goes on at byte 50, but has 100"),
    "a part past the end": ([begin(100, bytes(99)), More(1, 99, b"12")], "goes on to byte 101"),
    "a part far past the end": ([begin(100_000), More(1, HUGE - 1, b"1")], "but has 0"),
    "another message in between": ([begin(100_000), begin(0, number=2)], "begins before the one before it has ended"),
    "the same number again": ([begin(0), begin(0)], "message 1 follows message 1"),
    "the end of one that is over": ([begin(0), More(1, 0, b"1")], "not under way"),
}


@pytest.mark.parametrize(("frames", "words"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_parts_that_do_not_fit_together_cost_it_too(on: Attack, frames: list[Sent], words: str) -> None:
    on.wire.send(*frames)
    on.is_over(words)


def test_who_spends_more_than_there_is_room_for_is_cut_off(
    room: rtc.Room, bob: PythonProcess, eve: Raw, errors: list[Exception]
) -> None:
    with attack(room, bob, eve, errors, maxsize=2) as on:
        on.wire.send(begin(10, bytes(10)), begin(10, bytes(10), number=2))  # the queue is full
        parts = [More(3, start, bytes(60_000)) for start in range(0, 360_000, 60_000)]
        on.wire.send(begin(1_000_000, number=3), *parts)
        wait_for(lambda: on.wire.is_closed, what="the data channel is closed")
        assert [message.sender.name for message in (on.channel.receive(), on.channel.receive())] == ["Eve", "Eve"]
        on.is_over("of a credit of")


# ---- frames that are right, with values that are not ----

VALUES: dict[str, tuple[dict[str, Any], bytes]] = {
    "text that is no UTF-8": ({"kind": "str"}, b"\xff\xfe"),
    "JSON that is none": ({"kind": "json"}, b"{nonsense"),
    "a number that is none": ({"kind": "json"}, b"NaN"),
    "an endless number": ({"kind": "json"}, b"1e999"),
    "very deep JSON": ({"kind": "json"}, b"[" * 20_000 + b"]" * 20_000),
    "a table that is none": ({"kind": "table"}, b"nonsense" * 10),
    "a frame that is none": ({"kind": "frame"}, b""),
}


@pytest.mark.parametrize(("header", "body"), VALUES.values(), ids=VALUES.keys())
def test_a_value_that_is_none_is_dropped_with_one_error(on: Attack, header: dict[str, Any], body: bytes) -> None:
    on.wire.send(begin(len(body), body, **header))
    wait_for(lambda: Taken(1) in on.wire.heard, what="it is in the queue")
    on.wire.send(begin(4, b"next", number=2))
    assert on.channel.recv() == b"next"
    wait_for(lambda: on.errors, what="an error event")
    assert len(on.errors) == 1
    assert str(on.errors[0]).startswith(f"a message of 'Eve' on channel {on.channel.name!r} cannot be used, and is dropped: ")
    assert on.wire.is_open
    on.others_go_on()


# ---- memory ----


@pytest.fixture(scope="module")
def in_use() -> Callable[[], int]:
    """Bytes of memory that ann and her engine share, and that have pages."""
    names: dict[str, Any] = {}
    exec(IN_USE, names)
    measured: Callable[[], int] = names["in_use"]
    return measured


@pytest.mark.parametrize(
    ("options", "bound"),
    [
        ({"ordered": False, "maxbytes": 20_000_000}, 30_000_000),
        ({"ordered": False, "reliable": False, "maxbytes": 20_000_000}, 30_000_000),
        ({"reliable": False, "maxbytes": 20_000_000}, 30_000_000),
    ],
    ids=["any order", "any order, may be lost", "in order, may be lost"],
)
def test_a_thousand_messages_that_never_end_take_no_more_than_the_queue(
    room: rtc.Room,
    bob: PythonProcess,
    eve: Raw,
    errors: list[Exception],
    in_use: Callable[[], int],
    options: dict[str, Any],
    bound: int,
) -> None:
    with attack(room, bob, eve, errors, **options) as on:
        begins = [begin(18_000_000, bytes(100), number=number + 1) for number in range(1000)]
        most = 0

        def watch() -> bool:
            nonlocal most
            most = max(most, in_use())
            return done.is_set()

        done = threading.Event()

        def send() -> None:
            for start in range(0, 1000, 50):
                on.wire.send(*begins[start : start + 50])
            done.set()

        sending = threading.Thread(target=send)
        sending.start()
        wait_for(watch, 30, what="all that can be sent")
        sending.join()
        assert 100 < most <= bound
        on.others_go_on()
        if not options.get("reliable", True):
            on.wire.send(begin(4, b"next", number=1001))
            assert on.channel.recv() == b"next"
        assert on.errors == []
        on.channel.close()
        wait_for(lambda: in_use() < 100_000, what="nothing is kept")


def test_declaring_much_takes_nothing(on: Attack, in_use: Callable[[], int]) -> None:
    wait_for(lambda: in_use() < 100_000, what="earlier messages are gone")
    on.wire.send(begin(2**30))
    wait_for(lambda: any(isinstance(f, Credit) and f.total > 2**30 for f in on.wire.heard), what="it has its room")
    assert in_use() < 100_000
    on.others_go_on()


# ---- data channels that nobody expects ----


def closes(wire: Wire, timeout: float = 10) -> None:
    wait_for(lambda: wire.is_closed, timeout, what="the data channel is closed")


@pytest.mark.parametrize(
    "options",
    [
        {"ordered": False},
        {"maxRetransmits": 0},
        {"maxRetransmits": 5},
        {"maxPacketLifeTime": 100},
        {"protocol": ""},
        {"protocol": "x"},
    ],
    ids=repr,
)
def test_a_data_channel_with_other_options_is_closed(on: Attack, options: dict[str, Any]) -> None:
    on.wire.close()
    closes(on.wire)
    closes(on.eve.open("c/" + on.channel.name, **options))
    again = on.eve.open("c/" + on.channel.name)
    again.send(begin(2, b"ok"))
    assert on.channel.recv() == b"ok"
    assert on.errors == []


def test_a_second_data_channel_of_a_channel_is_closed_and_the_first_goes_on(on: Attack) -> None:
    closes(on.eve.open("c/" + on.channel.name))
    on.wire.send(begin(2, b"ok"))
    assert on.channel.recv() == b"ok"


def test_data_channels_that_nobody_expects_are_closed_after_a_while(on: Attack) -> None:
    labels = ["c/nobody has this", "", "shared", "nonsense", "overview ", "c/" + "x" * 60_000]
    wires = [on.eve.open(label) for label in labels]
    for wire in wires:
        wire.send(b"whatever", "it sends")
    for wire in wires:
        closes(wire)
    on.others_go_on()
    assert on.errors == []


def test_a_flood_of_data_channels_and_of_what_waits_in_them_is_bounded(on: Attack) -> None:
    wires = [on.eve.open(f"flood {number}", wait=False) for number in range(100)]
    wait_for(lambda: sum(wire.is_closed for wire in wires) >= 20, what="what is too much is closed at once")
    first = next(wire for wire in wires if wire.is_open)
    first.send(*[b"x" * 1000] * 600)
    closes(first, 3)
    on.others_go_on()
    for wire in wires:
        closes(wire)


def opening(label: bytes, length: int) -> bytes:
    return struct.pack("!BBHLHH", 3, 0, 0, 0, length, 0) + label


@pytest.mark.parametrize(
    ("stream", "data"),
    [(600, opening(b"a", 500)), (600, opening(b"\xff", 1)), (600, b"\2"), (600, b"\3"), (0, opening(b"a", 1))],
)
def test_hostile_openings_open_nothing(on: Attack, stream: int, data: bytes) -> None:
    on.eve.dcep(stream, data)
    on.wire.send(begin(2, b"ok"))
    assert on.channel.recv() == b"ok"
    on.others_go_on()
    assert on.errors == []


def test_who_opens_and_breaks_again_and_again_is_held_off(on: Attack) -> None:
    on.wire.send("text")
    on.is_over("text")
    refused = 0
    for _ in range(10):
        wire = on.eve.open("c/" + on.channel.name)
        wire.send("text again")
        closes(wire)
        refused += 1
    assert refused == 10
    assert len(on.errors) <= 2
    on.others_go_on()

    def back() -> bool:
        wire = on.eve.open("c/" + on.channel.name)
        wire.send(begin(4, b"back"))
        try:
            return bool(on.channel.recv(timeout=1) == b"back")
        except rtc.RTCTimeout:
            return False

    wait_for(back, 20, what="who keeps to the rules again is let in")


def test_an_engine_that_was_attacked_all_the_time_is_the_same_one(room: rtc.Room, bob: PythonProcess, eve: Raw) -> None:
    """The last test of this module."""
    assert room.state == "joined"
    # Tests close bob's channel while his last echo may still wait for its receiver to say that it is there.
    assert bob.run("[str(e) for e in errors if not isinstance(e, rtc.ChannelClosed)]") == []
    assert os.path.exists(f"/proc/{room._data.client.pid}")
