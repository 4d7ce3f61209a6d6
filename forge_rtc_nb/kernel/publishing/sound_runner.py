"""The thread that takes sound from a source, a little ahead of what is played, while somebody listens (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from ...errors import RTCError
from .source import NOTHING_NEW, Ended, Source
from .source_thread import Owner, SourceThread

PAUSE = 0.2
"""Seconds until a source that failed is tried again; meanwhile there is silence."""


class SoundHost(Owner, Protocol):
    """The publication that sound is for."""

    @property
    def waiting(self) -> float:
        """Seconds that were written and not played yet."""

    def play(self, value: Any) -> bool:
        """What the user gave; false where it is over. Errors: `TypeError`, `ValueError` (no sound)."""


class SoundRunner(SourceThread[SoundHost]):
    """``always``: the thread begins with the first `watch`, also where nobody listens.

    ``lead`` are the seconds that are written ahead; of what is live and cannot wait, what is beyond that is left out. ``rest``
    is called when nobody listens any more.
    """

    def __init__(
        self,
        source: Source,
        host: SoundHost,
        lead: float,
        *,
        live: bool = False,
        always: bool = False,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(source, host)
        self._lead = lead
        self._live = live
        self.always = always
        self._rest = rest
        self.done = threading.Event()
        """The source has given all it had."""

    @property
    def _needed(self) -> bool:
        return self._watched or self.always

    def _run(self) -> None:
        while self._wait() and self._step():
            pass
        self._close()
        self.done.set()
        if not self._stopped and not self.always:
            self._host.over()

    def _wait(self) -> bool:
        """Until more is to be taken; false at the end."""
        with self._changed:
            while not self._stopped:
                if not self._needed:
                    self._rest()
                    self._changed.wait()
                elif self._live or (ahead := self._host.waiting - self._lead) <= 0:
                    return True
                else:
                    self._changed.wait(ahead)
        return False

    def _step(self) -> bool:
        """One block; false where there will be no more."""
        try:
            value = self._source.take()
            if value is NOTHING_NEW or (self._live and self._host.waiting > self._lead):
                return True
            return self._host.play(value)
        except (Ended, RTCError) as error:
            return isinstance(error, RTCError) and self._source.lasts and self._fail(error)
        except BaseException as error:  # an exit() too: its thread is no place to end a kernel from
            return not self._stopped and self._fail(error) and self._source.lasts

    def _fail(self, error: BaseException) -> bool:
        self._host.complain(error)
        with self._changed:
            if not self._stopped:
                self._changed.wait(PAUSE)
        return True
