"""The picture of the fake camera: eight colour bars, and a white square that walks along the bottom (test process)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES = 1280, 720, 16
COLOURS = [
    (235, 235, 235),
    (220, 200, 30),
    (40, 200, 200),
    (40, 190, 50),
    (190, 50, 190),
    (200, 40, 40),
    (40, 50, 200),
    (30, 30, 30),
]
"""RGB, left to right."""
SQUARE = HEIGHT // 6


def picture(number: int) -> NDArray[np.uint8]:
    """Frame ``number`` as (HEIGHT, WIDTH, 3) RGB."""
    bars = np.repeat(np.array(COLOURS, np.uint8), WIDTH // len(COLOURS), axis=0)
    pixels = np.broadcast_to(bars, (HEIGHT, WIDTH, 3)).copy()
    left = number * (WIDTH - SQUARE) // (FRAMES - 1)
    pixels[-SQUARE:, :] = 0
    pixels[-SQUARE:, left : left + SQUARE] = 255
    return pixels


def write_bars(path: Path) -> None:
    """All frames as YUV4MPEG2, ITU-R BT.601 limited range, 30 frames a second."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(FRAMES):
            file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in _yuv420(picture(number))))


def bar_colours(pixels: NDArray[Any]) -> list[tuple[float, ...]]:
    """Median colour of the middle of each bar, above the square's lane."""
    height, width = pixels.shape[:2]
    bar = width / len(COLOURS)
    upper = pixels[height // 8 : height // 2]
    middles = [upper[:, int((n + 0.3) * bar) : int((n + 0.7) * bar)] for n in range(len(COLOURS))]
    return [tuple(float(v) for v in np.median(middle, axis=(0, 1))) for middle in middles]


def _yuv420(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    red, green, blue = (rgb[..., n].astype(np.float64) for n in range(3))
    luma = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    cb = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
    cr = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
    halves = [plane.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3)) for plane in (cb, cr)]
    return tuple(np.clip(plane + 0.5, 0, 255).astype(np.uint8) for plane in (luma, *halves))
