"""One stream of this kernel's user: its newest picture, encoded once a codec for whoever watches (engine process)."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

from .group import Group
from .picture import Picture
from .viewer import Viewer
from .worker import Work, Worker


@dataclass(frozen=True, slots=True)
class PublicationStats:
    """Since the publication began."""

    viewers: int
    """At the moment."""
    keyframes_only: int
    """Those of them whose path carries less than the floor."""
    dropped: int
    """Encoded frames that a viewer did not get, over all viewers."""
    shown: int
    """Pictures that came, watched or not."""
    work: Work
    """What the encoders did. Its bitrate is that of the present ones together."""


class Publication:
    """`show` in any thread, all else in the event loop. Without a viewer there is no thread and nothing is encoded.

    ``audience`` is told the number of viewers whenever it changes; ``failed`` is called when a picture cannot be encoded.
    """

    def __init__(
        self,
        fps: float = 30.0,
        bitrate: int | None = None,
        audience: Callable[[int], None] = lambda viewers: None,
        failed: Callable[[str], None] = lambda error: None,
    ) -> None:
        self._fps, self._bitrate = fps, bitrate
        self._audience, self._failed = audience, failed
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._groups: dict[str, Group] = {}
        self._viewers: weakref.WeakSet[Viewer] = weakref.WeakSet()
        self._newest: Picture | None = None
        self._shown = self._dropped = 0
        self._past = Work()
        self._ending: list[Worker] = []

    def show(self, picture: Picture) -> None:
        """The newest picture: in the place of the one before, and kept for those who come later."""
        with self._lock:
            self._newest = picture
            self._shown += 1
            for group in self._groups.values():
                group.worker.show(picture)

    def viewer(self) -> Viewer:
        """One more; it watches from its first `next_frame` to its `close`."""
        viewer = Viewer(self._group, self._left)
        self._viewers.add(viewer)
        return viewer

    def _group(self, codec: str) -> Group:
        group = self._groups.get(codec)
        if group is None:
            group = Group(codec, self._fps, self._bitrate, changed=lambda: self._changed(codec), failed=self._report_failure)
            with self._lock:
                self._groups[codec] = group
                if self._newest is not None:
                    group.worker.show(self._newest)
        return group

    def _left(self, viewer: Viewer) -> None:
        self._dropped += viewer.watching.dropped
        self._viewers.discard(viewer)

    def _changed(self, codec: str) -> None:
        if not self._groups[codec].viewer_count:
            self._end(codec)
        self._audience(self._count)

    @property
    def _count(self) -> int:
        return sum(group.viewer_count for group in self._groups.values())

    def _end(self, codec: str) -> None:
        with self._lock:
            group = self._groups.pop(codec)
        self._past.add(group.worker.work)
        group.close()
        self._ending = [worker for worker in [*self._ending, group.worker] if worker.running]

    def _report_failure(self, error: str) -> None:
        self._loop.call_soon_threadsafe(self._failed, error)

    @property
    def stats(self) -> PublicationStats:
        groups = list(self._groups.values())
        work = replace(self._past)
        for group in groups:
            work.add(group.worker.work)
        return PublicationStats(
            viewers=self._count,
            keyframes_only=sum(group.starving_count for group in groups),
            dropped=self._dropped + sum(viewer.watching.dropped for viewer in self._viewers),
            shown=self._shown,
            work=replace(work, bitrate=sum(group.worker.work.bitrate for group in groups)),
        )

    async def close(self) -> None:
        """End all viewers, and wait for the encoders' threads; idempotent."""
        for viewer in list(self._viewers):
            viewer.close()
        self._viewers.clear()
        for worker in self._ending:
            await asyncio.to_thread(worker.join)
        self._newest = None
