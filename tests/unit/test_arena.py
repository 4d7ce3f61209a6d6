"""Shared memory for messages: it lives as long as any view, is used again, and running out of it is an error (test process)."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from forge_rtc_nb.arena import FEW, HALF, PAGE, STEP, Arena, Extent, create_arena
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.errors import EngineDied
from forge_rtc_nb.frames import Begin, More
from tests.support import wait_for
from tests.unit.arenas import Pair, ends, filled, pages
from tests.unit.data_channels import Queue

__all__ = ["ends"]

# ---- views ----


def test_what_one_end_writes_the_other_reads(ends: Pair) -> None:
    kernel, engine, _ = ends
    given: list[int] = []
    for mine, theirs in ((kernel, engine), (engine, kernel)):
        offset = mine.lend(filled(mine, 100_000, 7))
        assert mine.owns(offset)
        assert not theirs.owns(offset)
        view = theirs.borrowed(offset, 100_000, given.append).memory
        assert (len(view), view[0], view[-1]) == (100_000, 7, 7)
        del view
        assert given.pop() == offset
        assert mine.in_use > 0
        mine.returned(offset)
        assert mine.in_use == 0


VIEWS: dict[str, Callable[[Extent], Any]] = {
    "memoryview": lambda extent: extent.memory,
    "array": np.asarray,
    "view of a view": lambda extent: np.asarray(extent)[10:].view()[5:].T,
    "slice of a memoryview": lambda extent: extent.memory[10:20],
    "reshaped": lambda extent: np.frombuffer(extent.memory, "<f8").reshape(80, 100)[3],
    "read-only": lambda extent: np.frombuffer(extent.memory.toreadonly(), np.uint8),
    "field": lambda extent: np.frombuffer(extent.memory, "<c8").real,
}


@pytest.mark.parametrize("view_of", VIEWS.values(), ids=VIEWS.keys())
def test_an_extent_lives_as_long_as_any_view(ends: Pair, view_of: Callable[[Extent], Any]) -> None:
    kernel, _, fd = ends
    extent = filled(kernel, 64_000, 3)
    view = view_of(extent)
    del extent
    gc.collect()
    assert kernel.in_use > 0
    assert pages(fd) >= 64_000
    assert np.asarray(view).tobytes()[:1] == b"\3"
    del view
    assert kernel.in_use == 0
    assert pages(fd) == 0


def test_an_extent_that_is_lent_twice_is_returned_twice(ends: Pair) -> None:
    kernel, _, _ = ends
    extent = filled(kernel, 1000)
    offset = kernel.lend(extent)
    assert kernel.lend(extent) == offset
    del extent
    kernel.returned(offset)
    assert kernel.lent(offset).memory[0] == 1
    kernel.returned(offset)
    assert kernel.in_use == 0
    with pytest.raises(KeyError):
        kernel.returned(offset)


def test_what_is_free_is_used_again_and_empty(ends: Pair) -> None:
    kernel, _, fd = ends
    first = filled(kernel, 3 * PAGE)
    second = filled(kernel, PAGE)
    offset = first.offset
    del first
    again = kernel.allocate(2 * PAGE)
    assert again.offset == offset
    again.commit(0, 2 * PAGE)
    assert not any(again.memory)
    third = kernel.allocate(4 * PAGE)
    assert third.offset > second.offset
    del again, second, third
    assert (kernel.in_use, pages(fd)) == (0, 0)
    assert kernel._free == [(0, HALF)]


def test_the_halves_do_not_touch(ends: Pair) -> None:
    kernel, engine, _ = ends
    ours = [filled(kernel, 50_000, 1), filled(kernel, 50_000, 1)]
    theirs = [filled(engine, 50_000, 2), filled(engine, 50_000, 2)]
    assert all(set(extent.memory) == {1} for extent in ours)
    assert all(set(extent.memory) == {2} for extent in theirs)


def test_memory_is_taken_as_it_is_needed(ends: Pair) -> None:
    kernel, _, fd = ends
    extent = kernel.allocate(4 * STEP)
    assert pages(fd) == 0
    extent.commit(0, 1)
    assert pages(fd) == STEP
    extent.commit(3 * STEP, 3 * STEP + 1)
    assert pages(fd) == 2 * STEP
    extent.commit(STEP - 1, STEP + 1)
    assert pages(fd) == 3 * STEP
    extent.commit(0, 4 * STEP)
    extent.commit(0, 4 * STEP)
    assert pages(fd) == 4 * STEP


def test_a_part_near_the_end_of_a_large_message_takes_memory_for_itself_alone(ends: Pair) -> None:
    _, engine, fd = ends

    class Large(Queue):
        def allocate(self, size: int) -> Extent:
            return engine.allocate(size)

    inlet = Inlet(Large(maxbytes=1 << 40), ordered=False)
    inlet.receive(Begin(1, 1 << 30, b"{}"))
    inlet.receive(More(1, (1 << 30) - 1, b"x"))
    assert pages(fd) == STEP
    inlet.restart()


def test_views_outlive_the_closed_descriptor() -> None:
    arena = Arena(create_arena(), "kernel")
    view = filled(arena, 100_000, 9).memory
    arena.close()
    arena.close()
    assert set(view) == {9}
    del view


@pytest.mark.parametrize("mapped", [True, False])
def test_a_closed_arena_has_no_memory_and_says_why(mapped: bool) -> None:
    arena = Arena(create_arena(), "kernel")
    kept = arena.allocate(1000) if mapped else None
    arena.close()
    for use in (lambda: arena.allocate(1000), lambda: arena.commit(0, 1000)):
        with pytest.raises(EngineDied, match="the engine is gone"):
            use()
    if kept is None:
        with pytest.raises(EngineDied, match="the engine is gone"):
            arena.borrowed(HALF, 1000, lambda offset: None)
        assert arena._map is None
    else:
        with pytest.raises(EngineDied):
            kept.commit(0, 1000)


# ---- the garbage collector, threads ----


def test_an_extent_may_end_while_this_thread_has_the_lock(ends: Pair) -> None:
    kernel, _, _ = ends
    extent = filled(kernel, 1000)
    with kernel._lock:
        del extent  # as the garbage collector may do at any moment
    other = kernel.allocate(1)
    assert other.offset == 0
    del other
    assert kernel.in_use == 0


def test_extents_in_cycles_end_wherever_the_collector_runs(ends: Pair) -> None:
    kernel, _, _ = ends
    threshold = gc.get_threshold()
    gc.set_threshold(1)  # runs within nearly everything that allocates an object
    try:
        for _ in range(300):
            cycle: list[Any] = [filled(kernel, 100)]
            cycle.append(cycle)
            del cycle
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    kernel.allocate(1)
    assert kernel._free == [(0, HALF)]


def test_many_threads_share_an_arena(ends: Pair) -> None:
    kernel, _, fd = ends
    wrong: list[int] = []

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        kept: list[Any] = []
        for _ in range(200):
            kept.append(np.asarray(filled(kernel, int(random.integers(1, 50_000)), number)))
            if len(kept) > 5:
                array = kept.pop(int(random.integers(len(kept))))
                wrong.extend(array[array != number].tolist())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    kernel.allocate(1)  # takes what ended while another thread had the lock
    assert (kernel.in_use, pages(fd)) == (0, 0)


class Lives(RuleBasedStateMachine):
    """Allocating and letting go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.fd = create_arena()
        self.arena = Arena(self.fd, "engine")
        self.extents: list[Extent] = []

    @rule(size=st.integers(0, 5 * PAGE))
    def allocate(self, size: int) -> None:
        self.extents.append(self.arena.allocate(size))

    @precondition(lambda self: self.extents)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        self.extents.pop(data.draw(st.integers(0, len(self.extents) - 1)))

    @invariant()
    def nobody_has_the_same_bytes_and_nothing_is_lost(self) -> None:
        taken = sorted((extent.offset, extent.offset + -(-max(extent.size, 1) // PAGE) * PAGE) for extent in self.extents)
        every = sorted([*taken, *self.arena._free])
        assert all(a[1] == b[0] for a, b in itertools.pairwise(every))
        assert (every[0][0], every[-1][1]) == (HALF, 2 * HALF)
        assert self.arena.in_use == sum(end - start for start, end in taken)

    def teardown(self) -> None:
        self.extents.clear()
        self.arena.close()


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=50, deadline=None)


# ---- no memory ----


def run(code: str, *descriptors: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, descriptors)]
    return subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=descriptors)


def test_more_than_a_half_is_a_memory_error_and_the_rest_goes_on(ends: Pair) -> None:
    kernel, _, _ = ends
    most = kernel.allocate(HALF - PAGE)
    with pytest.raises(MemoryError, match="64 GiB of messages are in use"):
        kernel.allocate(PAGE + 1)
    last = kernel.allocate(PAGE)
    assert kernel.in_use == HALF
    del most, last
    wait_for(lambda: kernel.in_use == 0, what="all is free")


def test_an_address_space_that_is_too_small_is_a_memory_error_when_memory_is_needed() -> None:
    done = run("""
        import resource
        from forge_rtc_nb.arena import Arena, create_arena
        arena = Arena(create_arena(), "kernel")
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, resource.RLIM_INFINITY))
        for attempt in range(2):
            try:
                arena.allocate(100)
            except MemoryError as error:
                print("MemoryError", error)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(arena.allocate(100).size)
    """)
    first, second, third = done.stdout.splitlines()
    assert first == second
    assert "ulimit -v" in first, done.stderr
    assert third == "100"


def test_a_file_size_limit_is_a_memory_error_that_names_it() -> None:
    done = run("""
        import resource
        from forge_rtc_nb.arena import create_arena
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            create_arena()
        except MemoryError as error:
            print("MemoryError", error)
    """)
    assert "ulimit -f" in done.stdout, done.stderr


def test_pages_that_cannot_be_had_are_a_memory_error_and_no_signal() -> None:
    done = run("""
        import os, resource
        from forge_rtc_nb.arena import Arena, create_arena
        fd = create_arena()
        arena = Arena(fd, "kernel")
        extent = arena.allocate(100_000)
        os.ftruncate(fd, 4096)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            extent.commit(0, 100_000)
        except MemoryError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        extent.commit(0, 100_000)
        extent.memory[:] = bytes(100_000)
        print("written")
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["no shared memory for 100000 bytes: File too large", "written"]


# ---- two processes ----


def test_another_process_reads_writes_and_gives_back(ends: Pair) -> None:
    kernel, _, fd = ends
    offset = kernel.lend(filled(kernel, 300_000, 5))
    done = run(
        f"""
        import sys
        from forge_rtc_nb.arena import Arena
        engine = Arena(int(sys.argv[1]), "engine")
        given = []
        view = engine.borrowed({offset}, 300_000, given.append).memory
        extent = engine.allocate(300_000)
        extent.commit(0, 300_000)
        extent.memory[:] = bytes(value + 1 for value in view)
        print(engine.lend(extent))
        del view
        print(given)
        engine.close()  # as an engine that ends: what it lent must stay
        """,
        fd,
    )
    answer, given = done.stdout.split()
    assert given == f"[{offset}]", done.stderr
    assert set(kernel.borrowed(int(answer), 300_000, lambda offset: None).memory) == {6}
    kernel.returned(offset)
    wait_for(lambda: kernel.in_use == 0, what="it is free")


def test_what_an_engine_lent_outlives_it_and_is_removed_by_the_kernel(ends: Pair) -> None:
    kernel, engine, fd = ends
    views = [kernel.borrowed(engine.lend(filled(engine, 100_000, 4)), 100_000, lambda offset: None).memory for _ in range(2)]
    engine.close()
    engine._lent.clear()  # as at the end of its process
    kernel.close()
    assert all(set(view) == {4} for view in views)
    both = pages(fd)
    del views[0]
    assert pages(fd) == both // 2
    assert set(views[0]) == {4}


@pytest.mark.parametrize("size", [100_000, FEW + 1])
def test_a_forked_child_takes_nothing_away_from_its_parent(ends: Pair, size: int) -> None:
    kernel, engine, fd = ends
    mine = [filled(kernel, size, 1)]
    theirs = [kernel.borrowed(engine.lend(filled(engine, 100_000, 2)), 100_000, lambda offset: None)]
    before = pages(fd)
    pid = os.fork()
    if pid == 0:
        kernel.close()
        mine.clear()
        theirs.clear()
        gc.collect()
        os._exit(0)
    os.waitpid(pid, 0)
    assert pages(fd) == before
    assert set(mine[0].memory) == {1}
    assert set(theirs[0].memory) == {2}
