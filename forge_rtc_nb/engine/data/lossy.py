"""The receiving half of a data channel on which frames may be lost: the newest message wins; pure (engine process)."""

from __future__ import annotations

from collections import deque

from ...frames import Begin, More
from .assembly import Assembly
from .receiving import Receiving, Store
from .violation import Violation

ASSEMBLIES = 4
"""Messages that are put together at once: parts of several may be under way where they come in any order."""
ORPHANS = 16
"""Parts kept whose message has not begun: those of one frame that was overtaken."""


class LossyInlet(Receiving):
    """As `Inlet`, without credit and confirmation; a message older than one that is complete is dropped."""

    def __init__(self, store: Store, ordered: bool = True) -> None:
        super().__init__(store, ordered)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._assemblies: dict[int, Assembly] = {}
        self._orphans: deque[More] = deque(maxlen=ORPHANS)
        self._over = 0
        """The newest message that is complete, or given up."""

    def restart(self) -> None:
        self._drop(list(self._assemblies))
        self._begin_anew()

    def _begin(self, frame: Begin) -> None:
        if frame.number in self._assemblies:
            raise Violation(f"message {frame.number} begins twice")
        if frame.number <= self._over:
            return
        self._checked(frame)
        while not self._store.admit(frame.size):
            oldest = min(self._assemblies, default=frame.number)
            if oldest >= frame.number:
                return
            self._drop([oldest])  # an older one that is not complete is in the way of a newer one
        assembly = Assembly(frame, "")
        try:
            assembly.admit(self._store.allocate(frame.size))
        except MemoryError:
            self._store.give_up(frame.size, None)
            raise
        self._assemblies[frame.number] = assembly
        for part in [part for part in self._orphans if part.number == frame.number]:
            self._orphans.remove(part)
            assembly.add(part.offset, part.body)
        self._finish(assembly)
        self._drop(sorted(self._assemblies)[:-ASSEMBLIES])

    def _more(self, frame: More) -> None:
        assembly = self._assemblies.get(frame.number)
        if assembly is not None:
            assembly.add(frame.offset, frame.body)
            self._finish(assembly)
        elif frame.number > self._over and not self._ordered:
            self._orphans.append(frame)

    def _finish(self, assembly: Assembly) -> None:
        if not assembly.complete:
            return
        del self._assemblies[assembly.number]
        self._over = max(self._over, assembly.number)
        self._drop([number for number in self._assemblies if number < assembly.number])
        self._store.deliver(assembly.header, assembly.size, assembly.body)

    def _abort(self, number: int) -> None:
        self._drop([number])

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            if (assembly := self._assemblies.pop(number, None)) is not None:
                self._store.give_up(assembly.size, assembly.place)
