"""How much of a mapping's room is taken, by keys and bytes; pure (engine process)."""

from __future__ import annotations


class Budget:
    """Counts for each key the bytes that it takes, or will when what was asked for is here."""

    def __init__(self, keys: int, limit: int) -> None:
        self._keys = keys
        self._limit = limit
        self._weights: dict[str, int] = {}
        self._total = 0
        self.freed = False
        """Something has become smaller since somebody last set this to False."""

    def has_room_for(self, key: str) -> bool:
        """Whether it is there already, or another key may be."""
        return key in self._weights or len(self._weights) < self._keys

    def fits(self, key: str, size: int) -> bool:
        """Whether the key may take so many bytes instead of what it takes now."""
        return self.has_room_for(key) and self.total_with(key, size) <= self._limit

    def total_with(self, key: str, size: int) -> int:
        return self._total - self._weights.get(key, 0) + size

    def set(self, key: str, weight: int | None) -> None:
        """The key takes so many bytes now; None: it is not there."""
        before = self._weights.pop(key, None)
        if weight is not None:
            self._weights[key] = weight
        self._total += (weight or 0) - (before or 0)
        if before is not None and (weight is None or weight < before):
            self.freed = True
