"""Arrow tables and pandas frames as a header and a body, and back. Runs in the kernel process; no I/O.

The body is an Arrow IPC stream. pyarrow and pandas, and what is needed only with them (`tables_arrow`), are imported where one
of their values is sent or has come: who sends arrays does not need them.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from ..arrays import Body, FrameHeader, Packed, TableHeader

OLDEST_PYARROW = (14, 0, 1)
"""Older ones run what a stream tells them to (CVE-2023-47248)."""


def pack_table(value: object, time: float) -> Packed | None:
    """A pyarrow ``Table`` or ``RecordBatch``, or a pandas ``DataFrame``, as header and body; None for any other value.

    It refers to the value's own memory until it is written somewhere. ``time`` is Unix seconds.
    Errors: `TypeError` for what cannot be sent, with what to do; `ImportError` where pyarrow is missing or too old.
    """
    is_frame = _is_a("pandas", "DataFrame", value)
    is_batch = _is_a("pyarrow", "RecordBatch", value)
    if not (is_frame or is_batch or _is_a("pyarrow", "Table", value)):
        return None
    pyarrow = _pyarrow("pandas" if is_frame else "arrow")
    from . import tables_arrow

    if is_frame:
        return tables_arrow.pack(pyarrow, tables_arrow.from_pandas(pyarrow, value), FrameHeader(time=time))
    table = pyarrow.Table.from_batches([value]) if is_batch else value
    return tables_arrow.pack(pyarrow, table, TableHeader(time=time))


def unpack_table(header: TableHeader | FrameHeader, body: Body) -> Any:
    """A ``Table`` over the body's own memory, which it keeps alive, or a ``DataFrame``.

    Errors: `InvalidValue`; `ImportError` where pyarrow or pandas is missing or too old.
    """
    pyarrow = _pyarrow("pandas" if isinstance(header, FrameHeader) else "arrow")
    if isinstance(header, FrameHeader):
        _need_pandas()
    from . import tables_arrow

    return tables_arrow.unpack(pyarrow, header, body)


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
