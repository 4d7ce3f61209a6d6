"""Memory of messages is kept with its pages for the next message of that size, and not for long (test process)."""

from __future__ import annotations

import os

import pytest

from forge_rtc_nb import arena as arena_module
from forge_rtc_nb.arena import HALF, PAGE, STEP, Arena, Side, create_arena
from forge_rtc_nb.kept import COUNT, LEAST, MOST, SECONDS
from forge_rtc_nb.memory import commit
from tests.support import wait_for
from tests.unit.arenas import Pair, ends, filled, pages

__all__ = ["ends"]

SIZE = 4 * STEP


def test_the_next_of_the_same_size_has_its_pages_already(ends: Pair) -> None:
    kernel, _, fd = ends
    first = filled(kernel, SIZE, 7)
    offset = first.offset
    del first
    assert pages(fd) == SIZE
    other = kernel.allocate(SIZE + 1)
    again = kernel.allocate(SIZE)
    more = kernel.allocate(SIZE)
    assert again.offset == offset != more.offset
    assert again.memory[SIZE - 1] == 7
    assert not {other.offset, more.offset} & set(range(offset, offset + SIZE))


def test_what_had_no_pages_gets_them_when_it_is_used_again(ends: Pair) -> None:
    kernel, _, fd = ends
    first = kernel.allocate(SIZE)
    first.commit(STEP, STEP + 1)
    del first
    again = kernel.allocate(SIZE)
    assert pages(fd) == STEP
    again.commit(0, SIZE)
    assert pages(fd) == SIZE
    again.memory[:] = bytes(SIZE)


def test_it_goes_back_to_the_system_when_nobody_wants_it(ends: Pair) -> None:
    kernel, _, fd = ends
    extents = [filled(kernel, SIZE), filled(kernel, SIZE + PAGE)]
    del extents
    assert kernel.in_use > 0
    wait_for(lambda: pages(fd) == 0, 5 * SECONDS, what="pages are given back")
    wait_for(lambda: kernel.in_use == 0, what="it is free")
    assert kernel._free == [(0, HALF)]


@pytest.mark.parametrize("size", [LEAST - 1, MOST + 1])
def test_little_and_much_is_not_kept(ends: Pair, size: int) -> None:
    kernel, _, fd = ends
    first = kernel.allocate(size)
    first.commit(0, 1)
    del first
    assert not kernel._kept
    wait_for(lambda: pages(fd) == 0, what="pages are given back")


def test_only_a_few_are_kept(ends: Pair) -> None:
    kernel, _, fd = ends
    extents = [filled(kernel, SIZE) for _ in range(3 * COUNT)]
    del extents
    assert len(kernel._kept._spans) == COUNT
    wait_for(lambda: pages(fd) <= COUNT * SIZE, what="the others are given back")


def test_where_memory_is_short_nothing_is_kept(ends: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, _, fd = ends
    fails = [True]

    def short(fd: int, offset: int, size: int) -> None:
        if fails and fails.pop():
            raise MemoryError("no shared memory")
        commit(fd, offset, size)

    first = filled(kernel, SIZE)
    del first
    monkeypatch.setattr(arena_module, "commit", short)
    other = kernel.allocate(SIZE + PAGE)
    other.commit(0, 1)
    assert not kernel._kept
    assert pages(fd) == STEP
    fails.append(True)
    with pytest.raises(MemoryError, match="no shared memory"):
        other.commit(0, SIZE)


def test_where_a_half_is_full_nothing_is_kept(ends: Pair) -> None:
    kernel, _, fd = ends
    first = filled(kernel, SIZE)
    del first
    assert kernel.allocate(HALF).size == HALF
    assert pages(fd) == 0


@pytest.mark.parametrize("side", ["kernel", "engine"])
def test_nothing_is_kept_by_an_arena_that_is_closed(side: Side) -> None:
    fd = create_arena()
    arena = Arena(os.dup(fd), side)
    first, second = filled(arena, SIZE), filled(arena, SIZE)
    remover = arena._remover
    assert remover is not None
    del first
    arena.close()
    remover.join(10)
    assert pages(fd) == SIZE
    del second
    assert pages(fd) == (0 if side == "kernel" else SIZE)  # an engine's process ends now, and the file with the kernel's
    os.close(fd)
