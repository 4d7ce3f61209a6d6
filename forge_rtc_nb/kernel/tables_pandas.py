"""What a table's schema says to pandas: index, names, dtypes, as JSON of others. Runs in the kernel process; no I/O.

pyarrow hands these texts on to whatever reads dtypes, time zones and names of columns in numpy, pandas and Python. So only what
it writes itself gets through; what cannot be said that way is refused to its sender already.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from ..arrays import InvalidValue

KEY = b"pandas"

Text = Annotated[str, msgspec.Meta(max_length=256)]
Scalar = str | int | float | bool | None
NumpyType = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:object|bool|boolean|category|str|string|string\[(?:python|pyarrow)\]"
        r"|[uU]?[iI]nt(?:8|16|32|64)|[fF]loat(?:16|32|64)|(?:datetime|timedelta)64\[(?:s|ms|us|ns)\]"
        r"|datetime64\[(?:s|ms|us|ns), [A-Za-z0-9_+:/-]{1,64}\]"
        r"|[a-z]{2,12}[0-9]{0,2}(?:\[[a-z]{1,4}\])?\[pyarrow\])\Z"
    ),
]
"""A dtype by its name, as pandas writes it."""
LogicalType = Annotated[
    str,
    msgspec.Meta(pattern=r"^(?:[a-z]{2,16}[0-9]{0,2}(?:-[a-z]{1,16}){0,2}|(?:datetime|timedelta)64\[(?:s|ms|us|ns)\])\Z"),
]
"""What pyarrow calls the values of an index."""
Details = dict[Text, Text | int | bool | None] | None


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A column, or a level of the columns' names."""

    name: Scalar = None
    numpy_type: NumpyType
    metadata: Details = None


class Column(Described, frozen=True, kw_only=True):
    name: str | None = None
    field_name: str
    pandas_type: Text


class Level(Described, frozen=True, kw_only=True):
    field_name: Scalar = None
    pandas_type: LogicalType


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """A ``RangeIndex``."""

    kind: Literal["range"]
    name: Scalar = None
    start: int
    stop: int
    step: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """As in pandas' documentation for developers, "Storing pandas DataFrame objects in Apache Parquet format"."""

    index_columns: list[str | Range]
    column_indexes: list[Level]
    columns: list[Column]
    attributes: dict[str, Any] = {}
    creator: dict[Text, Text] = {}
    pandas_version: Text | None = None


_decoder = msgspec.json.Decoder(Metadata)
_path = re.compile(r"`\$\.?(.+)`")
_encode = msgspec.json.Encoder().encode

# A tuple of texts, of which Python's own parser makes nothing else.
_TEXT = r"""(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|None)"""
_tuple = re.compile(rf"\({_TEXT}(?:, {_TEXT})*,?\)")


def checked_metadata(schema: Any) -> dict[bytes, bytes] | None:
    """The metadata of a schema, in which what is said to pandas is as pyarrow writes it. `InvalidValue` where it cannot be."""
    metadata: dict[bytes, bytes] | None = schema.metadata
    if not metadata or KEY not in metadata:
        return metadata
    try:
        said = _decoder.decode(str(metadata[KEY], "utf-8"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        where = _path.search(str(error))
        place = where[1] if where else "its beginning"
        raise InvalidValue(f"its index, names or dtypes are of a kind that cannot be told (pandas metadata, {place})") from None
    if len(said.column_indexes) > 1:
        _check_names(schema, said)
    return {**metadata, KEY: _encode(said)}


def _check_names(schema: Any, said: Metadata) -> None:
    """Where the names of columns have several levels pyarrow has Python read them."""
    names = {column.field_name: column.name for column in said.columns}
    for field in schema.names:
        name = names.get(field, field)
        if field not in said.index_columns and (name is None or not _tuple.fullmatch(name)):
            raise InvalidValue(f"the name {name!r:.100} of a column is no tuple of texts")
