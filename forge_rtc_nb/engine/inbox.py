"""What is to be done about one participant's connection: its newest description, candidates, our wishes (engine process)."""

from __future__ import annotations

import asyncio
from collections import deque

from ..protocol import Answer, IceCandidate, Offer
from .pace import Pace

MAX_CANDIDATES = 256
"""Candidates that wait; a browser finds a dozen. More are dropped."""
BURST, RATE = 8, 3.0
"""Offers worked on at once, and a second from then on. An answer takes us milliseconds, and whoever offers decides how often:
pictures of others must not wait for it. Browsers offer when something changes, and wait for the answer."""


class Wish:
    """We want to offer a connection ourselves."""


class Inbox:
    """Bounded: a newer offer or answer replaces one that waits, for it says all that the sender wants."""

    def __init__(self) -> None:
        self._wish: Wish | None = None
        self._offer: Offer | Answer | None = None
        self._candidates: deque[IceCandidate] = deque()
        self._filled = asyncio.Event()
        self._pace = Pace(BURST, RATE)

    def wish(self) -> None:
        """Have us offer, when what waits before it is done."""
        self._wish = Wish()
        self._filled.set()

    def put(self, message: Offer | Answer | IceCandidate) -> bool:
        """False where there is no room."""
        if isinstance(message, Offer | Answer):
            self._offer = message
        elif len(self._candidates) < MAX_CANDIDATES:
            self._candidates.append(message)
        else:
            return False
        self._filled.set()
        return True

    async def get(self) -> Offer | Answer | IceCandidate | Wish:
        """The description first: the candidates that follow it belong to it."""
        while True:
            await self._filled.wait()
            if self._offer is not None and (delay := self._pace.delay()) > 0:
                await asyncio.sleep(delay)
            elif (message := self._next()) is not None:
                return message

    def _next(self) -> Offer | Answer | IceCandidate | Wish | None:
        if (offer := self._offer) is not None:
            self._offer = None
            self._pace.take()
            return offer
        if self._candidates:
            return self._candidates.popleft()
        if (wish := self._wish) is not None:
            self._wish = None
            return wish
        self._filled.clear()
        return None
