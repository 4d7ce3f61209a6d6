"""Video of a room's participants, whose size the notebook that shows it can choose (runs in the kernel)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .arguments import whole
from .streams import Source, VideoStream

MAX_SIDE, MAX_FPS = 16384, 240


class VideoSettings(NamedTuple):
    """What a camera or screen gives (W3C mediacapture-streams, MediaTrackSettings)."""

    width: int
    """Pixels."""
    height: int
    fps: int
    """Pictures a second."""


class TabSource(Source, Protocol):
    """Where such a stream comes from."""

    def ask(self, width: int | None, height: int | None, fps: int | None, timeout: float) -> list[int]:
        """Have its tab take a width, a height and a rate, wait so many seconds, and return what they are then."""


class RoomVideoStream(VideoStream):
    """A camera, a screen or a publication in a room: a `VideoStream`. The size of this notebook's own can be chosen."""

    def __init__(self, source: TabSource) -> None:
        super().__init__(source)
        self._tab = source

    def constrain(
        self, width: int | None = None, height: int | None = None, fps: int | None = None, timeout: float = 10.0
    ) -> VideoSettings:
        """Have the tab give pictures of another size or rate, and return what it gives now: the nearest that the device has.

        ``width`` and ``height`` in pixels, ``fps`` pictures a second, None for as it was. The stream goes on, without a new
        negotiation (W3C mediacapture-streams, applyConstraints); the menu in the widget shows it, and a person may choose
        again. Of several tabs it asks the one that is read. Errors: `TypeError`, `ValueError`, `StreamNotFound` (nothing is
        on), `Forbidden` (its tab does not show this notebook), `RTCError` (what the browser says, or the tab has left),
        `RTCTimeout` after ``timeout`` seconds, `NotInRoom`, `EngineDied`.

        >>> room.camera.constrain(width=640, height=360, fps=15)
        VideoSettings(width=640, height=360, fps=15)
        """
        if width is None and height is None and fps is None:
            raise ValueError("constrain takes a width, a height or fps")
        width = None if width is None else whole("width", width, 1, MAX_SIDE, "pixels")
        height = None if height is None else whole("height", height, 1, MAX_SIDE, "pixels")
        fps = None if fps is None else whole("fps", fps, 1, MAX_FPS, "pictures a second")
        return VideoSettings(*self._tab.ask(width, height, fps, timeout))
