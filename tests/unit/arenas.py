"""The two ends of an arena, and what is in its file (test process)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from forge_rtc_nb.arena import Arena, Extent, create_arena

Pair = tuple[Arena, Arena, int]


@pytest.fixture
def ends() -> Iterator[Pair]:
    """The kernel's and the engine's arena of one file, and a descriptor of it."""
    fd = create_arena()
    kernel, engine = Arena(os.dup(fd), "kernel"), Arena(os.dup(fd), "engine")
    yield kernel, engine, fd
    kernel.close()
    engine.close()
    os.close(fd)


def pages(fd: int) -> int:
    """Bytes of the file that have memory."""
    return 512 * os.fstat(fd).st_blocks


def filled(arena: Arena, size: int, value: int = 1) -> Extent:
    extent = arena.allocate(size)
    extent.commit(0, size)
    extent.memory[:] = bytes([value]) * size
    return extent
