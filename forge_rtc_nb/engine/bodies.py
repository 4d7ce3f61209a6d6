"""The engine's side of the arena: bodies that come from the kernel, and room for those that go to it (engine process)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..arena import Arena, Extent
from ..control import INLINE, Body, Control, GiveBack


class Bodies:
    """``post`` sends to the kernel."""

    def __init__(self, arena: Arena, post: Callable[[Control], None]) -> None:
        self._arena = arena
        self._post = post
        self._loop = asyncio.get_running_loop()

    def allocate(self, size: int) -> Extent | None:
        """Room for the body of a message; None where it is so small that it travels in a control message."""
        return self._arena.allocate(size) if size > INLINE else None

    def borrow(self, body: Body, size: int) -> bytes | Extent:
        """What the kernel sends; an extent is given back with its last view."""
        return body if isinstance(body, bytes) else self._arena.borrowed(body, size, self._give_back)

    def lend(self, body: Extent | bytes) -> Body:
        """What to say of a body in a control message to the kernel, which gives it back; but what was its own stays that."""
        if isinstance(body, bytes):
            return body
        return self._arena.lend(body) if self._arena.owns(body.offset) else body.offset

    def returned(self, offset: int) -> None:
        self._arena.returned(offset)

    @staticmethod
    def view(body: Extent | bytes) -> bytes | memoryview:
        """What to send of it; the view keeps it."""
        return body if isinstance(body, bytes) else body.memory

    def _give_back(self, offset: int) -> None:
        # The garbage collector may call this while `post` has its lock.
        self._loop.call_soon_threadsafe(self._post, GiveBack(offset))
