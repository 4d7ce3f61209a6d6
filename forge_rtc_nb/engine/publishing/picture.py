"""A picture on its way from the kernel to the encoders (engine process)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .planes import Array


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels that somebody else may write again, as the kernel does with a slot of the ring."""

    pixels: Array
    pixel_format: str
    is_whole: Callable[[], bool] = _always
    """Asked after the pixels were read: whether they were one picture all the time."""
