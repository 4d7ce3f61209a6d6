"""`rtc.synthetic`: a video stream without a camera, made by the engine (runs in the kernel)."""

from __future__ import annotations

import operator
from numbers import Real

from .engine_client import engines
from .streams import VideoStream
from .views import View

MAX_SIDE = 4096
MIN_FPS, MAX_FPS = 0.01, 240


def synthetic(size: tuple[int, int] = (720, 1280), fps: float = 30) -> VideoStream:
    """A stream of moving colour bars with the frame number in binary along the top; needs no camera and no browser.

    ``size`` is (height, width) in pixels, 16 to 4096 each and even; ``fps`` frames a second, 0.01 to 240.

    >>> frames, times = rtc.synthetic(size=(480, 640)).take(10)
    >>> frames.shape
    (10, 480, 640, 3)
    """
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        raise TypeError(f"size is (height, width), two whole numbers of pixels, not {size!r}") from None
    for side in (height, width):
        if not 16 <= side <= MAX_SIDE or side % 2:
            raise ValueError(f"size is (height, width), each an even number from 16 to {MAX_SIDE}, not {size!r}")
    if not isinstance(fps, Real) or not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"fps is a rate from {MIN_FPS} to {MAX_FPS} frames a second, not {fps!r}")
    return VideoStream(SyntheticSource(height, width, float(fps)))


class SyntheticSource:
    """Draws while it is read; the engine runs as long as that."""

    report = None

    def __init__(self, height: int, width: int, fps: float) -> None:
        self._stream = f"synthetic:{height}x{width}@{fps:.4f}".rstrip("0").rstrip(".")

    def open(self, pixel_format: str, timeout: float | None) -> View:
        client = engines.acquire()
        try:
            view = client.open_view("", "", self._stream, pixel_format)
        except BaseException:
            client.release()
            raise
        view.on_close(client.release)
        return view

    def describe(self) -> str:
        return self._stream
