"""A camera that needs no camera: moving colour bars with a running frame number (engine process)."""

from __future__ import annotations

import re
import threading
import time

import av
import numpy as np

from .media import StreamSink

_SPEC = re.compile(r"synthetic:(\d+)x(\d+)@(\d+(?:\.\d+)?)")

COLOURS = np.array(
    [(235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16), (235, 16, 235), (235, 16, 16), (16, 16, 235)], np.uint8
)
"""The bars in RGB, left to right, before they begin to move."""


def parse_spec(stream: str) -> tuple[int, int, float]:
    """``synthetic:HEIGHTxWIDTH@FPS`` as (height, width, fps); `ValueError` for anything else."""
    match = _SPEC.fullmatch(stream)
    height, width, fps = (int(match[1]), int(match[2]), float(match[3])) if match else (0, 0, 0.0)
    if not (height and width and fps):
        raise ValueError(f"{stream!r} is no synthetic stream")
    return height, width, fps


class SyntheticStream:
    """Draws at a steady rate in a thread of its own, from `start` until `close`."""

    def __init__(self, stream: str) -> None:
        self.sink = StreamSink()
        self._height, self._width, self._fps = parse_spec(stream)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="synthetic", daemon=True)
        bar = max(1, self._width // len(COLOURS))
        row = np.repeat(COLOURS, bar, axis=0)
        self._row = np.resize(row, (self._width, 3))

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        number = 0
        while not self._stop.wait(max(0.0, start + number / self._fps - time.monotonic())):
            self.sink.deliver(self._draw(number), time.time(), True)
            # A late drawing leaves frames out, as a camera does; it never runs after them.
            number = max(number + 1, int((time.monotonic() - start) * self._fps))

    def _draw(self, number: int) -> av.VideoFrame:
        pixels = np.broadcast_to(np.roll(self._row, number * 4, axis=0), (self._height, self._width, 3)).copy()
        _stamp(pixels, number)
        return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def _stamp(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], number: int) -> None:
    """The frame number in binary along the top, 16 squares, the lowest bit last: white is 1, black is 0."""
    side = min(pixels.shape[0] // 4, pixels.shape[1] // 16)
    for bit in range(16):
        value = 235 if number >> (15 - bit) & 1 else 16
        pixels[:side, bit * side : (bit + 1) * side] = value
