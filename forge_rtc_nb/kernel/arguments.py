"""Numbers that users give (runs in the kernel; pure)."""

from __future__ import annotations

import operator
from typing import Any


def whole(name: str, value: Any, least: int, most: int, unit: str = "") -> int:
    """``value`` as an int. Errors: `TypeError` (no whole number), `ValueError` (out of its range), which say what it may be."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number{unit and f' of {unit}'}, not {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {least} to {most}{unit and f' {unit}'}, not {number}")
    return number
