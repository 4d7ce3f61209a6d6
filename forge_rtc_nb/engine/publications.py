"""The streams that this kernel publishes in one room (engine process)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from ..control import Publish
from ..errors import NotInRoom
from ..protocol import MAX_STREAMS
from .announcing import Announcer
from .published import Published
from .signaling import Refused

Make = Callable[[str], Published]


class Publications:
    """By the id of their stream. ``changed`` is called when viewers must be given other pictures, or none."""

    def __init__(self, announcer: Announcer, changed: Callable[[], None]) -> None:
        self._announcer = announcer
        self._changed = changed
        self._streams: dict[str, Published] = {}
        self._over = False

    def find(self, stream_id: str) -> Published | None:
        return self._streams.get(stream_id)

    async def publish(self, request: Publish, make: Make) -> Published:
        """Tell the others of what ``make`` makes for a stream's id. Errors: what the server says, `NotInRoom`, `RTCTimeout`."""
        before = next((other for other in self._streams.values() if other.request.name == request.name), None)
        if before is not None and bool(before.request.rate) != bool(request.rate):
            raise Refused("invalid-message", f"{request.name!r} is published as {before.kind}: stop that, or take another name")
        if before is None and len(self._streams) >= MAX_STREAMS:
            raise Refused("invalid-message", f"a participant has {MAX_STREAMS} streams at most; stop one first")
        stream_id = before.stream.id if before is not None else f"pub-{secrets.token_hex(4)}"
        published = make(stream_id)
        self._streams[stream_id] = published
        if before is not None:
            before.end("another publication has taken its name")
        else:
            await self._announce(published)
        self._changed()
        return published

    def unpublish(self, published: Published) -> None:
        """The kernel has ended it; unless another one has taken its place, the stream ends."""
        if self._streams.get(published.stream.id) is published:
            del self._streams[published.stream.id]
            self._announcer.unpublish(published.stream.id)
        self._changed()

    def update(self, published: Published) -> None:
        """What the others know of its stream has changed."""
        if self._streams.get(published.stream.id) is published:
            self._announcer.update(published.stream)

    async def end(self, why: str) -> None:
        """The room is over."""
        self._over = True
        streams, self._streams = list(self._streams.values()), {}
        for published in streams:
            published.end(why)
        await asyncio.gather(*(published.close() for published in streams))

    async def _announce(self, published: Published) -> None:
        request = published.request
        try:
            await self._announcer.publish(published.stream)
            if self._over:
                raise NotInRoom(f"room {request.room!r} ended while {request.name!r} was being published")
        except BaseException:
            self._streams.pop(published.stream.id, None)
            raise
