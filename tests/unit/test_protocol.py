"""The wire format: golden vectors that both languages read alike, and arbitrary bad input (test process)."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb import protocol
from forge_rtc_nb.errors import InvalidCandidate, InvalidMessage, InvalidRoomId, InvalidSDP, RTCError

WIRE = Path(__file__).parents[1] / "wire"
VECTORS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(WIRE.glob("*.json"))}
VALID = [(name, case) for name, vectors in VECTORS.items() for case in vectors["valid"]]
INVALID = [(name, case) for name, vectors in VECTORS.items() for case in vectors["invalid"]]
DECODE = {"client": protocol.decode_client, "server": protocol.decode_server}
FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def tags(union: Any) -> set[str]:
    return {struct.__struct_config__.tag for struct in union.__args__}


@pytest.mark.parametrize(("name", "case"), VALID, ids=[f"{name}-{i}" for i, (name, _) in enumerate(VALID)])
def test_valid_vector_reads_and_writes_alike(name: str, case: dict[str, Any]) -> None:
    message = DECODE[case["from"]](case["frame"])
    assert json.loads(protocol.encode(message)) == case["message"]
    assert DECODE[case["from"]](protocol.encode(message)) == message


@pytest.mark.parametrize(("name", "case"), INVALID, ids=[f"{name}-{i}" for i, (name, _) in enumerate(INVALID)])
def test_invalid_vector_is_refused_with_its_code(name: str, case: dict[str, Any]) -> None:
    with pytest.raises(RTCError) as refused:
        DECODE[case["from"]](case["frame"])
    assert refused.value.code == case["code"]


def test_every_message_type_has_vectors_from_each_side_that_sends_it() -> None:
    for side, union in (("client", protocol.ClientMessage), ("server", protocol.ServerMessage)):
        covered = {case["message"]["type"] for _, case in VALID if case["from"] == side}
        assert covered == tags(union)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_frame_over_64_kib_is_refused_and_one_of_64_kib_is_not(side: str) -> None:
    frame = '{"type":"ping","padding":""}'
    full = frame.replace('""', '"' + "x" * (protocol.MAX_MESSAGE - len(frame)) + '"')
    assert isinstance(DECODE[side](full), protocol.Ping)
    with pytest.raises(InvalidMessage, match="65536 bytes, this one has 65537"):
        DECODE[side](full.replace('"padding"', '"padding_"'))
    with pytest.raises(InvalidMessage):  # bytes count, not characters
        DECODE[side](full.replace("xxxx", "éééé"))


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(st.text() | st.binary() | JSON_VALUES.map(json.dumps))
def test_arbitrary_frames_are_read_or_refused_with_an_error_of_ours(frame: str | bytes) -> None:
    for decode in DECODE.values():
        try:
            message = decode(frame)
        except RTCError as error:
            assert error.code in {"invalid-message", "invalid-sdp", "invalid-candidate"}
        else:
            assert decode(protocol.encode(message)) == message


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_a_mutated_message_is_read_or_refused_with_an_error_of_ours(case: tuple[str, Any], data: st.DataObject) -> None:
    message = dict(case[1]["message"])
    key = data.draw(st.sampled_from(sorted(message)))
    message[key] = data.draw(JSON_VALUES)
    try:
        protocol.decode_client(json.dumps(message))
    except RTCError as error:
        assert isinstance(error, InvalidMessage | InvalidSDP | InvalidCandidate)


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(st.text())
def test_a_clean_name_is_short_visible_and_stable(name: str) -> None:
    clean = protocol.clean_name(name, "somebody")
    assert 0 < len(clean) <= protocol.MAX_NAME
    assert clean == protocol.clean_name(clean, "x")
    unwanted = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not any(unicodedata.category(character) in unwanted for character in clean)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Zoe\u0308", "Zo\u00eb"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("\x00\x1b[31mred", "[31mred"),
        ("  two \n lines ", "two lines"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("\u200b\u2066", "nobody"),
        ("", "nobody"),
        (None, "nobody"),
        ("x" * 100, "x" * 64),
    ],
)
def test_names_are_cleaned(name: str | None, clean: str) -> None:
    assert protocol.clean_name(name, "nobody") == clean


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(st.text(max_size=70) | st.text("a é\u0308\u200d\t🙂", max_size=8))
def test_a_channel_name_is_taken_as_it_is_or_refused_where_cleaning_would_change_it(name: str) -> None:
    message = protocol.Updated(channels=[protocol.Channel(name=name)])
    try:
        frame = protocol.encode(message)
    except UnicodeEncodeError:
        return  # half a character, which no frame can hold
    if name and name == protocol.clean_name(name, ""):
        assert protocol.decode_client(frame) == message
    else:
        with pytest.raises(InvalidMessage):
            protocol.decode_client(frame)


def test_a_channel_name_that_is_refused_is_named_shortly_and_with_what_would_do() -> None:
    with pytest.raises(InvalidMessage) as refused:
        protocol.check_channel_name("two\nlines" + "x" * 1000)
    assert "'two\\nlines" in str(refused.value)
    assert "1 to 64 visible characters" in str(refused.value)
    assert len(str(refused.value)) < 200
    assert protocol.check_channel_name("spectra 2") == "spectra 2"


@pytest.mark.parametrize("room_id", ["a", "meeting-123", "A.b_c-9", "x" * 64])
def test_room_ids_of_the_allowed_characters_are_accepted(room_id: str) -> None:
    assert protocol.check_room_id(room_id) == room_id


@pytest.mark.parametrize("room_id", ["", "x" * 65, "a b", "a/b", "ä", "a\n", None, 7])
def test_other_room_ids_are_refused(room_id: object) -> None:
    with pytest.raises(InvalidRoomId):
        protocol.check_room_id(room_id)


def test_messages_are_immutable() -> None:
    with pytest.raises(AttributeError):
        protocol.Ping(id="1").id = "2"  # type: ignore[misc]
    assert msgspec.structs.replace(protocol.Ping(id="1"), id="2") == protocol.Ping(id="2")
