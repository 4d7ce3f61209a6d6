"""Moving pictures with detail that carry the time of their making: what every way is given to send (kernel)."""

from __future__ import annotations

import itertools
import time

import numpy as np

from tests.bench.clip import Array, clip
from tests.bench.video.stamps import LAYOUT, WRAP

SIZES = {"480p": (480, 640), "720p": (720, 1280), "1080p": (1080, 1920)}
FRAMES = 30
FPS = 30


class Film:
    """A function that returns the next picture, (height, width, 3) uint8, stamped with the present time."""

    def __init__(self, size: str) -> None:
        frames = [np.ascontiguousarray(frame) for frame in clip(*SIZES[size], FRAMES)]
        self._frames = itertools.cycle(frames + frames[-2:0:-1])
        self.seconds = 0.0
        """Of computing that went into the pictures: what a user's own function takes, however they are sent."""

    def __call__(self) -> Array:
        begun = time.thread_time()
        picture = next(self._frames).copy()
        stamp(picture)
        self.seconds += time.thread_time() - begun
        return picture


def stamp(picture: Array) -> None:
    """Paint the present time as `stamps.drawn` reads it."""
    moment = int(time.time() * 1000) % WRAP
    parts = moment.to_bytes(4, "big")
    check = (sum(part * (2 * n + 1) for n, part in enumerate(parts)) + 0x5A) & 255
    bits = np.unpackbits(np.frombuffer(parts + bytes([check]), np.uint8)).reshape(LAYOUT["rows"], LAYOUT["columns"])
    side = picture.shape[1] / LAYOUT["across"]
    top, left, height, width = (round(LAYOUT[name] * side) for name in ("top", "left", "rows", "columns"))
    rows = (np.arange(height) / side).astype(int).clip(max=LAYOUT["rows"] - 1)
    columns = (np.arange(width) / side).astype(int).clip(max=LAYOUT["columns"] - 1)
    picture[top : top + height, left : left + width] = (bits[np.ix_(rows, columns)] * np.uint8(255))[..., None]
