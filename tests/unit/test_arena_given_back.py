"""Memory that nobody has a view of any more goes back to the system, and nobody stands still for it (test process)."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

from forge_rtc_nb import arena as arena_module
from forge_rtc_nb.arena import FEW, HALF, PAGE, REMOVED_AT_ONCE, Arena, Side, create_arena
from forge_rtc_nb.kept import LEAST
from tests.support import wait_for
from tests.unit.arenas import Pair, ends, filled, pages

__all__ = ["ends"]


class Slow:
    """Pages of these arenas are given back when a test says so; ``steps`` are where, and how many bytes.

    What is left of an earlier test may be given back at any moment, too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *arenas: Arena) -> None:
        self._arenas = arenas
        self.go_on = threading.Event()
        self.steps: list[tuple[int, int]] = []
        self._step = arena_module._remove_step
        monkeypatch.setattr(arena_module, "_remove_step", self._wait)

    def _wait(self, mapped: Any, offset: int, length: int) -> None:
        if any(mapped is arena._map for arena in self._arenas):
            self.steps.append((offset, length))
            assert self.go_on.wait(30)
        self._step(mapped, offset, length)


def test_whoever_drops_the_last_view_of_much_memory_does_not_wait(ends: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, _, fd = ends
    slow = Slow(monkeypatch, kernel)
    large = filled(kernel, FEW + PAGE)
    offset, size = large.offset, large.size
    view = np.asarray(large)
    del large, view
    wait_for(lambda: slow.steps, what="it begins")
    small = kernel.allocate(PAGE)  # nobody waits, and nobody gets memory that still has pages
    assert small.offset >= offset + size
    assert kernel.in_use > size
    del small
    slow.go_on.set()
    wait_for(lambda: kernel.in_use == 0, what="it is free")
    assert pages(fd) == 0
    assert kernel._free == [(0, HALF)]
    assert kernel.allocate(PAGE).offset == offset
    assert max(length for _, length in slow.steps) == REMOVED_AT_ONCE


def test_other_threads_have_turns_while_memory_is_given_back(ends: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, engine, _ = ends
    slow = Slow(monkeypatch, kernel, engine)
    slow.go_on.set()
    view = kernel.borrowed(engine.lend(filled(engine, 3 * REMOVED_AT_ONCE + 1)), 3 * REMOVED_AT_ONCE + 1, lambda offset: None)
    kernel.close()
    del view  # the engine is gone: it is done here
    assert [length for _, length in slow.steps] == [REMOVED_AT_ONCE] * 3 + [PAGE]


def test_little_memory_is_given_back_at_once_and_without_a_thread(ends: Pair) -> None:
    kernel, _, fd = ends
    extents = [filled(kernel, LEAST - PAGE) for _ in range(FEW // LEAST)]
    del extents
    assert (kernel.in_use, pages(fd)) == (0, 0)
    assert kernel._remover is None


@pytest.mark.parametrize("side", ["kernel", "engine"])
def test_what_ended_before_an_arena_is_closed_is_given_back(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = create_arena()
    arena = Arena(os.dup(fd), side)
    slow = Slow(monkeypatch, arena)
    extents = [filled(arena, FEW), filled(arena, FEW)]
    remover = arena._remover
    assert remover is not None
    extents.pop()
    wait_for(lambda: slow.steps, what="it begins")
    threading.Timer(0.1, slow.go_on.set).start()
    arena.close()
    assert side == "kernel" or not remover.is_alive()  # an engine's process ends now
    remover.join(10)
    assert pages(fd) == FEW
    extents.pop()  # of a kernel, whose engine is gone; an engine leaves it to the kernel
    assert pages(fd) == (0 if side == "kernel" else FEW)
    os.close(fd)


def test_a_room_that_is_full_of_what_is_given_back_has_room() -> None:
    arena = Arena(create_arena(), "engine")
    most = arena.allocate(HALF)
    arena._remover, remover = None, arena._remover  # as where no thread can be started
    del most
    assert remover is not None
    assert arena.allocate(HALF).size == HALF
    arena._remover = remover
    arena.close()
