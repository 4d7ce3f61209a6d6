"""A kernel that keeps to no rule on the data channel of the shared mapping (test process; the session's server)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import forge_rtc_nb as rtc
from forge_rtc_nb.frames import Abort, Begin, Frame, More, Taken
from tests.kernel.raw import Raw, Wire, raw_participant
from tests.python_process import PythonProcess
from tests.support import JupyterProcess, wait_for


@pytest.fixture(scope="module")
def errors(room: rtc.Room) -> list[Exception]:
    errors: list[Exception] = []
    room.on("error", errors.append)
    return errors


@pytest.fixture
def eve(jupyter: JupyterProcess, room: rtc.Room, errors: list[Exception]) -> Iterator[Raw]:
    with raw_participant(jupyter, room.id, "kernel", shared=True) as eve:
        eve.connect(room.me.id)
        errors.clear()
        yield eve
    wait_for(lambda: len(room.participants) == 2, what="eve has left")


def wire_of(eve: Raw, room: rtc.Room) -> Wire:
    """The data channel of the mapping, whoever of the two opens it."""
    if eve.id < room.me.id:
        return eve.open("shared")
    wait_for(lambda: "shared" in eve.opened, what="ann opens the data channel")
    return eve.opened["shared"]


def message(kind: str, size: int = 0, body: bytes = b"", **fields: Any) -> Begin:
    return Begin(1, size, json.dumps({"kind": kind, **fields}).encode(), body)


def entry(**other: Any) -> dict[str, Any]:
    value = {"kind": "bytes", "time": 1.5}
    return {"key": "k", "clock": 1, "writer": "eve", "time": 1.5, "value": value, "size": 10, **other}


VALUE = {"kind": "bytes", "time": 1.5}
ATTACKS: dict[str, Frame | bytes | str] = {
    "no JSON": Begin(1, 0, b"nonsense"),
    "an unknown kind": message("explode"),
    "an entry without its fields": message("have", entries=[{"key": "k"}]),
    "an empty key": message("have", entries=[entry(key="")]),
    "a long key": message("have", entries=[entry(key="x" * 257)]),
    "a negative clock": message("have", entries=[entry(clock=-1)]),
    "a clock beyond all": message("have", entries=[entry(clock=2**60)]),
    "a value of no size": message("have", entries=[{k: v for k, v in entry().items() if k != "size"}]),
    "a value of another size": message(
        "have", entries=[entry(value={"kind": "array", "dtype": "<f8", "shape": [1], "time": 1})]
    ),
    "more than all may have": message("have", entries=[entry(size=2**30 + 1)]),
    "a value that nobody asked for": message("value", 10, bytes(10), key="k", clock=1, writer="eve", value=VALUE),
    "no value though nobody asked": message("gone", key="k", clock=1, writer="eve"),
    "a body where there is none": message("have", 10, bytes(10), entries=[]),
    "text": "hello",
    "a part of nothing": More(1, 0, b"1"),
    "an end of nothing": Abort(1),
    "thanks for what was not sent": Taken(1000),
}


@pytest.mark.parametrize("frame", ATTACKS.values(), ids=ATTACKS.keys())
def test_what_must_not_be_costs_its_sender_the_data_channel(
    room: rtc.Room, bob: PythonProcess, eve: Raw, errors: list[Exception], frame: Frame | bytes | str
) -> None:
    wire = wire_of(eve, room)
    wire.send(frame)
    wait_for(lambda: wire.is_closed, what="the data channel is closed")
    wait_for(lambda: errors, what="an error event")
    assert [str(error).partition(":")[0] for error in errors] == [
        "what 'Eve' sent on the data channel 'shared' cannot be used, and is dropped"
    ]
    room.shared["ann"] = room.shared.get("ann", 0) + 1
    bob.run("wait_for(lambda: room.shared.get('ann') == now)", now=room.shared["ann"])
    bob.run("room.shared['bob'] = room.shared['ann']")
    wait_for(lambda: room.shared.get("bob") == room.shared["ann"], what="bob's value")
    assert set(room.shared) == {"ann", "bob"}


def test_what_is_right_arrives(room: rtc.Room, eve: Raw, errors: list[Exception]) -> None:
    wire = wire_of(eve, room)
    wire.be_polite()
    wire.send(message("have", entries=[entry(size=100_000)], last=True))
    wait_for(lambda: any(isinstance(f, Begin) and b'"want"' in f.header for f in wire.heard), what="it is asked for")
    value = Begin(2, 100_000, json.dumps({"kind": "value", "key": "k", "clock": 1, "writer": "eve", "value": VALUE}).encode())
    wire.send(value, More(2, 0, b"x" * 60_000), More(2, 60_000, b"y" * 40_000))
    wait_for(lambda: room.shared.get("k") == b"x" * 60_000 + b"y" * 40_000, what="the value")
    del room.shared["k"]
    assert errors == []


def test_a_value_that_never_ends_keeps_nobody_from_the_mapping(room: rtc.Room, bob: PythonProcess, eve: Raw) -> None:
    wire = wire_of(eve, room)
    wire.be_polite()
    wire.send(message("have", entries=[entry(key="endless", size=2**29)], last=True))
    wait_for(lambda: any(isinstance(f, Begin) and b'"want"' in f.header for f in wire.heard), what="it is asked for")
    fields = {"key": "endless", "clock": 1, "writer": "eve", "value": VALUE}
    wire.send(Begin(2, 2**29, json.dumps({"kind": "value", **fields}).encode(), bytes(1000)))
    bob.run("room.shared['beside'] = np.ones(100_000)")
    wait_for(lambda: "beside" in room.shared, what="bob's value")
    bob.run("del room.shared['beside']")
