"""Any value as header and body, and back, tables too (runs in the kernel)."""

from __future__ import annotations

import time
from typing import Any

from .. import arrays
from ..arrays import Packed
from .tables import pack_table, unpack_table


def pack(value: object) -> Packed:
    """A value that can be sent. Errors: `TypeError`, `ValueError`, each with what to do."""
    now = time.time()
    return pack_table(value, now) or arrays.pack(value, now)


def unpack(data: bytes, body: bytes | memoryview) -> tuple[arrays.ValueHeader, Any]:
    """Header and value. `InvalidValue` for what is none, `ImportError` where reading it needs a package that is not there."""
    header = arrays.parse_header(data)
    if isinstance(header, arrays.TableHeader | arrays.FrameHeader):
        return header, unpack_table(header, body)
    return header, arrays.unpack(header, body)
