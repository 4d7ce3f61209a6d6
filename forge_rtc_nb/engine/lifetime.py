"""How the engine knows that its kernel is gone, also while a child of the kernel still holds the pipe (engine process)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

POLL = 0.2


class ParentWatch:
    """Calls ``gone`` once: at the end of file of stdin, or when the parent process has ended."""

    def __init__(self, parent: int, stdin: int, gone: Callable[[], None]) -> None:
        self._parent = parent
        self._stdin = stdin
        self._gone: Callable[[], None] | None = gone
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = self._open_pidfd()

    def start(self) -> None:
        self._loop.add_reader(self._stdin, self._stdin_ready)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._end)
        self._check_parent()

    def close(self) -> None:
        self._loop.remove_reader(self._stdin)
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._timer is not None:
            self._timer.cancel()

    def _open_pidfd(self) -> int | None:
        try:
            return os.pidfd_open(self._parent)
        except (AttributeError, OSError):
            return None  # not Linux, an old kernel, or the parent is gone: polling sees it

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            self._end()
        elif self._pidfd is None:
            self._timer = self._loop.call_later(POLL, self._check_parent)

    def _stdin_ready(self) -> None:
        if not os.read(self._stdin, 4096):
            self._end()

    def _end(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            self.close()
            gone()
