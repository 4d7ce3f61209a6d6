"""The viewers of one codec and the encoder that they share (engine process, event loop)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .audience import Audience
from .viewer import Viewer
from .worker import Ready, Worker

_PERIOD = 1.0
"""Seconds between two looks at who is below the floor."""


class Group:
    """An `Encoding`. ``changed`` is called when a viewer comes or leaves."""

    def __init__(
        self, codec: str, fps: float, bitrate: int | None, changed: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        self.codec = codec
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._viewers: set[Viewer] = set()
        self._audience = Audience(floor=0, ceiling=1 << 40)  # until the first frame says how large the picture is
        self._timer = self._loop.call_later(_PERIOD, self._look)
        self.worker = Worker(codec, fps, bitrate, self._deliver, failed)

    @property
    def viewer_count(self) -> int:
        return len(self._viewers)

    @property
    def starving_count(self) -> int:
        return self._audience.starving_count

    def join(self, viewer: Viewer) -> None:
        self._viewers.add(viewer)
        self._audience.join(viewer, time.monotonic())
        self._apply()
        self._changed()

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        self._audience.leave(viewer)
        self._apply()
        self._changed()

    def ask_keyframe(self, joined: bool = False) -> None:
        self.worker.ask_keyframe(joined)

    def report_bitrate(self, viewer: Viewer, bitrate: float) -> None:
        self._audience.report_bitrate(viewer, bitrate, time.monotonic())
        self._apply()

    def report_loss(self, viewer: Viewer, lost: int, highest: int) -> None:
        self._audience.report_loss(viewer, lost, highest, time.monotonic())
        self._apply()

    def close(self) -> None:
        """The thread ends by itself."""
        self._timer.cancel()
        self.worker.close()

    def _deliver(self, ready: Ready) -> None:
        """Called in the encoder's thread."""
        try:
            self._loop.call_soon_threadsafe(self._distribute, ready)
        except RuntimeError:  # the loop is closed: the process ends
            self.worker.close()

    def _distribute(self, ready: Ready) -> None:
        self._audience.floor, self._audience.ceiling = ready.floor, ready.ceiling
        self._audience.sent(sum(map(len, ready.packets.payloads)), time.monotonic())
        for viewer in self._viewers:
            viewer.offer(ready.packets)
        self.worker.taken()

    def _look(self) -> None:
        self._timer = self._loop.call_later(_PERIOD, self._look)
        if self._audience.update(time.monotonic()):
            self.worker.ask_keyframe()
        self._apply()

    def _apply(self) -> None:
        starving = 0
        for viewer in self._viewers:
            viewer.keyframes_only = self._audience.starving(viewer)
            starving += viewer.keyframes_only
        self.worker.limit(self._audience.bitrate, whole=starving < len(self._viewers), hungry=starving > 0)
