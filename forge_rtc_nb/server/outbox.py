"""What waits to be read by one client, divided by who caused it; pure, Jupyter server process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import protocol
from ..protocol import Joined, Left, Updated
from ..shares import Shares

News = Joined | Left | Updated
"""Who is in the room: of each participant only the newest counts."""


class Outbox:
    """Bounds what waits for one client; nobody else's doing ever closes its connection.

    Of ``limit`` bytes half is for what others send it (`Shares`: what does not fit is refused), a quarter for news of
    the room (what does not fit is owed: the newest of each participant, in order, once there is room), and a quarter for
    answers to what it asked itself (what does not fit is refused: it reads too slowly). ``write`` takes a frame, and
    what to call when the frame has left.
    """

    def __init__(self, limit: int, write: Callable[[str, Callable[[], None]], None]) -> None:
        self._write = write
        self._quarter = limit // 4
        self._shares = Shares(limit)
        self._news = 0
        self._answers = 0
        self._owed: dict[str, News] = {}
        """What the client is still to be told of a participant; `Joined` where it does not know of them yet."""

    def answer(self, text: str) -> bool:
        """Write an answer to the client's own doing; False where too many of them wait."""
        size = len(text.encode())
        if self._answers + size > self._quarter:
            return False
        self._answers += size
        self._write(text, partial(self._answered, size))
        return True

    def pass_on(self, sender: str, text: str) -> bool:
        """Write what another participant sent; False where too much waits."""
        news = self._owed.get(sender)
        # Who sends comes before what they send.
        texts = [text] if news is None else [protocol.encode(news), text]
        if not self._shares.take(sender, sum(len(one.encode()) for one in texts)):
            return False
        self._owed.pop(sender, None)
        for one in texts:
            self._write(one, partial(self._shares.give_back, sender, len(one.encode())))
        return True

    def tell(self, news: News, text: str) -> None:
        """Write news of the room, ``text`` being its frame, or keep them until there is room."""
        about = news.participant_id if isinstance(news, Left) else _id(news)
        if about in self._owed:
            newest = _newest(self._owed[about], news)
            if newest is None:
                del self._owed[about]
            else:
                self._owed[about] = newest
        elif self._owed or not self._write_news(text):
            # Behind what is owed already: small news that overtook it would leave no room for it, for ever.
            self._owed[about] = news

    def _write_news(self, text: str) -> bool:
        size = len(text.encode())
        if self._news + size > self._quarter:
            return False
        self._news += size
        self._write(text, partial(self._told, size))
        return True

    def _told(self, size: int) -> None:
        self._news -= size
        while self._owed:
            about = next(iter(self._owed))
            if not self._write_news(protocol.encode(self._owed[about])):
                return
            del self._owed[about]

    def _answered(self, size: int) -> None:
        self._answers -= size


def _id(news: Joined | Updated) -> str:
    assert news.participant is not None  # only clients send an update without one
    return news.participant.id


def _newest(owed: News, news: News) -> News | None:
    """What is owed after both; None where somebody came and went before the client heard of it."""
    unknown = isinstance(owed, Joined)
    if isinstance(news, Left):
        return None if unknown else news
    assert news.participant is not None
    return Joined(participant=news.participant) if unknown else Updated(participant=news.participant)
