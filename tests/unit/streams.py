"""Arrow streams as others may send them, and how they must be refused (test process)."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pyarrow as pa
import pytest

from forge_rtc_nb.arrays import FrameHeader, InvalidValue, TableHeader
from forge_rtc_nb.kernel.tables import unpack_table

TABLE = TableHeader(time=1.0)
FRAME = FrameHeader(time=1.0)


def stream(table: Any, **options: Any) -> bytes:
    """As Arrow writes it, without a look at what it is."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(allow_64bit=True, **options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def refused(header: TableHeader | FrameHeader, data: bytes) -> str:
    """Why a stream is refused; it must be, and nothing large is allocated for it."""
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue) as caught:
            unpack_table(header, memoryview(data))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000 + 10 * len(data)
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 10_000_000
    return str(caught.value)
