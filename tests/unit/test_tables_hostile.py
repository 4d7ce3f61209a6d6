"""Streams of those who mean harm: nothing in them is run, none becomes much larger than it is (test process)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.arrays import FrameHeader, InvalidValue, TableHeader
from forge_rtc_nb.kernel.tables import pack_table, unpack_table
from tests.unit.streams import FRAME, TABLE, refused, stream

MAJOR = int(pa.__version__.split(".")[0])
FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))


# ---- types of other libraries ----


class Extension(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    interpreted = 0

    def __init__(self) -> None:
        super().__init__(pa.int64(), "forge_rtc_nb.test")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"anything"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: object, serialized: bytes) -> Extension:
        cls.interpreted += 1
        return cls()


@contextmanager
def registered() -> Iterator[None]:
    pa.register_extension_type(Extension())
    try:
        yield
    finally:
        pa.unregister_extension_type("forge_rtc_nb.test")


def extended() -> Any:
    return pa.ExtensionArray.from_storage(Extension(), pa.array([1, 2]))


EXTENDED = {
    "column": lambda: pa.table({"a": extended()}),
    "list": lambda: pa.table({"a": pa.ListArray.from_arrays(pa.array([0, 2]), extended())}),
    "struct": lambda: pa.table({"a": pa.StructArray.from_arrays([extended()], ["x"])}),
    "column behind others": lambda: pa.table({"a": [[["x"]], []], "b": ["x", "y"], "c": extended()}),
}


@pytest.mark.parametrize("name", EXTENDED)
@pytest.mark.parametrize("header", [TABLE, FRAME], ids=["table", "frame"])
def test_an_extension_type_is_refused_before_anybody_interprets_it(name: str, header: TableHeader | FrameHeader) -> None:
    with registered():
        table = EXTENDED[name]()
        data = stream(table)
        Extension.interpreted = 0
        assert "extension type" in refused(header, data)
        assert Extension.interpreted == 0
        # The control: Arrow itself interprets it.
        pa.ipc.open_stream(data).read_all()
        assert Extension.interpreted > 0
        with pytest.raises(TypeError, match="extension type"):
            pack_table(table, 1.0)


def test_an_extension_type_that_nobody_knows_is_refused_too() -> None:
    field = pa.field("a", pa.int64(), metadata={"ARROW:extension:name": "who.knows", "ARROW:extension:metadata": "x"})
    assert "extension type" in refused(TABLE, stream(pa.table([pa.array([1])], pa.schema([field]))))


def test_arrows_own_extension_types_are_refused() -> None:
    kind = pa.fixed_shape_tensor(pa.int8(), [2])
    array = pa.ExtensionArray.from_storage(kind, pa.array([[1, 2]], pa.list_(pa.int8(), 2)))
    assert "extension type" in refused(TABLE, stream(pa.table({"a": array})))


# ---- a few bytes that would be many ----


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize(
    "table", [pa.table({"a": np.zeros(10_000_000)}), pa.table({"a": pa.array(["x" * 1000]).dictionary_encode()})]
)
def test_a_compressed_stream_is_refused(table: Any, compression: str) -> None:
    if not pa.Codec.is_available(compression):
        pytest.skip(f"this pyarrow has no {compression}")
    assert "compressed" in refused(TABLE, stream(table, compression=compression))


def test_a_dictionary_that_is_compressed_is_refused_too() -> None:
    table = pa.table({"a": pa.array(["x" * 1000]).dictionary_encode()})
    plain, small = ([message.serialize() for message in messages(stream(table, compression=kind))] for kind in (None, "lz4"))
    assert unpack_table(TABLE, b"".join(plain)) == table
    assert "compressed" in refused(TABLE, b"".join([plain[0], small[1], plain[2]]))


def messages(data: bytes) -> Any:
    return pa.ipc.MessageReader.open_stream(data)


def nulls(rows: int) -> Any:
    return pa.Array.from_buffers(pa.null(), rows, [None])


BOMBS = {
    "cells without values": pa.table({"a": nulls(10**12)}),
    "columns without values": pa.table({f"c{number}": nulls(10**5) for number in range(100)}),
    "columns without values beside others": pa.table(
        {"a": np.zeros(900_000, "i1")} | {f"c{number}": nulls(900_000) for number in range(8)}
    ),
    "lists of a bit": pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4 * 10**6, bool)), 1)}),
    "dicts in a list": pa.table(
        {
            "a": pa.ListArray.from_arrays(
                pa.array([0, 10**6], pa.int32()), pa.StructArray.from_arrays([pa.array(np.zeros(10**6, bool))], ["x"])
            )
        }
    ),
    "pairs of bits": pa.table(
        {
            "a": pa.MapArray.from_arrays(
                pa.array([0, 10**6], pa.int32()), pa.array(np.zeros(10**6, bool)), pa.array(np.zeros(10**6, bool))
            )
        }
    ),
    "dicts in pairs": pa.table(
        {
            "a": pa.MapArray.from_arrays(
                pa.array([0, 200_000], pa.int32()),
                pa.array(np.zeros(200_000, bool)),
                pa.StructArray.from_arrays([pa.array(np.zeros(200_000, bool))], ["x"]),
            )
        }
    ),
    "categories that are dicts": pa.table(
        {"a": pa.DictionaryArray.from_arrays([0], pa.StructArray.from_arrays([pa.array(np.zeros(4 * 10**6, bool))], ["x"]))}
    ),
    "lists of cells without values": pa.table(
        {"a": pa.LargeListArray.from_arrays(pa.array([0, 10**12], pa.int64()), nulls(10**12))}
    ),
    "dicts without values": pa.table({"a": pa.StructArray.from_arrays([nulls(10**7)], ["x"])}),
    "dicts of a bit": pa.table({"a": pa.StructArray.from_arrays([pa.array(np.zeros(10**6, bool))], ["x"])}),
    "dicts in dicts": pa.table(
        {"a": pa.StructArray.from_arrays([pa.StructArray.from_arrays([pa.array(np.zeros(4 * 10**5, bool))], ["x"])], ["y"])}
    ),
    "lists of one long text": pa.table(
        {
            "a": pa.ListArray.from_arrays(
                pa.array(range(100_001), pa.int32()),
                pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, "i4")), ["x" * 100_000]),
            )
        }
    ),
    "texts of nothing": pa.table({"a": pa.Array.from_buffers(pa.binary(0), 10**12, [None, pa.py_buffer(b"")])}),
    "categories that are lists": pa.table(
        {"a": pa.DictionaryArray.from_arrays([0], pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4 * 10**6, bool)), 1))}
    ),
    "lists of nothing": pa.table(
        {"a": pa.Array.from_buffers(pa.list_(pa.int8(), 0), 10**12, [None], children=[pa.array([], pa.int8())])}
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_frame_of_a_few_bytes_does_not_become_one_of_many(name: str) -> None:
    data = stream(BOMBS[name])
    assert len(data) < 1_000_000
    refused(FRAME, data)


@pytest.mark.skipif(MAJOR < 15, reason="this pyarrow makes no runs")
def test_a_frame_of_runs_is_refused() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([10**9], pa.int32()), pa.array([1]))
    assert "run_end_encoded" in refused(FRAME, stream(pa.table({"a": runs})))


@pytest.mark.skipif(not hasattr(pa, "string_view"), reason="this pyarrow has no views")
def test_a_frame_whose_texts_share_their_bytes_is_refused() -> None:
    assert "string_view" in refused(FRAME, stream(pa.table({"a": pa.array(["x" * 100], pa.string_view())})))


# ---- streams that are none ----


def test_what_is_no_stream_is_refused() -> None:
    table = pa.table({"a": [1, 2]})
    data = stream(table)
    for broken in (
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        b"x" * 1000,
        data[:-9][:100],
        data[300:],
        data[len(table.schema.serialize()) :],
    ):
        refused(TABLE, broken)
        refused(FRAME, broken)


def test_a_tensor_is_no_table() -> None:
    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(np.zeros(3)), sink)
    assert "schema" in refused(TABLE, bytes(sink.getvalue()))


def test_a_schema_of_very_many_bytes_is_refused() -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({"key": "x" * (16 << 20)})
    assert "schema may have" in refused(TABLE, stream(table))


def test_a_schema_may_not_come_twice() -> None:
    data = stream(pa.table({"a": [1, 2]}))
    schema = bytes(pa.schema({"a": pa.int64()}).serialize())
    assert data.startswith(schema)
    refused(TABLE, schema + data)


def test_a_stream_of_very_many_batches_is_refused() -> None:
    table = pa.Table.from_batches([pa.RecordBatch.from_pydict({"a": [1]})] * 65_537)
    assert "combine_chunks" in refused(TABLE, stream(table))


def test_text_that_is_not_utf8_and_offsets_that_lead_astray_are_refused() -> None:
    data = stream(pa.table({"a": ["Zweibrücken"]}))
    refused(TABLE, data.replace("Zweibrücken".encode(), b"\xff" * 12))
    offsets = np.array([0, 12], "<i4").tobytes()
    start = data.rindex(offsets)
    for astray in ([0, 10_000], [0, -1], [12, 0], [-(2**31), 2**31 - 1]):
        refused(TABLE, data[:start] + np.array(astray, "<i4").tobytes() + data[start + len(offsets) :])


GOOD = [
    stream(table)
    for table in (
        pa.table({"a": [1, None], "b": ["x", "ü"], "c": [[1], []], "d": [{"x": 1.5}, None]}),
        pa.table(
            {"a": pa.array(["x", "y"]).dictionary_encode(), "b": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8()))}
        ),
        pa.Table.from_pandas(
            pd.DataFrame({"a": pd.date_range("2020", periods=2, tz="UTC"), "b": [True, False]}, index=["p", "q"])
        ),
        pa.Table.from_pandas(pd.DataFrame([[1, 2.5]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")]))),
    )
]
NUMBERS = st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1, 2**30, 2**16]).map(lambda number: number.to_bytes(4, "little"))
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4) | NUMBERS), min_size=1, max_size=8
)


@settings(max_examples=int(500 * FUZZ), deadline=None)
@given(data=st.sampled_from(GOOD), changes=CHANGES, cut=st.integers(0, 64), header=st.sampled_from([TABLE, FRAME]))
def test_whatever_is_changed_in_a_stream_it_is_read_or_refused(
    data: bytes, changes: list[tuple[float, bytes]], cut: int, header: TableHeader | FrameHeader
) -> None:
    broken = bytearray(data)
    for where, new in changes:
        at = int(where * len(data))
        broken[at : at + len(new)] = new
    try:
        value = unpack_table(header, memoryview(broken)[: len(broken) - max(0, cut - 48)])
    except InvalidValue:
        return
    if isinstance(value, pd.DataFrame):
        assert value.memory_usage(deep=True).sum() < 1_000_000
    else:
        assert value.nbytes < 1_000_000
