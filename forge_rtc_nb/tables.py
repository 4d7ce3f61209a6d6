"""Arrow tables and pandas frames as a header and a body, and back. Runs in the kernel process; no I/O.

The body is an Arrow IPC stream. pyarrow and pandas are imported only where one of their values is sent or has come: who sends
arrays does not need them. What others send is looked through before Arrow or pandas interpret it (`tables_check`,
`tables_pandas`).
"""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import Any

import msgspec

from .arrays import Body, FrameHeader, InvalidValue, Packed, TableHeader
from .tables_check import check_count, check_frame, check_messages, check_schema
from .tables_pandas import checked_metadata

OLDEST_PYARROW = (14, 0, 1)
"""Older ones run what a stream tells them to (CVE-2023-47248)."""
ALIGNMENT = 8
"""Bytes, of what Arrow takes from a body without copying it."""

_encode = msgspec.json.Encoder().encode


def pack_table(value: object, time: float) -> Packed | None:
    """A pyarrow ``Table`` or ``RecordBatch``, or a pandas ``DataFrame``, as header and body; None for any other value.

    It refers to the value's own memory until it is written somewhere. ``time`` is Unix seconds.
    Errors: `TypeError` for what cannot be sent, with what to do; `ImportError` where pyarrow is missing or too old.
    """
    if _is_a("pandas", "DataFrame", value):
        pyarrow = _pyarrow("pandas")
        return _pack(pyarrow, _from_pandas(pyarrow, value), FrameHeader(time=time))
    if _is_a("pyarrow", "Table", value):
        return _pack(_pyarrow("arrow"), value, TableHeader(time=time))
    if _is_a("pyarrow", "RecordBatch", value):
        pyarrow = _pyarrow("arrow")
        return _pack(pyarrow, pyarrow.Table.from_batches([value]), TableHeader(time=time))
    return None


def unpack_table(header: TableHeader | FrameHeader, body: Body) -> Any:
    """A ``Table`` over the body's own memory, which it keeps alive, or a ``DataFrame``.

    Errors: `InvalidValue`; `ImportError` where pyarrow or pandas is missing or too old.
    """
    pyarrow = _pyarrow("pandas" if isinstance(header, FrameHeader) else "arrow")
    if isinstance(header, FrameHeader):
        _need_pandas()
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


# ---- out ----


def _from_pandas(pyarrow: Any, frame: Any) -> Any:
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


def _pack(pyarrow: Any, table: Any, header: TableHeader | FrameHeader) -> Packed:
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


def _read(pyarrow: Any, body: Body) -> Any:
    buffer = pyarrow.py_buffer(memoryview(body).toreadonly())
    if buffer.address % ALIGNMENT:
        buffer = pyarrow.py_buffer(bytes(body))
    check_messages(pyarrow, buffer)
    with pyarrow.ipc.open_stream(buffer) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table.replace_schema_metadata(checked_metadata(table.schema))


# ---- libraries ----


def _is_a(module: str, name: str, value: object) -> bool:
    """Whether a value is one of a library that need not be there: where it is not loaded there are no values of it."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _pyarrow(extra: str) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        what = "DataFrames" if extra == "pandas" else "Arrow tables"
        raise ImportError(f'{what} need pyarrow: pip install "forge_rtc_nb[{extra}]" in this environment') from None
    version = tuple(int(part) for part in re.findall(r"\d+", pyarrow.__version__)[:3])
    if version < OLDEST_PYARROW:
        oldest = ".".join(str(part) for part in OLDEST_PYARROW)
        raise ImportError(
            f"pyarrow {pyarrow.__version__} runs what a table from others tells it to: "
            f'pip install "pyarrow>={oldest}" and restart the kernel'
        )
    return pyarrow


def _need_pandas() -> None:
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise ImportError('DataFrames need pandas: pip install "forge_rtc_nb[pandas]" in this environment') from None
