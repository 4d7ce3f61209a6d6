"""What the schema of a table from others says to pandas is what pyarrow would say, or it is refused (test process)."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from forge_rtc_nb.arrays import FrameHeader, TableHeader
from forge_rtc_nb.kernel.tables import unpack_table
from tests.unit.streams import FRAME, TABLE, refused, stream


def saying(**changes: Any) -> bytes:
    """A frame in whose schema something else is said to pandas."""
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="i")))
    said = {**json.loads(table.schema.metadata[b"pandas"]), **changes}
    return stream(table.replace_schema_metadata({b"pandas": json.dumps(said)}))


def column(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "field_name": "a", "pandas_type": "int64", "numpy_type": "int64", "metadata": None, **changes}


def level(**changes: Any) -> dict[str, Any]:
    return {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": None, **changes}


def test_what_is_said_to_pandas_is_what_the_tests_below_change() -> None:
    assert list(unpack_table(FRAME, saying()).index) == ["p", "q"]
    assert list(unpack_table(FRAME, saying(columns=[column(), column(name="i", field_name="i")])).index) == ["p", "q"]
    assert list(unpack_table(FRAME, saying(column_indexes=[level()])).columns) == ["a"]


LONG = "S2000000000"
SAYINGS: dict[str, dict[str, Any]] = {
    "a dtype of gigabytes": {"column_indexes": [level(numpy_type=LONG)]},
    "a type of gigabytes": {"column_indexes": [level(pandas_type=LONG)]},
    "a structured dtype": {"column_indexes": [level(numpy_type="i8,(1000000000,)i8")]},
    "a dtype of a library": {"columns": [column(numpy_type="pint[__import__('os')]")]},
    "an extension dtype": {"columns": [column(numpy_type="period[D]")]},
    "a dtype of many lines": {"columns": [column(numpy_type="int64\n")]},
    "no dtype": {"columns": [{"name": "a", "field_name": "a"}]},
    "a dtype that is a number": {"columns": [column(numpy_type=7)]},
    "a name that is a list": {"columns": [column(name=["a"])]},
    "an index that is not there": {"index_columns": ["nowhere"]},
    "an index of another kind": {"index_columns": [{"kind": "code", "name": "x"}]},
    "an index of no steps": {"index_columns": [{"kind": "range", "name": None, "start": 0, "stop": 2, "step": 0}]},
    "a range beyond all numbers": {"index_columns": [{"kind": "range", "name": None, "start": 0, "stop": 10**40, "step": 1}]},
    "details that are deep": {"columns": [column(metadata={"timezone": [[]]})]},
    "a list": {"columns": 3},
    "attributes that are a list": {"attributes": [1]},
}


@pytest.mark.parametrize("name", SAYINGS)
def test_what_pyarrow_would_not_say_to_pandas_is_refused(name: str) -> None:
    refused(FRAME, saying(**SAYINGS[name]))


NAMES = [
    "__import__('os')",
    "(" * 100_000,
    "('a', 1+1j)",
    "(('a', 'b'), 'c')",
    "('a', 'b')*9",
    "('a', 'b'), []",
    "('a',\n'b')",
    "",
    None,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name:.20}" if name else repr(name))
def test_names_of_several_levels_are_tuples_of_texts_and_nothing_else_that_python_would_read(name: str | None) -> None:
    levels = {"column_indexes": [level(), level()]}
    index = column(name="i", field_name="i")
    assert list(unpack_table(FRAME, saying(**levels, columns=[column(name="('a', None)"), index])).columns.codes)
    assert "no tuple of texts" in refused(FRAME, saying(**levels, columns=[column(name=name), index]))


def test_what_nobody_knows_is_not_handed_on_to_pandas() -> None:
    table = unpack_table(TABLE, saying(surprise=1, columns=[column(surprise=1), column(name="i", field_name="i")]))
    assert b"surprise" not in table.schema.metadata[b"pandas"]
    assert list(table.to_pandas().index) == ["p", "q"]


@pytest.mark.parametrize("said", [b"", b"{}", b"[]", b"\xff", b"null", b"[" * 100_000, b'{"index_columns":' * 10_000])
@pytest.mark.parametrize("header", [TABLE, FRAME], ids=["table", "frame"])
def test_what_is_no_metadata_of_pandas_is_refused_in_tables_too(said: bytes, header: TableHeader | FrameHeader) -> None:
    assert "pandas metadata" in refused(header, stream(pa.table({"a": [1]}).replace_schema_metadata({b"pandas": said})))


def test_a_table_from_elsewhere_becomes_a_frame_without_it() -> None:
    pd.testing.assert_frame_equal(unpack_table(FRAME, stream(pa.table({"a": [1]}))), pd.DataFrame({"a": [1]}))


def test_a_time_zone_is_no_path() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": pd.date_range("2020", periods=2, tz="UTC")}))
    data = stream(table)
    assert data.count(b"UTC") > 1
    refused(FRAME, data.replace(b"UTC", b"../"))
