"""What takes the sound of each kind of source (runs in the kernel)."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import StreamNotFound
from ..audio import BLOCK, AudioStream
from ..sound_view import Cursor
from .awaiting import Awaiting
from .handle import Feed
from .sound_runner import SoundHost, SoundRunner
from .source import NOTHING_NEW, Calling, Ended, Iterating

SOURCES = "an array, an AudioStream, a function of a number of samples that returns them, or an (async) generator of arrays"

LEAD = 0.1
"""Seconds that functions and generators are ahead of what is played: as late as what they do becomes audible."""
ARRAY_LEAD = 0.5
"""The same of arrays, which do not change any more: the kernel may be busy that long."""
LIVE_LEAD = 0.3
"""Seconds of a live stream that may wait: after a pause of the kernel it does not stay late."""
PATIENCE = 0.5
"""Seconds until a stream that is silent is asked again."""
PART = 0.1
"""Seconds of an array that are written in one piece."""


def sound_feed(source: Any, rate: int, host: SoundHost) -> Feed | None:
    """What takes sound from it; `TypeError` where nothing can."""
    if isinstance(source, AudioStream):
        listening = Listening(source)
        return SoundRunner(listening, host, LIVE_LEAD, live=True, rest=listening.rest)
    if hasattr(source, "__array__"):
        return SoundRunner(Iterating(parts_of(np.asarray(source), rate)), host, ARRAY_LEAD, always=True)
    if inspect.iscoroutinefunction(source):
        raise TypeError("a coroutine function cannot be published: make it an async generator, with yield instead of return")
    if inspect.isgeneratorfunction(source) or inspect.isasyncgenfunction(source):
        source = source()
    if isinstance(source, AsyncIterator):
        return SoundRunner(Awaiting(source), host, LEAD)
    if isinstance(source, Iterator):
        return SoundRunner(Iterating(source), host, LEAD)
    if callable(source):
        count = round(BLOCK * rate)
        return SoundRunner(Calling(lambda: source(count)), host, LEAD)
    hint = "; of a list make np.array(...) or iter(...)" if isinstance(source, list | tuple) else ""
    raise TypeError(f"publish with a rate takes {SOURCES}, not a {type(source).__name__}{hint}")


def parts_of(samples: NDArray[Any], rate: int) -> Iterator[NDArray[Any]]:
    step = max(1, round(PART * rate))
    for start in range(0, len(samples), step):
        yield samples[start : start + step]


class Listening:
    """A live stream, a `source.Source`; listened to only between `take` and `rest`."""

    lasts = True

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._cursor: Cursor | None = None
        self._interrupted = False
        self._count = round(BLOCK * stream.rate)

    def take(self) -> Any:
        if self._interrupted:
            raise Ended
        cursor = self._open()
        if cursor is None:
            return NOTHING_NEW
        taken = cursor.poll(self._count)
        if taken is not None:
            return taken[0]
        if cursor.view.ended:
            self.rest()
        else:
            cursor.view.wait(lambda: cursor.has(self._count), PATIENCE)
        return NOTHING_NEW

    def _open(self) -> Cursor | None:
        if self._cursor is None:
            try:
                view = self._stream.view(PATIENCE)
            except StreamNotFound:
                return None  # nobody has switched it on yet
            view.hold()
            self._cursor = self._stream.cursor(view)
        return self._cursor

    def rest(self) -> None:
        """Nobody hears it: let the stream go."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.view.let_go()

    def interrupt(self) -> None:
        self._interrupted = True

    def close(self) -> None:
        self.rest()
