"""Frames of data channels: golden vectors that both languages read alike, and arbitrary bad input (test process)."""

from __future__ import annotations

import json
import os
import random
import secrets
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb import frames
from forge_rtc_nb.arrays import ArrayHeader, InvalidValue, MessageTooLarge, check, pack, parse_header
from forge_rtc_nb.frames import MAX_FRAME, MAX_SIZE, Abort, Begin, Credit, Frame, FrameError, More, Taken, decode, encode

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
MUTANTS = 10_000
LIMIT = 1 << 20
VECTORS = json.loads((Path(__file__).parents[1] / "wire" / "data" / "frames.json").read_text(encoding="utf-8"))


def data_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]) + bytes(case.get("zeros", 0))


def frame_of(case: dict[str, Any]) -> Frame:
    """The frame as the vector spells it out; zeros that would fill pages are counted only."""
    fields = dict(case["frame"])
    kind, filled = fields.pop("type"), fields.pop("zeros_in", None)
    for name in {"header", "body"} & fields.keys():
        fields[name] = bytes.fromhex(fields[name]) + bytes(case["zeros"] if name == filled else 0)
    classes: dict[str, Any] = {"begin": Begin, "more": More, "abort": Abort, "taken": Taken, "credit": Credit}
    frame: Frame = classes[kind](**fields)
    return frame


@pytest.mark.parametrize("case", VECTORS["valid"], ids=lambda case: case["name"])
def test_valid_vector_is_read_and_written_alike(case: dict[str, Any]) -> None:
    assert decode(data_of(case)) == frame_of(case)
    assert encode(frame_of(case)) == data_of(case)


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["why"])
def test_invalid_vector_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        decode(data_of(case))


def test_every_type_of_frame_has_vectors() -> None:
    assert {type(frame_of(case)) for case in VECTORS["valid"]} == set(Frame.__args__)


def test_text_is_refused() -> None:
    with pytest.raises(FrameError, match="text"):
        decode("\x03\x00\x00\x00\x01\x00\x00\x00")  # type: ignore[arg-type]  # what a peer may send


# ---- what goes comes ----

NUMBERS = st.integers(1, 2**32 - 1)
BODIES = st.binary(max_size=200)
HEADERS = st.binary(min_size=2, max_size=100)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(lambda n, extra, h, b: Begin(n, len(b) + extra, h, b), NUMBERS, st.integers(0, MAX_SIZE - 200), HEADERS, BODIES),
    st.builds(More, NUMBERS, st.integers(0, MAX_SIZE - 200), st.binary(min_size=1, max_size=200)),
    st.builds(Abort, NUMBERS),
    st.builds(Taken, NUMBERS),
    st.builds(Credit, st.integers(0, MAX_SIZE)),
)


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(FRAMES)
def test_every_frame_arrives_as_it_was_sent(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@settings(max_examples=int(300 * FUZZ), deadline=None)
@given(st.binary(max_size=64) | st.builds(bytes.__add__, st.sampled_from([bytes([n, 0]) for n in range(7)]), st.binary()))
def test_what_is_read_is_exactly_the_frame(data: bytes) -> None:
    try:
        frame = decode(data)
    except FrameError:
        return
    assert encode(frame) == data


def test_a_body_is_not_copied() -> None:
    data = encode(More(1, 0, bytes(frames.CHUNK)))
    frame = decode(data)
    assert isinstance(frame, More)
    assert isinstance(frame.body, memoryview)
    assert frame.body.obj is data


def test_a_memoryview_is_sent_like_bytes() -> None:
    body = memoryview(bytearray(b"0123456789"))[2:6]
    assert encode(More(1, 2, body)) == encode(More(1, 2, b"2345"))
    assert encode(Begin(1, 10, b"{}", body)) == encode(Begin(1, 10, b"{}", b"2345"))


def test_a_full_chunk_fits_a_frame_with_the_longest_header() -> None:
    assert frames.BEGIN_BYTES + frames.MAX_HEADER + frames.CHUNK <= MAX_FRAME


@pytest.mark.parametrize(
    "frame",
    [
        Begin(0, 0, b"{}"),
        Begin(2**32, 0, b"{}"),
        Begin(-1, 0, b"{}"),
        Begin(1, -1, b"{}"),
        Begin(1, 2**53, b"{}"),
        Begin(1, 2**64, b"{}"),
        Begin(1, 0, b"{"),
        Begin(1, 0, bytes(16385)),
        Begin(1, 0, bytes(65536)),
        Begin(1, 0, b"{}", b"x"),
        Begin(1, MAX_FRAME, b"{}", bytes(MAX_FRAME - 17)),
        More(0, 0, b"x"),
        More(1, 0, b""),
        More(1, -1, b"x"),
        More(1, 2**53 - 1, b"x"),
        More(1, 0, bytes(MAX_FRAME - 15)),
        Abort(0),
        Abort(2**32),
        Taken(0),
        Credit(-1),
        Credit(2**53),
    ],
    ids=lambda frame: repr(frame)[:40],
)
def test_a_frame_that_would_not_be_read_is_not_written(frame: Frame) -> None:
    with pytest.raises(FrameError):
        encode(frame)


def test_frames_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Taken(1).number = 2  # type: ignore[misc]


# ---- what a peer makes up ----


def sound_frames() -> list[Frame]:
    """What a kernel would send: frames of every type, with headers of every kind of value."""
    values: list[object] = [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.eye(3, dtype=">c8")),
        b"bytes",
        "text",
        {"a": [1]},
    ]
    packed = [pack(value, 1.5) for value in values]
    begins = [Begin(n, p.size, p.header, p.to_bytes()) for n, p in enumerate(packed, start=1)]
    return [*begins, More(1, 8, b"12345678"), Abort(3), Taken(4), Credit(1 << 20)]


BOUNDS = [0, 1, 2, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = [
    b"-",
    b"9",
    b"0",
    b"99999999999",
    b",",
    b"[",
    b"]",
    b'"',
    b"{",
    b"}",
    b"null",
    b"1e999",
    b"NaN",
    b"|O",
    b"\xff",
    b"\\ud800",
]


def mutate(data: bytes, source: random.Random, times: int) -> bytes:
    """Change, insert, cut, overwrite or repeat, where chance has it."""
    mutant = bytearray(data)
    for _ in range(times):
        mutate_once(mutant, source)
    return bytes(mutant)


def mutate_once(mutant: bytearray, source: random.Random) -> None:
    at = source.randrange(len(mutant) or 1)
    match source.randrange(7):
        case 0 | 1:
            mutant[at : at + 1] = bytes([source.randrange(256)])
        case 2:
            mutant[at:at] = source.choice(WORDS)
        case 3:
            mutant[at : at + source.randrange(1, 9)] = source.choice(WORDS)
        case 4:
            mutant += mutant[at:] * source.randrange(1, 4)
        case 5:
            mutant[8:16] = struct.pack("<Q", source.choice(BOUNDS))
        case _:
            del mutant[at:]


def mutants(count: int, seed: int) -> Iterator[bytes]:
    source, sound = random.Random(seed), sound_frames()
    for _ in range(count):
        frame = source.choice(sound)
        times = source.choice([1, 1, 1, 2, 4])
        if isinstance(frame, Begin) and source.random() < 0.5:  # a sound frame with a header that is not
            header = mutate(frame.header, source, times)
            fixed = struct.pack("<BBHIQ", 1, 0, len(header), frame.number, source.choice([frame.size, *BOUNDS]))
            yield fixed + header
        else:
            yield mutate(encode(frame), source, times)


def read(data: bytes) -> str:
    """What a receiver does before it takes memory; the outcome in one word. Any other error is a fault of ours."""
    try:
        frame = decode(data)
    except FrameError:
        return "no frame"
    assert encode(frame) == data
    if not isinstance(frame, Begin):
        return type(frame).__name__
    try:
        header = parse_header(frame.header)
        check(header, frame.size, LIMIT)
    except MessageTooLarge:
        return "too large"
    except InvalidValue:
        return "no header"
    assert frame.size <= LIMIT
    return "array" if isinstance(header, ArrayHeader) else "other value"


def outcomes(count: int, seed: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for data in mutants(count, seed):
        try:
            outcome = read(data)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data!r}") from error
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


EVERY_OUTCOME = {"no frame", "no header", "too large", "array", "other value", "More", "Abort", "Taken", "Credit"}


def test_mutated_frames_are_read_or_refused_with_an_error_of_ours() -> None:
    counts = outcomes(int(MUTANTS * FUZZ), seed=4)
    assert counts.keys() == EVERY_OUTCOME
    # Mutants that all fail at the first byte would show nothing.
    assert all(count > MUTANTS * FUZZ / 1000 for count in counts.values()), counts


@pytest.mark.soak
def test_ten_times_as_many_mutated_frames_of_another_seed_each_time() -> None:
    assert outcomes(int(10 * MUTANTS * FUZZ), seed=secrets.randbits(32)).keys() == EVERY_OUTCOME


def test_reading_mutated_frames_takes_no_memory_to_speak_of() -> None:
    sample = list(mutants(1000, seed=5))
    outcomes(10, seed=5)  # what is made once is not counted
    tracemalloc.start()
    for data in sample:
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT / 4
