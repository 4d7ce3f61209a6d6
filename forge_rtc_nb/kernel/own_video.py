"""`room.camera` and `room.screen`: of this notebook's own tab, which can be asked for another size (runs in the kernel)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from .streams import Source, VideoStream

MAX_SIDE, MAX_FPS = 16384, 240


class VideoSettings(NamedTuple):
    """What a camera or screen gives (W3C mediacapture-streams, MediaTrackSettings)."""

    width: int
    """Pixels."""
    height: int
    fps: int
    """Pictures a second."""


Ask = Callable[[int | None, int | None, int | None, float], list[int]]
"""Asks the tab for a width, a height and a rate, waits so many seconds, and returns what they are then."""


class OwnVideoStream(VideoStream):
    """The camera, or the screen, of a browser tab that shows this notebook: a `VideoStream` whose size can be chosen."""

    def __init__(self, source: Source, ask: Ask) -> None:
        super().__init__(source)
        self._ask = ask

    def constrain(
        self, width: int | None = None, height: int | None = None, fps: int | None = None, timeout: float = 10.0
    ) -> VideoSettings:
        """Have the tab give pictures of another size or rate, and return what it gives now: the nearest that the device has.

        ``width`` and ``height`` in pixels, ``fps`` pictures a second, None for as it was. The stream goes on, without a new
        negotiation (W3C mediacapture-streams, applyConstraints); the menu in the widget shows it, and a person may choose
        again. Errors: `TypeError`, `ValueError`, `StreamNotFound` (nothing is on), `RTCError` (what the browser says),
        `RTCTimeout` after ``timeout`` seconds, `NotInRoom`, `EngineDied`.

        >>> room.camera.constrain(width=640, height=360, fps=15)
        VideoSettings(width=640, height=360, fps=15)
        """
        if width is None and height is None and fps is None:
            raise ValueError("constrain takes a width, a height or fps")
        sides = (_whole("width", width, MAX_SIDE), _whole("height", height, MAX_SIDE))
        return VideoSettings(*self._ask(*sides, _whole("fps", fps, MAX_FPS), timeout))


def _whole(name: str, value: Any, most: int) -> int | None:
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if not 1 <= number <= most:
        raise ValueError(f"{name} is from 1 to {most}, not {number}")
    return number
