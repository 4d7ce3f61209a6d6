"""How soon a thread of ours gets its turn while others compute in Python (runs in the kernel)."""

from __future__ import annotations

import sys
import threading

INTERVAL = 0.0005
"""Seconds. A thread that waits for the interpreter asks for it after so long, by default 5 ms; a picture that is changed and
sent on waits some five times."""


class PromptSwitching:
    """While there is a `begin` without its `end` the interpreter's switch interval is short; one that the user set stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.users = 0
        self._before: float | None = None

    def begin(self) -> None:
        with self._lock:
            self.users += 1
            if self.users == 1 and sys.getswitchinterval() > INTERVAL:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(INTERVAL)

    def end(self) -> None:
        with self._lock:
            self.users -= 1
            if self.users == 0:
                self._restore()

    def forget(self) -> None:
        """In a forked child of the kernel: the threads are its parent's."""
        self._lock = threading.Lock()
        self.users = 0
        self._restore()

    def _restore(self) -> None:
        if self._before is not None and abs(sys.getswitchinterval() - INTERVAL) < INTERVAL / 100:
            sys.setswitchinterval(self._before)
        self._before = None


prompt_switching = PromptSwitching()
"""Module state, because a process has exactly one interval."""
