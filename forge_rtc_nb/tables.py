"""Arrow tables and pandas frames as values of channels (runs in the kernel)."""

from __future__ import annotations

from typing import Any

from . import arrays


def pack_table(value: object, time: float) -> arrays.Packed | None:
    """A table that is ready to be sent; None for what is none."""
    return None


def unpack_table(header: arrays.TableHeader | arrays.FrameHeader, body: bytes | memoryview) -> Any:
    """The table that a body is. `InvalidValue` where it is none."""
    raise arrays.InvalidValue(f"a {header.kind} cannot be read here")
