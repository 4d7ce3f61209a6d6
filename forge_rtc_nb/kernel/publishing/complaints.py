"""Failures of users' functions: each kind is told once, not with every picture (runs in the kernel)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

logger = logging.getLogger("forge_rtc_nb")

MAX_KINDS = 64
"""Kinds that are remembered, and so told at all: a function that invents errors does not fill the notebook."""

Report = Callable[[BaseException], None]
"""Raises an ``"error"`` event of a room."""


class Complaints:
    """Of one source. The log shows an error with its traceback, which a notebook shows below the cell; thread-safe."""

    def __init__(self, what: str, instead: str = "the last good picture stays") -> None:
        self._what = what
        self._instead = instead
        self._lock = threading.Lock()
        self._told: set[object] = set()

    def tell(self, error: BaseException, reports: Iterable[Report]) -> None:
        """Log it and report it, unless one of that type came from that line before."""
        kind = (type(error), _line_of(error.__traceback__))
        with self._lock:
            if kind in self._told or len(self._told) == MAX_KINDS:
                return
            self._told.add(kind)
        logger.error("%s failed; %s", self._what, self._instead, exc_info=error)
        for report in reports:
            report(error)

    def forget(self) -> None:
        """Tell all anew: the function is another one."""
        with self._lock:
            self._told.clear()


def _line_of(traceback: TracebackType | None) -> tuple[str, int] | None:
    """Where it was raised. Its text may be another one each time."""
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
