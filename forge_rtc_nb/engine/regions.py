"""Which regions of the shared memory are in use (engine process)."""

from __future__ import annotations

from ..ring import REGIONS


class Regions:
    """A region is given out again only after both ends have unmapped it."""

    def __init__(self) -> None:
        self._free = list(range(REGIONS - 1, -1, -1))

    def take(self) -> int:
        """`MemoryError` where all are in use."""
        if not self._free:
            raise MemoryError(f"{REGIONS} streams are read or published at once; stop one first")
        return self._free.pop()

    def give(self, region: int) -> None:
        self._free.append(region)
