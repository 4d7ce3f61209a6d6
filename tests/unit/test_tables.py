"""Arrow tables and pandas frames there and back: equal, without copies, and clear words for what cannot go (test process)."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from forge_rtc_nb import arrays
from forge_rtc_nb.arrays import FrameHeader, InvalidValue, TableHeader
from forge_rtc_nb.kernel.tables import pack_table, unpack_table

MAJOR = int(pa.__version__.split(".")[0])
ROOT = Path(__file__).parents[2]


def there_and_back(value: object) -> Any:
    packed = pack_table(value, 1.5)
    assert packed is not None
    header = arrays.parse_header(packed.header)
    assert isinstance(header, TableHeader | FrameHeader)
    assert header.time == 1.5
    return unpack_table(header, memoryview(packed.to_bytes()))


# ---- tables ----

TABLES = {
    "numbers": pa.table({"a": [1, 2, None], "b": [1.5, float("nan"), 0.0], "c": [True, None, False]}),
    "texts": pa.table({"a": ["x", None, "ü"], "b": [b"x", b"", None]}),
    "times": pa.table({"a": pa.array([0, 1], pa.timestamp("us", "Europe/Berlin")), "b": pa.array([0, 1], pa.date32())}),
    "nested": pa.table({"a": [[1, 2], None, []], "b": [{"x": 1, "y": "z"}, None, {}]}),
    "maps": pa.table({"a": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64()))}),
    "categories": pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode()}),
    "chunks": pa.table({"a": pa.chunked_array([[1, 2], [3], []])}),
    "part of a table": pa.table({"a": list(range(100)), "b": [str(n) for n in range(100)]})[10:20],
    "nothing but nulls": pa.table({"a": pa.nulls(3)}),
    "no rows": pa.table({"a": pa.array([], pa.int8())}),
    "no columns": pa.table({}),
    "two columns of one name": pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]),
    "metadata": pa.table({"a": [1]}).replace_schema_metadata({"key": "value", b"\xff": b"\xfe"}),
    "a frame's table": pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="i"))),
}
FRAMES_TABLE = TABLES["a frame's table"]
TABLES["metadata beside that of pandas"] = FRAMES_TABLE.replace_schema_metadata(
    {**FRAMES_TABLE.schema.metadata, b"key": b"value"}
)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_arrives_as_it_was(name: str) -> None:
    table = TABLES[name]
    result = there_and_back(table)
    assert result.schema == table.schema
    # As text, for nan is not equal to itself.
    assert repr(result.to_pydict()) == repr(table.to_pydict())
    metadata = table.schema.metadata or {}
    if b"pandas" in metadata:
        pd.testing.assert_frame_equal(result.to_pandas(), table.to_pandas())
        metadata = {**metadata, b"pandas": result.schema.metadata[b"pandas"]}
    assert (result.schema.metadata or {}) == metadata


def test_a_batch_arrives_as_a_table() -> None:
    assert there_and_back(pa.RecordBatch.from_pydict({"a": [1, 2]})) == pa.table({"a": [1, 2]})


def test_a_table_lies_over_the_body_that_came_and_cannot_write_to_it() -> None:
    packed = pack_table(pa.table({"a": np.arange(1000.0)}), 1.0)
    assert packed is not None
    body = np.frombuffer(packed.to_bytes(), np.uint8).copy()
    table = unpack_table(TableHeader(time=1.0), body.data)
    data = table.column("a").chunk(0).buffers()[1]
    assert body.ctypes.data <= data.address < body.ctypes.data + len(body)
    while data is not None:
        assert not data.is_mutable
        data = data.parent


def test_a_body_anywhere_in_memory_can_be_read() -> None:
    packed = pack_table(pa.table({"a": np.arange(1000.0)}), 1.0)
    assert packed is not None
    for offset in range(9):
        memory = bytearray(offset + packed.size)
        packed.write_into(memoryview(memory)[offset:])
        table = unpack_table(TableHeader(time=1.0), memoryview(memory)[offset:])
        assert table.column("a").to_pylist() == list(range(1000))
        assert all(buffer.address % 8 == 0 for buffer in table.column("a").chunk(0).buffers() if buffer is not None)


def test_a_table_is_written_to_the_beginning_of_a_larger_buffer() -> None:
    table = pa.table({"a": [1, 2, 3]})
    packed = pack_table(table, 1.0)
    assert packed is not None
    target = bytearray(b"." * (packed.size + 100))
    packed.write_into(memoryview(target))
    assert target[packed.size :] == b"." * 100
    assert unpack_table(TableHeader(time=1.0), memoryview(target)[: packed.size]) == table


# ---- frames ----

FRAMES = {
    "numbers": pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "c": [True, False], "d": np.array([1, 2], "u1")}),
    "texts": pd.DataFrame({"a": ["x", "ü"], "b": [b"x", b""]}),
    "times": pd.DataFrame(
        {
            "a": pd.date_range("2020", periods=2),
            "b": pd.date_range("2020", periods=2, tz="Europe/Berlin"),
            "c": pd.to_timedelta([1, 2], "s"),
            "d": [datetime.date(2020, 1, 1), None],
        }
    ),
    "decimals": pd.DataFrame({"a": [decimal.Decimal("1.50"), None]}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y"], ["y", "x"], ordered=True)}),
    "pandas' own dtypes": pd.DataFrame(
        {
            "a": pd.array([1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "c": pd.array(["x", None], dtype="string"),
            "d": pd.array([1.5, None], dtype="Float32"),
        }
    ),
    "Arrow's dtypes": pd.DataFrame(
        {"a": pd.array([1, None], dtype="int64[pyarrow]"), "b": pd.array([1, 2], dtype="timestamp[us][pyarrow]")}
    ),
    "lists and dicts": pd.DataFrame({"a": [[1, 2], [3]], "b": [{"x": 1}, {"x": 2}]}),
    "no values": pd.DataFrame({"a": [None, None]}),
    "an index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="i")),
    "a range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r")),
    "an index of times": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, tz="UTC", name="t")),
    "an index of categories": pd.DataFrame({"a": [1, 2]}, index=pd.CategoricalIndex(["x", "y"])),
    "levels of an index": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("u", 1), ("v", 2)], names=["k", None])),
    "levels of names": pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b'\"", "y\\n)")], names=["one", "two"])
    ),
    "levels of names and numbers": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "levels of both": pd.DataFrame(
        [[1, 2]], index=pd.Index(["p"], name="i"), columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")])
    ),
    "names that are numbers": pd.DataFrame([[1, 2]]),
    "names that are times": pd.DataFrame([[1, 2]], columns=pd.date_range("2020", periods=2)),
    "no rows": pd.DataFrame({"a": np.zeros(0)}),
    "nothing": pd.DataFrame(),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_arrives_as_it_was(name: str) -> None:
    frame = FRAMES[name]
    pd.testing.assert_frame_equal(there_and_back(frame), frame, check_freq=False)


@pytest.mark.skipif(MAJOR < 18, reason="this pyarrow leaves it out")
def test_what_is_noted_on_a_frame_arrives_too() -> None:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"source": "here", "n": [1, {"x": None}]}
    assert there_and_back(frame).attrs == frame.attrs


def test_many_missing_values_beside_others_arrive() -> None:
    frame = pd.DataFrame({"a": np.zeros(5_000_000, "i1"), "b": None})
    result = there_and_back(frame)
    assert len(result) == len(frame)
    assert result["b"].isna().all()


def test_lists_and_maps_of_all_kinds_become_a_frame() -> None:
    table = pa.table(
        {
            "a": pa.array([[1], [2, 3], None], pa.large_list(pa.int8())),
            "b": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
            "c": pa.array([[("k", [1])], [], None], pa.map_(pa.string(), pa.list_(pa.int8()))),
        }
    )
    packed = pack_table(table, 1.0)
    assert packed is not None
    frame = unpack_table(FrameHeader(time=1.0), packed.to_bytes())
    assert [None if value is None else list(value) for value in frame["b"]] == [[1, 2], None, [3, 4]]
    assert frame.shape == (3, 3)


# ---- what cannot be sent ----


@pytest.mark.parametrize("value", [None, 1, "text", [1], {"a": 1}, np.zeros(3), pd.Series([1]), pa.array([1]), pa.schema([])])
def test_other_values_are_none_of_its_business(value: object) -> None:
    assert pack_table(value, 1.0) is None


UNSENDABLE: dict[str, tuple[object, str]] = {
    "objects": (pd.DataFrame({"col": [object()]}), "col.*one type"),
    "all kinds of objects": (pd.DataFrame({"col": [1, "x"]}), "col.*one type"),
    "complex numbers": (pd.DataFrame({"col": [1j]}), "col.*one type"),
    "two columns of one name": (pd.DataFrame([[1, 2]], columns=["col", "col"]), "Duplicate column names.*col"),
    "periods": (pd.DataFrame({"col": pd.period_range("2020", periods=2)}), "extension type.*cast"),
    "intervals": (pd.DataFrame({"col": pd.cut([1, 2], 2)}), "extension type.*cast"),
    "names that are intervals": (pd.DataFrame([[1]], columns=pd.IntervalIndex.from_breaks([0, 1])), "numpy_type"),
    "rows without columns": (pd.DataFrame(index=range(3)), "rows without columns"),
    "a table of rows without columns": (pa.table({"a": [1]}).select([]), "rows without columns"),
    "next to nothing": (pd.DataFrame({"a": [None]}, index=range(5_000_000)), "without any value"),
    "empty lists": (pd.DataFrame({"a": [[]] * 400_000}), "type.*null"),
    "lists of bits": (pd.DataFrame({"a": [{"x": True}] * 400_000}), "of next to nothing"),
    "too many batches": (pa.Table.from_batches([pa.RecordBatch.from_pydict({"a": [1]})] * 65_537), "combine_chunks"),
}


@pytest.mark.parametrize("name", UNSENDABLE)
def test_what_cannot_be_sent_is_told_with_what_to_do(name: str) -> None:
    value, words = UNSENDABLE[name]
    with pytest.raises(TypeError, match=words):
        pack_table(value, 1.0)


class Evil:
    """Arrow asks a value for its array, if it has one."""

    def __arrow_array__(self, type: object = None) -> object:
        raise RuntimeError("surprise")


def test_whatever_a_value_raises_is_told_as_that_it_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        pack_table(pd.DataFrame({"col": pd.Series([Evil()], dtype=object)}), 1.0)


# ---- libraries ----


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_neither_library_is_loaded_for_other_values() -> None:
    code = (
        "import sys; from forge_rtc_nb.kernel.tables import pack_table; import numpy\n"
        "assert pack_table(numpy.zeros(3), 1.0) is None\n"
        "unwanted = ('pyarrow', 'pandas', 'forge_rtc_nb.kernel.tables_arrow')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    assert run(code) == "[]"


def without(module: str, what: str) -> str:
    """The error of a kernel in which a library is missing."""
    return run(
        f"import sys; sys.modules[{module!r}] = None\n"
        "from forge_rtc_nb.arrays import FrameHeader, TableHeader\n"
        "from forge_rtc_nb.kernel.tables import pack_table, unpack_table\n"
        f"try:\n    {what}\nexcept ImportError as error:\n    print(error)"
    )


def test_a_missing_library_is_named_with_how_to_get_it() -> None:
    assert 'pip install "forge_rtc_nb[arrow]"' in without("pyarrow", "unpack_table(TableHeader(time=1.0), b'')")
    assert 'pip install "forge_rtc_nb[pandas]"' in without("pyarrow", "unpack_table(FrameHeader(time=1.0), b'')")
    assert 'pip install "forge_rtc_nb[pandas]"' in without("pandas", "unpack_table(FrameHeader(time=1.0), b'')")
    frame = "import pandas; pack_table(pandas.DataFrame({'a': [1]}), 1.0)"
    assert 'pip install "forge_rtc_nb[pandas]"' in without("pyarrow", frame)


@pytest.mark.parametrize("version", ["14.0.0", "13.0.0", "9.0.0", "14.0.0.dev5"])
def test_a_pyarrow_that_runs_what_streams_say_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pa, "__version__", version)
    with pytest.raises(ImportError, match=r"pyarrow.*14\.0\.1"):
        pack_table(pa.table({"a": [1]}), 1.0)
    with pytest.raises(ImportError, match=r"pyarrow.*14\.0\.1"):
        unpack_table(TableHeader(time=1.0), b"")


@pytest.mark.parametrize("version", ["14.0.1", "14.0.2", "15.0.0", "100.0.0.dev1"])
def test_a_pyarrow_that_does_not_is_used(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pa, "__version__", version)
    assert there_and_back(pa.table({"a": [1]})) == pa.table({"a": [1]})
    with pytest.raises(InvalidValue):
        unpack_table(TableHeader(time=1.0), b"")
