"""How the engine learns that its kernel is gone: the end of the pipe, or the end of the process, whichever comes first."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
from collections.abc import Iterator

import pytest

from forge_rtc_nb.engine import lifetime
from forge_rtc_nb.engine.lifetime import ParentWatch
from tests.support import await_for


class Watched:
    """A process that plays the kernel, and a pipe that plays its end of our stdin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self.write = os.pipe()
        self.kernel = subprocess.Popen(["sleep", "600"])
        self.gone = 0
        self.parent = self.kernel.pid
        monkeypatch.setattr(os, "getppid", lambda: self.parent)

    def start(self) -> ParentWatch:
        watch = ParentWatch(self.kernel.pid, self.read, self._gone)
        watch.start()
        return watch

    def _gone(self) -> None:
        self.gone += 1

    def close(self) -> None:
        self.kernel.kill()
        self.kernel.wait()
        os.close(self.read)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched(monkeypatch)
    yield watched
    watched.close()


@pytest.fixture
def no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(lifetime, "POLL", 0.02)


async def test_the_end_of_the_pipe_is_told_once(watched: Watched) -> None:
    watched.start()
    os.close(watched.write)
    await await_for(lambda: watched.gone, what="gone")
    watched.kernel.kill()
    watched.kernel.wait()
    await asyncio.sleep(0)
    assert watched.gone == 1


async def test_what_comes_through_the_pipe_means_nothing(watched: Watched) -> None:
    watch = watched.start()
    os.write(watched.write, b"x" * 10_000)
    await await_for(lambda: is_empty(watched.read), what="it is read")
    assert watched.gone == 0
    watch.close()
    os.close(watched.write)


def is_empty(fd: int) -> bool:
    return not select.select([fd], [], [], 0)[0]


async def test_the_end_of_the_process_is_seen_though_the_pipe_is_open(watched: Watched) -> None:
    watched.start()
    watched.kernel.kill()
    await await_for(lambda: watched.gone, what="gone")
    os.close(watched.write)


@pytest.mark.usefixtures("no_pidfd")
async def test_without_pidfd_the_parent_is_asked_for_again_and_again(watched: Watched) -> None:
    watched.start()
    await await_for(lambda: watched.gone == 0, what="it watches")
    watched.parent = 1  # whoever adopts orphans
    await await_for(lambda: watched.gone, what="gone")
    assert watched.gone == 1
    os.close(watched.write)


@pytest.mark.usefixtures("no_pidfd")
async def test_closing_ends_the_asking(watched: Watched) -> None:
    watch = watched.start()
    watch.close()
    watched.parent = 1
    os.close(watched.write)
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.1
    await await_for(lambda: loop.time() > end, what="a few rounds")
    assert watched.gone == 0


async def test_a_parent_that_is_gone_already_is_seen_at_once(watched: Watched) -> None:
    watched.parent = 1
    watched.start()
    assert watched.gone == 1
    os.close(watched.write)
