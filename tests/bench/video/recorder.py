"""Notes when pictures arrive as arrays, and when they were drawn; and the loop of our own peer (kernel)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

from numpy.typing import NDArray

from tests.bench.video.stamps import drawn

Row = tuple[float, float | None, int, int, int]
"""Arrival and drawing in Unix seconds (None: the stamp could not be read), height, width, bytes of its message."""


class HasArray(Protocol):
    """A frame, as a stream gives it."""

    @property
    def array(self) -> NDArray[Any]: ...


class Recorder:
    """All pictures that came to one reader. Grows by a tuple a picture; a round has some hundreds."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.error = ""

    def add(self, pixels: NDArray[Any], arrived: float, nbytes: int = 0) -> None:
        """``arrived`` is taken by the caller, at once when it has the array."""
        height, width = pixels.shape[:2]
        self.rows.append((arrived, drawn(pixels), height, width, nbytes))

    def within(self, begin: float, end: float) -> list[Row]:
        """The pictures that arrived in this time."""
        return [row for row in self.rows if begin <= row[0] < end]

    def follow(self, frames: Iterable[HasArray]) -> threading.Thread:
        """Read a stream in a thread, to its end: the peer "ours", as a notebook would do it."""
        thread = threading.Thread(target=self._read, args=(frames,), name="bench-reader", daemon=True)
        thread.start()
        return thread

    def _read(self, frames: Iterable[HasArray]) -> None:
        try:
            for frame in frames:
                self.add(frame.array, time.time())
        except Exception as error:  # shown in the report: nobody sees a thread's traceback here
            self.error = f"{type(error).__name__}: {error}"
