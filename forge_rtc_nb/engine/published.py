"""One stream that the kernel publishes: the ring that it comes through, and those who watch or listen (engine process)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..control import Control, PublicationEnded, PublicationFault, PublicationState, Publish
from ..protocol import MediaKind, Stream
from ..ring import Reader
from ..samples import SampleReader
from .aiortc_compat.packet_sender import FrameSource
from .publishing.listeners import Listeners
from .publishing.picture import Picture
from .publishing.player import Player
from .publishing.publication import Publication

PERIOD = 1.0
"""Seconds between two reports to the kernel, while somebody watches."""


SILENCE = 2.0
"""Seconds without a word of the kernel after which it counts as busy: it says so twice a second while somebody watches."""


class Published:
    """From the kernel's `Publish` to its `Unpublish`: the base of pictures and sound. ``post`` sends to the kernel."""

    kind: MediaKind

    def __init__(self, request: Publish, stream_id: str, post: Callable[[Control], None]) -> None:
        self.stream = Stream(id=stream_id, name=request.name, kind=self.kind, source="other")
        self.request = request
        self.number = request.publication
        self._post = post
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def viewer(self) -> FrameSource:
        """One more who watches or listens."""
        raise NotImplementedError

    def look(self) -> None:
        """There is something new in the ring."""
        raise NotImplementedError

    def _figures(self) -> dict[str, Any]:
        """Of `PublicationState`."""
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError

    def fail(self, why: str) -> None:
        self._post(PublicationFault(self.request.room, self.number, why))

    def end(self, why: str) -> None:
        """Tell the kernel that it is over; it answers with `Unpublish`."""
        if not self._ended:
            self._ended = True
            self._post(PublicationEnded(self.request.room, self.number, why))

    async def close(self) -> None:
        """Nobody watches any more, and nothing looks at the ring."""
        self._ended = True
        await self._close()
        self._cancel_timer()

    def _audience_changed(self, viewers: int) -> None:
        self._report()
        if not viewers:
            self._cancel_timer()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._report_again)

    def _report_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD, self._report_again)
        self._report()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _report(self) -> None:
        self._post(PublicationState(self.request.room, self.number, **self._figures()))


class PublishedStream(Published):
    """Pictures."""

    kind = "video"

    def __init__(
        self,
        request: Publish,
        stream_id: str,
        reader: Reader,
        post: Callable[[Control], None],
        stalled: Callable[[Published], None] = lambda published: None,
    ) -> None:
        super().__init__(request, stream_id, post)
        self._stalled = stalled
        self.publication = Publication(request.fps, request.bitrate, self._audience_changed, self.fail)
        self._reader: Reader | None = reader

    def viewer(self) -> FrameSource:
        return self.publication.viewer()

    def look(self) -> None:
        if self._reader is None:
            return
        self._reader.acknowledge()  # before the look: a picture that comes in between is announced again
        glimpse = self._reader.newest()
        if glimpse is not None and not self._ended:
            self.publication.show(Picture(glimpse.pixels, glimpse.pixel_format, glimpse.is_whole))

    def _report(self) -> None:
        super()._report()
        self._look_for_life()

    def _look_for_life(self) -> None:
        """Tell the others when the kernel has become too busy to give pictures, and when it gives some again."""
        if self._reader is None or self._ended:
            return
        pulse = self._reader.pulse
        stalled = bool(pulse and self.publication.stats.viewers) and time.time() - pulse > SILENCE
        if stalled != self.stream.stalled:
            self.stream = msgspec.structs.replace(self.stream, stalled=stalled)
            self._stalled(self)

    async def _close(self) -> None:
        await self.publication.close()
        # Unmapped with the last array that looks into it; the encoders have let go of theirs.
        self._reader = None

    def _figures(self) -> dict[str, Any]:
        stats = self.publication.stats
        return {
            "viewers": stats.viewers,
            "keyframes_only": stats.keyframes_only,
            "frames": stats.work.frames,
            "keyframes": stats.work.keyframes,
            "bytes": stats.work.bytes,
            "dropped": stats.dropped,
            "seconds": stats.work.seconds,
            "bitrate": stats.work.bitrate,
        }


class PublishedSound(Published):
    """Sound."""

    kind = "audio"

    def __init__(self, request: Publish, stream_id: str, reader: SampleReader, post: Callable[[Control], None]) -> None:
        super().__init__(request, stream_id, post)
        self._listeners = Listeners(self._listeners_changed)
        self._player = Player(reader, request.rate, request.bitrate, self._listeners)
        self._reader = reader

    def viewer(self) -> FrameSource:
        return self._listeners.viewer()

    def look(self) -> None:
        if not self._ended:
            self._reader.acknowledge()
            self._player.wake()

    def _listeners_changed(self, count: int) -> None:
        if not self._ended:
            self._player.wake()
        self._audience_changed(count)

    async def _close(self) -> None:
        self._listeners.close()
        await self._player.close()
        self._reader.close()

    def _figures(self) -> dict[str, Any]:
        played = self._player.played
        return {
            "viewers": self._listeners.count,
            "frames": played.packets,
            "bytes": played.bytes,
            "dropped": self._listeners.dropped,
            "seconds": played.seconds,
            "bitrate": self._player.bitrate,
        }
