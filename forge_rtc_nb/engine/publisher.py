"""What the kernel publishes, over all rooms, and the rings that it comes through (engine process)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..control import Control, Publish
from ..errors import NotInRoom
from ..ring import Reader
from ..samples import SampleReader
from .publications import Publications
from .published import Published, PublishedSound, PublishedStream
from .regions import Regions


@dataclass(frozen=True)
class _Entry:
    publications: Publications
    """Of its room."""
    published: Published
    region: int


class Publisher:
    """A region is used again only after the kernel said that it has unmapped it."""

    def __init__(self, memory: int, regions: Regions, post: Callable[[Control], None]) -> None:
        self._memory = memory
        self._post = post
        self._regions = regions
        self._entries: dict[int, _Entry] = {}
        self._beginning: set[int] = set()

    async def publish(self, request: Publish, publications: Publications) -> int:
        """The region whose writer the kernel is. Errors as `Publications.publish`, `MemoryError` where no ring is left."""
        region = self._regions.take()
        self._beginning.add(request.publication)
        try:
            published = await publications.publish(
                request, lambda stream_id: self._make(request, stream_id, region, publications)
            )
        except BaseException:
            self._beginning.discard(request.publication)
            self._regions.give(region)
            raise
        entry = self._entries[request.publication] = _Entry(publications, published, region)
        if request.publication not in self._beginning:
            await self._end(entry)
            raise NotInRoom(f"{request.name!r} was stopped while it was being published")
        self._beginning.discard(request.publication)
        return region

    def _make(self, request: Publish, stream_id: str, region: int, publications: Publications) -> Published:
        if request.rate:
            return PublishedSound(request, stream_id, SampleReader(self._memory, region, request.channels), self._post)
        return PublishedStream(request, stream_id, Reader(self._memory, region), self._post, publications.update)

    def look(self, number: int) -> None:
        """There is something new in its ring."""
        entry = self._entries.get(number)
        if entry is not None:
            entry.published.look()

    async def unpublish(self, number: int) -> None:
        """The kernel has unmapped the ring, or does not want what is being published."""
        self._beginning.discard(number)
        entry = self._entries.get(number)
        if entry is not None:
            await self._end(entry)

    async def _end(self, entry: _Entry) -> None:
        del self._entries[entry.published.number]
        entry.publications.unpublish(entry.published)
        await entry.published.close()
        self._regions.give(entry.region)
