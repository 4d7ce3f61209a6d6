"""Arrow tables as Arrow IPC streams, and back. Runs in the kernel process, where there are such tables; no I/O.

What others send is looked through before Arrow or pandas interpret it (`tables_check`, `tables_pandas`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from ..arrays import Body, FrameHeader, InvalidValue, Packed, TableHeader
from .tables_check import check_count, check_frame, check_messages, check_schema
from .tables_pandas import checked_metadata

ALIGNMENT = 8
"""Bytes, of what Arrow takes from a body without copying it."""

_encode = msgspec.json.Encoder().encode


# ---- out ----


def from_pandas(pyarrow: Any, frame: Any) -> Any:
    """The table of a ``DataFrame``. `TypeError` names the column that cannot be sent."""
    try:
        table = pyarrow.Table.from_pandas(frame)
    except Exception as error:  # it asks the values of object columns, which raise what they like
        reason = ", ".join(str(part) for part in error.args).rstrip(".")
        raise TypeError(
            f"this DataFrame cannot be sent: {reason}. Give each column one type that Arrow knows (.astype), or drop it"
        ) from None
    _need_columns(table, len(frame))
    return table


def _need_columns(table: Any, rows: int) -> None:
    if rows and not table.num_columns:
        raise TypeError("a table of rows without columns cannot be sent: nothing in it says how many there are")


def pack(pyarrow: Any, table: Any, header: TableHeader | FrameHeader) -> Packed:
    """A table that is ready to be sent. `TypeError` where its receivers would refuse it."""
    _need_columns(table, table.num_rows)
    try:
        check_schema(memoryview(table.schema.serialize()))
        table = table.replace_schema_metadata(checked_metadata(table.schema))
        counter = pyarrow.MockOutputStream()
        check_count(_write(pyarrow, table, counter))
        if isinstance(header, FrameHeader):
            check_frame(pyarrow, table, counter.size())
    except (InvalidValue, pyarrow.ArrowException) as error:
        raise TypeError(f"this {'table' if header.kind == 'table' else 'DataFrame'} cannot be sent: {error}") from None
    return Packed(_encode(header), counter.size(), partial(_write_into, pyarrow, table))


def _write_into(pyarrow: Any, table: Any, target: memoryview) -> None:
    with pyarrow.FixedSizeBufferWriter(pyarrow.py_buffer(target)) as sink:
        _write(pyarrow, table, sink)


def _write(pyarrow: Any, table: Any, sink: Any) -> int:
    """How many messages it took."""
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return int(writer.stats.num_messages)


# ---- in ----


def unpack(pyarrow: Any, header: TableHeader | FrameHeader, body: Body) -> Any:
    """`InvalidValue` where a body is not what its header says."""
    try:
        table = _read(pyarrow, body)
        if isinstance(header, TableHeader):
            return table
        check_frame(pyarrow, table, len(body))
        return table.to_pandas()
    except InvalidValue:
        raise
    except Exception as error:  # Arrow and pandas raise all kinds over what others have made up
        raise InvalidValue(f"not a {header.kind} value: {error}") from None


def _read(pyarrow: Any, body: Body) -> Any:
    buffer = pyarrow.py_buffer(memoryview(body).toreadonly())
    if buffer.address % ALIGNMENT:
        buffer = pyarrow.py_buffer(bytes(body))
    check_messages(pyarrow, buffer)
    with pyarrow.ipc.open_stream(buffer) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table.replace_schema_metadata(checked_metadata(table.schema))
