"""What this participant says of itself in its record, and whether the server took it (engine process).

There is no positive answer to a ``room.updated``: a ``ping`` goes after it, and an ``error`` that comes before the ``pong`` is
the refusal (docs/protocol.md).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from ..errors import ChannelClosed, RTCError, RTCTimeout
from ..protocol import Channel, Error, Message, Participant, Ping, Pong, Stream, Updated
from .signaling import Entry, Refused
from .tasks import Tasks

logger = logging.getLogger(__name__)

PATIENCE = 10.0


class Announcer:
    """Says one thing at a time, so that a refusal is about that. While signaling is away the next hello says all."""

    def __init__(self, entry: Entry, send: Callable[[Message], None], tasks: Tasks) -> None:
        self._entry = entry
        self._send = send
        self._tasks = tasks
        self._turn = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._saying: tuple[str, asyncio.Future[None]] | None = None
        self._opening: dict[str, object] = {}
        """Channels that wait to be told, and a token of each attempt: one that is closed meanwhile must not be opened."""

    @property
    def channels(self) -> dict[str, Channel]:
        """By name: those that are open, as far as the server did not refuse them."""
        return self._entry.channels

    async def publish(self, stream: Stream) -> None:
        """Say that there is this stream. Errors: what the server says (``invalid-message``), `RTCTimeout`."""
        async with self._turn:
            self._entry.streams[stream.id] = stream
            try:
                await self._say()
            except BaseException:
                self.unpublish(stream.id)  # the server may have taken it after all
                raise

    def update(self, stream: Stream) -> None:
        """Say what has changed of a stream that was published."""
        if stream.id in self._entry.streams:
            self._entry.streams[stream.id] = stream
            self._tasks.start(self._say_in_turn())

    def unpublish(self, stream_id: str) -> None:
        if self._entry.streams.pop(stream_id, None) is not None:
            self._tasks.start(self._say_in_turn())

    async def open(self, channel: Channel) -> None:
        """Errors: what the server says (``channel-options``, ``invalid-message``), `ChannelClosed`, `RTCTimeout`."""
        name, token = channel.name, object()
        self._opening[name] = token
        try:
            async with self._turn:
                self._check_wanted(name, token)
                self.channels[name] = channel
                await self._say()
                self._check_wanted(name, token)
                if name not in self.channels:
                    raise Refused("channel-options", f"channel {name!r} is open with other options: use those")
        except BaseException as error:
            there = self._opening.get(name) is token and self.channels.pop(name, None) is not None
            if there and not isinstance(error, Refused):
                self._tasks.start(self._say_in_turn())  # the server may have taken it after all
            raise
        finally:
            if self._opening.get(name) is token:
                del self._opening[name]

    def _check_wanted(self, name: str, token: object) -> None:
        if self._opening.get(name) is not token:
            raise ChannelClosed(f"channel {name!r} was closed while it was being opened")

    def close(self, name: str) -> None:
        self._opening.pop(name, None)
        if self.channels.pop(name, None) is not None:
            self._tasks.start(self._say_in_turn())

    def set_shared(self, shared: bool) -> bool:
        """Whether that is new."""
        if self._entry.shared == shared:
            return False
        self._entry.shared = shared
        self._tasks.start(self._say_in_turn())
        return True

    def welcomed(self, me: Participant) -> list[Channel]:
        """Returns what the server did not take of what the hello said, and forgets that."""
        taken = {channel.name for channel in me.channels}
        refused = [self.channels[name] for name in self._entry.introduced & self.channels.keys() - taken]
        for channel in refused:
            del self.channels[channel.name]
        if taken - {channel.name for channel in refused} == self.channels.keys() and self._says_the_rest(me):
            self._settle(None)
        elif self._saying is not None:
            self._tell(self._saying[0])  # what changed since the hello, and was lost
        else:
            self._tasks.start(self._say_in_turn())
        return refused

    def _says_the_rest(self, me: Participant) -> bool:
        return me.shared == self._entry.shared and {stream.id for stream in me.streams} == self._entry.streams.keys()

    def receive(self, message: Error | Pong) -> None:
        """An answer of the server, perhaps to what we say."""
        if self._saying is None:
            return
        if isinstance(message, Error) and message.reply_to == self._saying[0]:
            self._settle(Refused(message.code, message.message))
        elif isinstance(message, Pong) and message.id == self._saying[0]:
            self._settle(None)

    async def _say_in_turn(self) -> None:
        async with self._turn:
            try:
                await self._say()
            except RTCError as error:
                logger.warning("the server did not take what this kernel says of itself: %s", error)

    async def _say(self) -> None:
        name = f"say-{next(self._numbers)}"
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._saying = name, answer
        try:
            self._tell(name)
            await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise RTCTimeout(f"the Jupyter server did not answer within {PATIENCE:g} s") from None
        finally:
            self._saying = None

    def _tell(self, name: str) -> None:
        entry = self._entry
        channels, streams = list(entry.channels.values()), list(entry.streams.values())
        self._send(Updated(id=name, channels=channels, streams=streams, shared=entry.shared))
        self._send(Ping(id=name))

    def _settle(self, error: RTCError | None) -> None:
        if self._saying is None or self._saying[1].done():
            return
        if error is not None:
            self._saying[1].set_exception(error)
        else:
            self._saying[1].set_result(None)
