"""What one replica of the shared mapping keeps of another one that it is connected to; pure (engine process)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .assembly import Memory
from .replica_wire import MAX_KEYS, Entry, Have, Version

MAX_ASKED = 64
"""Values that are asked of one peer at a time, so that those who have the same share the work."""
MAX_HAS = 2 * MAX_KEYS
"""Values that a peer may announce. Twice as many as there can be: it may forget a deleted key before it has told of it."""


Body = bytes | memoryview | Memory


@dataclass(frozen=True, slots=True)
class Held:
    """An entry with its value's body, which is kept by reference."""

    entry: Entry
    body: Body

    @property
    def deleted(self) -> bool:
        return self.entry.value is None

    @property
    def version(self) -> Version:
        return self.entry.version


@dataclass(slots=True)
class Peer:
    """As long as one data channel is open. Everything here is bounded by the number of keys."""

    dirty: dict[str, None] = field(default_factory=dict)
    """Keys of which it has to be told, in order; all of them are held here."""
    told_all: bool = False
    """It was told everything that was here when the data channel opened."""
    has: dict[str, Entry] = field(default_factory=dict)
    """What it announced last of each key, as long as that is newer than what is here."""
    askable: dict[str, None] = field(default_factory=dict)
    """Keys whose values may have to be asked of it, in order."""
    asked: dict[str, Entry] = field(default_factory=dict)
    """What it was asked for and has not answered: what it announced last of those keys."""
    requests: dict[str, Version] = field(default_factory=dict)
    """What it asks for, in order."""
    pinned: Held | None = None
    """What it was told of a moment ago, and is sent next, whatever has happened since."""
    turn: int = 0
    listed: bool = False
    """It has told everything that it had when the data channel opened."""
    awaited: set[str] = field(default_factory=set)
    """Keys of that which are still neither here nor given up."""

    def forget(self, key: str) -> None:
        """There is nothing new of this key to be had from it."""
        self.has.pop(key, None)
        self.awaited.discard(key)

    def could_have(self, message: Have) -> bool:
        """Whether an honest replica can hold all that besides what it announced before."""
        new = {entry.key for entry in message.entries if entry.value is not None}
        return len(self.has) + len(new - self.has.keys()) <= MAX_HAS

    def has_listed_all(self) -> None:
        if not self.listed:
            self.listed = True
            self.awaited = set(self.has)
