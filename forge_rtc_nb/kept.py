"""Memory that messages had, kept with its pages for a moment: the next message is often of the same size. Kernel and engine
use it."""

from __future__ import annotations

import time
from collections import deque
from typing import Final, NamedTuple

LEAST: Final = 256 << 10
MOST: Final = 32 << 20
"""Bytes of an extent that is kept. To have pages of less takes no time that anybody would notice."""
COUNT: Final = 4
"""Extents that are kept at once."""
SECONDS: Final = 2.0
"""Then their pages go back to the system."""


class Span(NamedTuple):
    """Where an extent was, and the steps of it that have their pages."""

    offset: int
    size: int
    steps: set[int]


class Kept:
    """Extents that nobody has a view of any more. `keep` is called by the garbage collector too, wherever it runs; the others
    one at a time, by whoever has the arena's lock."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, Span]] = deque()

    def __bool__(self) -> bool:
        return bool(self._spans)

    def keep(self, span: Span) -> bool:
        """Whether it is worth it, and there is room."""
        if not LEAST <= span.size <= MOST or len(self._spans) >= COUNT:
            return False
        self._spans.append((time.monotonic(), span))
        return True

    def take(self, size: int) -> Span | None:
        """One of exactly this size, to be used again; it is full of what it had."""
        found: Span | None = None
        for _ in range(len(self._spans)):
            since, span = self._spans.popleft()
            if found is None and span.size == size:
                found = span
            else:
                self._spans.append((since, span))
        return found

    def leave(self, seconds: float = 0.0) -> list[Span]:
        """Those that have been here for so long: they are kept no more."""
        over: list[Span] = []
        until = time.monotonic() - seconds
        for _ in range(len(self._spans)):
            since, span = self._spans.popleft()
            if since <= until:
                over.append(span)
            else:
                self._spans.append((since, span))
        return over
