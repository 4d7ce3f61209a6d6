"""The receiving half of a data channel from one participant: frames become messages, as there is room; pure (engine process).

`docs/protocol.md`, Frames. Like an outlet it outlives its data channel, and forgets what was not complete at `restart`.
"""

from __future__ import annotations

from collections import deque

from ...frames import Begin, Frame, More, Taken
from .account import Account
from .assembly import Assembly
from .numbers import REMEMBERED, Numbers
from .receiving import Receiving, Store
from .violation import Violation

KEPT = 1024
"""Parts that are kept until there is a place for them: credit bounds their bytes, this what it costs to keep them."""


class Inlet(Receiving):
    """Of a reliable data channel."""

    def __init__(self, store: Store, ordered: bool = True) -> None:
        super().__init__(store, ordered)
        self._seen: deque[str] = deque(maxlen=2 * REMEMBERED)
        """Where parts come in any order, as many new messages may overtake those that are sent again."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._assemblies: dict[int, Assembly] = {}
        self._outside: deque[Assembly] = deque()
        """Those that were not admitted yet, in order."""
        self._orphans: dict[int, list[More]] = {}
        """Parts that came before the beginning of their message."""
        self._aborted: dict[int, int] = {}
        """Messages that were aborted before they began -> bytes of theirs that are paid for."""
        self._newest = 0
        self._numbers = Numbers()
        self._account = Account(self.replies)

    def restart(self) -> None:
        for assembly in self._assemblies.values():
            self._give_up(assembly)
        self.replies.clear()
        self._begin_anew()

    def receive(self, frame: Frame) -> None:
        super().receive(frame)
        self.advance()

    def advance(self) -> None:
        """Admit what there is room for now, in the order in which it came."""
        while self._outside and self._store.admit(self._outside[0].size):
            self._admit(self._outside.popleft())

    def _begin(self, frame: Begin) -> None:
        number = frame.number
        self._check_number(number)
        if (paid := self._aborted.pop(number, None)) is not None:
            self._account.spend(len(frame.body), messages=1)
            self._account.spend(frame.size - len(frame.body) - paid, checked=False)
            self._end(number, frame.size)
            return
        identity = self._checked(frame)
        self._account.spend(len(frame.body), messages=1)
        self._newest = max(self._newest, number)
        assembly = self._assemblies[number] = Assembly(frame, identity)
        for part in self._orphans.pop(number, []):
            assembly.add(part.offset, part.body)
        self._check_kept()
        if identity is None or identity in self._seen:
            self._remember(identity)
            assembly.ignore()
            self._account.grant(assembly.size, at_once=True)
            self._finish(assembly)
        else:
            self._outside.append(assembly)

    def _check_number(self, number: int) -> None:
        if self._ordered:
            if number != self._newest + 1:
                raise Violation(f"message {number} follows message {self._newest}")
            if any(not assembly.complete for assembly in self._assemblies.values()):
                raise Violation(f"message {number} begins before the one before it has ended")
        else:
            self._check_distance(number)
            if number in self._assemblies or self._numbers.is_over(number):
                raise Violation(f"message {number} begins twice")

    def _check_distance(self, number: int) -> None:
        if self._numbers.is_too_far(number):
            raise Violation(f"message {number} is too far ahead of those before it")

    def _more(self, frame: More) -> None:
        number, size = frame.number, len(frame.body)
        assembly = self._assemblies.get(number)
        if assembly is not None:
            if self._ordered and frame.offset != assembly.got:
                raise Violation(f"message {number} goes on at byte {frame.offset}, but has {assembly.got}")
            self._account.spend(size)
            assembly.add(frame.offset, frame.body)
            if assembly.kept:
                self._check_kept()
            self._finish(assembly)
        elif self._ordered:
            raise Violation(f"message {number} goes on, but is not under way")
        elif number not in self._aborted and not self._numbers.is_over(number):
            # What comes after its message was aborted is paid for already.
            self._check_distance(number)
            self._account.spend(size)
            self._orphans.setdefault(number, []).append(frame)
            self._check_kept()

    def _check_kept(self) -> None:
        kept = sum(assembly.kept for assembly in self._assemblies.values()) + sum(map(len, self._orphans.values()))
        if kept > KEPT:
            raise Violation(f"it sends more than {KEPT} parts of messages that cannot be put together yet")

    def _abort(self, number: int) -> None:
        assembly = self._assemblies.pop(number, None)
        if assembly is None:
            self._abort_unknown(number)
            return
        if assembly in self._outside:
            self._outside.remove(assembly)
            self._account.spend(assembly.size - assembly.got, checked=False)
            self._end(number, assembly.size)
            return
        self._give_up(assembly)
        self._account.spend(assembly.size - assembly.got, checked=False)
        self._numbers.end(number)

    def _abort_unknown(self, number: int) -> None:
        if self._numbers.is_over(number):
            return  # it was taken while this was on its way
        if self._ordered:
            raise Violation(f"message {number} is aborted before it began")
        self._check_distance(number)
        self._aborted[number] = sum(len(part.body) for part in self._orphans.pop(number, []))

    def _end(self, number: int, size: int) -> None:
        """It is over without having had room: what it costs is given back."""
        self._account.grant(size, at_once=True)
        self._newest = max(self._newest, number)
        self._numbers.end(number)

    def _admit(self, assembly: Assembly) -> None:
        try:
            assembly.admit(self._store.allocate(assembly.size))
        except MemoryError:
            self._store.give_up(assembly.size, None)
            assembly.admitted = False  # or it would be given up once more
            raise
        self._account.grant(assembly.size, at_once=not assembly.complete)
        self._finish(assembly)

    def _finish(self, assembly: Assembly) -> None:
        if not (assembly.admitted and assembly.complete):
            return
        del self._assemblies[assembly.number]
        self._numbers.end(assembly.number)
        self.replies.append(Taken(assembly.number))
        if assembly.ignored:
            if assembly.identity is None:
                self._store.deliver(assembly.header, assembly.size, b"")
            return
        self._remember(assembly.identity)
        self._store.deliver(assembly.header, assembly.size, assembly.body)

    def _remember(self, identity: str | None) -> None:
        """As the newest: what is sent again may be once more."""
        if not identity:
            return
        if identity in self._seen:
            self._seen.remove(identity)
        self._seen.append(identity)

    def _give_up(self, assembly: Assembly) -> None:
        if assembly.admitted and not assembly.ignored:
            self._store.give_up(assembly.size, assembly.place)
