"""The shared memory in which frames cross between engine and kernel: one nameless sparse file, cut into rings of slots.

One process writes, the other reads: the engine writes what a kernel reads of others, the kernel what it publishes. Nobody
waits for the other. A slot carries a sequence number that is odd while it is written and has changed when it was overwritten
meanwhile, so that a reader can tell a torn copy (a seqlock).
"""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .memory import commit, create_file

SLOTS = 8
SLOT_BYTES = 96 << 20
"""Room for a picture of 8192 x 4096 in RGB. Sparse: only what was written takes memory."""
HEADER_BYTES = 4096
REGION_BYTES = HEADER_BYTES + SLOTS * SLOT_BYTES
REGIONS = 64

_HEADER = np.dtype([("head", "<u8"), ("pending", "u1"), ("pulse", "<f8")], align=True)
_SLOT = np.dtype(
    [
        ("seq", "<u8"),
        ("index", "<u8"),
        ("time", "<f8"),
        ("arrival", "<f8"),
        ("height", "<u4"),
        ("width", "<u4"),
        ("nbytes", "<u8"),
        ("format", "<u4"),
    ],
    align=True,
)
_SLOTS_OFFSET = 256

SHAPES: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "rgb24": lambda h, w: (h, w, 3),
    "bgr24": lambda h, w: (h, w, 3),
    "rgba": lambda h, w: (h, w, 4),
    "gray": lambda h, w: (h, w),
    "yuv420p": lambda h, w: (h * 3 // 2, w),
}
"""Array shape of each pixel format; yuv420p is the planes Y, U, V one below the other, as OpenCV has them."""
_FORMATS = tuple(SHAPES)


@dataclass(frozen=True)
class Glimpse:
    """One frame where it lies in a ring."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    pixel_format: str
    is_whole: Callable[[], bool]
    """Asked after the pixels were read: False where they were written anew meanwhile."""


@dataclass(frozen=True)
class Picture:
    """One frame copied out of a ring."""

    array: np.ndarray[Any, np.dtype[np.uint8]]
    time: float
    arrival: float
    index: int


def create_memory() -> int:
    """A descriptor of shared memory for all regions; `MemoryError` where there is none."""
    return create_file(REGIONS * REGION_BYTES)


def map_region(fd: int, number: int, size: int) -> mmap.mmap:
    """The first ``size`` bytes of a region; `MemoryError` where the address space has no room."""
    if not 0 <= number < REGIONS:
        raise ValueError(f"region {number} of {REGIONS}")
    try:
        return mmap.mmap(fd, size, offset=number * REGION_BYTES)
    except OSError as error:  # an address space that is limited, as clusters do (`ulimit -v`)
        raise MemoryError(f"{size >> 20} MiB of shared memory cannot be mapped: {error.strerror}") from None


class Region:
    """One ring, mapped. The base of `Writer` and `Reader`."""

    def __init__(self, fd: int, number: int) -> None:
        self._map = map_region(fd, number, REGION_BYTES)
        self._header = np.frombuffer(self._map, _HEADER, count=1)
        self._slots = np.frombuffer(self._map, _SLOT, count=SLOTS, offset=_SLOTS_OFFSET)

    def _pixels(self, slot: int, nbytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(self._map, np.uint8, count=nbytes, offset=HEADER_BYTES + slot * SLOT_BYTES)

    @property
    def head(self) -> int:
        """Number of frames written so far."""
        return int(self._header["head"][0])

    def close(self) -> None:
        """Unmap; idempotent."""
        if not self._map.closed:
            del self._header, self._slots
            self._map.close()


class Writer(Region):
    """The end of a ring that pictures come from."""

    def __init__(self, fd: int, number: int) -> None:
        super().__init__(fd, number)
        self._fd = fd
        self._offset = number * REGION_BYTES
        self._committed = [0] * SLOTS
        self._commit(0, HEADER_BYTES)
        self._map[:HEADER_BYTES] = bytes(HEADER_BYTES)

    def begin(self, height: int, width: int, pixel_format: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The next slot's pixels, to be filled in place; `MemoryError` where there is no memory for them."""
        shape = SHAPES[pixel_format](height, width)
        nbytes = math.prod(shape)
        if nbytes > SLOT_BYTES:
            raise MemoryError(f"a picture of {width} x {height} does not fit a slot of {SLOT_BYTES} bytes")
        number = self.head % SLOTS
        if nbytes > self._committed[number]:
            self._commit(HEADER_BYTES + number * SLOT_BYTES, nbytes)
            self._committed[number] = nbytes
        slot = self._slots[number]
        slot["seq"] |= 1
        slot["height"], slot["width"], slot["nbytes"] = height, width, nbytes
        slot["format"] = _FORMATS.index(pixel_format)
        return self._pixels(number, nbytes).reshape(shape)

    def end(self, captured: float, index: int) -> bool:
        """Publish the slot of the last `begin`; true where the reader must be told."""
        head = self.head
        slot = self._slots[head % SLOTS]
        slot["time"], slot["arrival"], slot["index"] = captured, time.time(), index
        slot["seq"] = 2 * (head + 1)
        self._header["head"][0] = head + 1
        if self._header["pending"][0]:
            return False
        self._header["pending"][0] = 1
        return True

    def pulse(self, now: float) -> None:
        """Say that this process was alive at that Unix second."""
        self._header["pulse"] = now

    def _commit(self, offset: int, nbytes: int) -> None:
        commit(self._fd, self._offset + offset, nbytes)

    def close(self) -> None:
        """Unmap, and give the pages back."""
        if not self._map.closed and hasattr(mmap, "MADV_REMOVE"):
            self._map.madvise(mmap.MADV_REMOVE)
        super().close()


def _copied(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A copy of bytes that lie in a row. numpy would let other threads run meanwhile, which takes a millisecond; where one of
    them computes in Python, it takes five until this one may go on."""
    return np.frombuffer(bytearray(pixels.data), np.uint8)


class Reader(Region):
    """The end of a ring that pictures go to."""

    def acknowledge(self) -> None:
        """Say that the frames up to now were noticed; the writer tells of the next one again."""
        self._header["pending"][0] = 0

    @property
    def pulse(self) -> float:
        """When the writer's process was alive, in Unix seconds; 0.0 where it has not said."""
        return float(self._header["pulse"][0])

    def copy(self, number: int, pixel_format: str) -> Picture | None:
        """A private copy of frame ``number`` (counted from 0), or None where it is overwritten already."""
        slot = self._slots[number % SLOTS]
        seq = 2 * (number + 1)
        if int(slot["seq"]) != seq:
            return None
        height, width, nbytes = int(slot["height"]), int(slot["width"]), int(slot["nbytes"])
        shape = SHAPES[pixel_format](height, width)
        if nbytes > SLOT_BYTES or nbytes != math.prod(shape):
            return None
        array = _copied(self._pixels(number % SLOTS, nbytes)).reshape(shape)
        picture = Picture(array, float(slot["time"]), float(slot["arrival"]), int(slot["index"]))
        return picture if int(slot["seq"]) == seq else None

    def newest(self) -> Glimpse | None:
        """The newest frame, not copied; None where there is none, or it is overwritten already."""
        head = self.head
        if head == 0:
            return None
        number = (head - 1) % SLOTS
        slot = self._slots[number]
        height, width, nbytes = int(slot["height"]), int(slot["width"]), int(slot["nbytes"])
        pixel_format = _FORMATS[int(slot["format"]) % len(_FORMATS)]
        shape = SHAPES[pixel_format](height, width)

        def is_whole() -> bool:
            return int(slot["seq"]) == 2 * head

        if not is_whole() or nbytes > SLOT_BYTES or nbytes != math.prod(shape):
            return None
        return Glimpse(self._pixels(number, nbytes).reshape(shape), pixel_format, is_whole)
