"""What the kernel is told of the shared mapping: a few changes at a time, of each key the newest (engine process).

A kernel may be busy for long. What it has not taken over must not pile up, however often others write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ..arena import Extent
from ..control import Control, SharedChanged
from .bodies import Bodies
from .data.replica import Change

WINDOW = 32
"""Changes that are on their way to the kernel."""


class SharedNews:
    """``post`` sends to the kernel."""

    def __init__(self, room: str, bodies: Bodies, post: Callable[[Control], None]) -> None:
        self._room = room
        self._bodies = bodies
        self._post = post
        self._waiting: dict[str, Change] = {}
        self._then: dict[str, list[Callable[[], None]]] = {}
        """What to do once the change of a key is told."""
        self._under_way = 0

    def put(self, change: Change) -> None:
        self._waiting.pop(change.key, None)
        self._waiting[change.key] = change
        self._tell()

    def after(self, key: str, work: Callable[[], None]) -> None:
        """Do this when all that is known of this key now is told."""
        if key in self._waiting:
            self._then.setdefault(key, []).append(work)
        else:
            work()

    def after_all(self, work: Callable[[], None]) -> None:
        """Do this when all that waits now is told."""
        missing = len(self._waiting)

        def told() -> None:
            nonlocal missing
            missing -= 1
            if missing == 0:
                work()

        if not missing:
            work()
        for key in list(self._waiting):
            self.after(key, told)

    def seen(self) -> None:
        """The kernel has taken one over."""
        self._under_way = max(0, self._under_way - 1)
        self._tell()

    def clear(self) -> None:
        self._waiting.clear()
        for key in list(self._then):
            self._finish(key)

    def _tell(self) -> None:
        while self._waiting and self._under_way < WINDOW:
            key = next(iter(self._waiting))
            change = self._waiting.pop(key)
            self._under_way += 1
            body = self._bodies.lend(cast("Extent | bytes", change.body))
            self._post(SharedChanged(self._room, key, change.writer, change.time, change.header, change.size, body))
            self._finish(key)

    def _finish(self, key: str) -> None:
        for work in self._then.pop(key, []):
            work()
