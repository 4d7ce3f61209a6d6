"""A set of numbers as sorted, disjoint ranges: the TSNs that have arrived out of order; pure (engine process)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Ranges:
    """Costs a search a change, however many numbers there are in it."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and self._ends[at] >= number

    def __len__(self) -> int:
        return len(self._starts)

    def blocks(self, most: int) -> list[tuple[int, int]]:
        """The lowest ``most`` ranges, both ends inclusive."""
        return list(zip(self._starts[:most], self._ends[:most], strict=True))

    def add(self, start: int, end: int) -> None:
        """All from ``start`` to ``end``, which may be in it already."""
        left = bisect_left(self._ends, start - 1)
        right = bisect_right(self._starts, end + 1)
        if left < right:
            start = min(start, self._starts[left])
            end = max(end, self._ends[right - 1])
        self._starts[left:right] = [start]
        self._ends[left:right] = [end]

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges between ``start`` and ``end`` that are not in it."""
        holes = []
        at = bisect_left(self._ends, start)
        while start <= end:
            if at == len(self._starts) or self._starts[at] > end:
                holes.append((start, end))
                break
            if start < self._starts[at]:
                holes.append((start, self._starts[at] - 1))
            start = self._ends[at] + 1
            at += 1
        return holes

    def advance(self, through: int) -> int:
        """Forgets all up to ``through`` and what adjoins it; returns the last number of that."""
        at = bisect_right(self._starts, through + 1)
        if at:
            through = max(through, self._ends[at - 1])
            del self._starts[:at], self._ends[:at]
        return through

    def clear(self) -> None:
        self._starts.clear()
        self._ends.clear()
