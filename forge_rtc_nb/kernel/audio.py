"""`AudioStream`: the sound of a participant as numpy arrays (runs in the kernel)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import RTCTimeout, StreamNotFound
from .reading import Deadline
from .ring_view import IDLE
from .sound_view import Cursor, SoundCursor, SoundView

if TYPE_CHECKING:
    from .publishing.mapped_audio import MappedAudioStream

Samples = NDArray[np.float32]

RATE = 48000
"""Samples a second: what Opus decodes to (RFC 7587 section 4.1)."""
BLOCK = 0.02
"""Seconds of a block: a packet of Opus as browsers send it."""
LONGEST, LONGEST_BLOCK = 3600.0, 10.0
"""Seconds at most, of `AudioStream.read` and of a block: two blocks fit the ring."""


class SoundSource(Protocol):
    """Where sound comes from."""

    @property
    def report(self) -> Callable[[BaseException], None] | None:
        """Raises an ``"error"`` event of a room; None where there is none."""

    def open(self, timeout: float | None) -> SoundView:
        """Open a view; waits at most that many seconds for the stream to be there. Errors as `AudioStream.read`."""

    def describe(self) -> str: ...


class AudioStream:
    """The sound of one participant: arrays (n, channels) of float32 from -1 to 1, at `rate` samples a second.

    >>> sound = room.microphone.read(0.5)
    >>> sound.shape, sound.dtype
    ((24000, 1), dtype('float32'))
    >>> for block in room.microphone:            # 20 ms each, and none left out
    ...     print(np.sqrt((block ** 2).mean()))

    A microphone has 1 channel, all other sound 2. What the network loses is silence of the same length, so that time never
    slips. Who reads slowly has about 20 s of patience: then the oldest is left out, see `dropped`.
    """

    def __init__(self, source: SoundSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._view: SoundView | None = None
        self._cursor: Cursor | None = None
        self._read_at = float("-inf")
        self._skipped = 0
        self._time = self._latency = float("nan")

    rate = RATE
    """Samples a second, of each channel."""

    def read(self, seconds: float, timeout: float | None = 10.0) -> Samples:
        """The next ``seconds`` of sound, ``round(seconds * rate)`` samples: an array (n, channels), float32.

        Goes on where the last `read` ended, if that was a moment ago (3 s), and else begins now. Waits ``timeout`` seconds for
        the stream, and then as long as the sound lasts and ``timeout`` more (None: for ever). Errors: `StreamNotFound` where
        there is no such stream by then, or it stops meanwhile, `ConnectionFailed`, `RTCTimeout`, `EngineDied`, `NotInRoom`,
        `TypeError`, `ValueError` (no such time).
        """
        count = _samples_of(seconds, LONGEST)
        cursor = self._implicit(timeout)
        deadline = Deadline(None if timeout is None else timeout + seconds)
        parts = [self._wait(cursor, part, deadline) for part in _parts_of(count)]
        return self._took(cursor, parts)

    async def aread(self, seconds: float, timeout: float | None = 10.0) -> Samples:
        """`read` for coroutines."""
        count = _samples_of(seconds, LONGEST)
        cursor = await asyncio.to_thread(self._implicit, timeout)
        deadline = Deadline(None if timeout is None else timeout + seconds)
        parts = [await self._await(cursor, part, deadline) for part in _parts_of(count)]
        return self._took(cursor, parts)

    def blocks(self, seconds: float = BLOCK) -> Iterator[Samples]:
        """Consecutive arrays of so many seconds each, 10 at most, for ever or until the stream stops; each loop begins now."""
        count = _samples_of(seconds, LONGEST_BLOCK)
        cursor = self.cursor(self.view(10.0))
        cursor.view.hold()
        try:
            while True:
                taken = cursor.poll(count)
                if taken is not None:
                    yield self._took(cursor, [taken])
                elif cursor.view.ended:
                    break
                else:
                    cursor.view.wait(lambda: cursor.has(count), None)
        finally:
            cursor.view.let_go()
        self._raise_fault(cursor.view)

    async def ablocks(self, seconds: float = BLOCK) -> AsyncIterator[Samples]:
        """`blocks` for ``async for``."""
        count = _samples_of(seconds, LONGEST_BLOCK)
        cursor = self.cursor(await asyncio.to_thread(self.view, 10.0))
        cursor.view.hold()
        try:
            while not cursor.view.ended or cursor.has(count):
                try:
                    yield self._took(cursor, [await self._await(cursor, count, Deadline(None))])
                except StreamNotFound:
                    break
        finally:
            cursor.view.let_go()
        self._raise_fault(cursor.view)

    def __iter__(self) -> Iterator[Samples]:
        return self.blocks()

    def __aiter__(self) -> AsyncIterator[Samples]:
        return self.ablocks()

    def map(self, fn: Callable[[Samples], Any]) -> MappedAudioStream:
        """What ``fn`` makes of the sound, block by block: a stream to read or to publish. It runs only while somebody does.

        ``fn`` gets arrays (960, channels), 20 ms each in order, and returns as many samples, (960,) or (960, 1 or 2).

        >>> room.publish(room.microphone.map(lambda block: block * 0.5), name="quieter")
        """
        from .publishing.mapped_audio import MappedAudioStream

        return MappedAudioStream(self, fn)

    def stop(self) -> None:
        """Stop reading: loops over the stream end, and its sender stops sending. Reading again starts it again."""
        with self._lock:
            view, self._view, self._cursor = self._view, None, None
        if view is not None:
            view.close()

    @property
    def dropped(self) -> float:
        """Seconds of sound that were left out because whoever read was too late, in `read` and all loops."""
        return self._skipped / self.rate

    @property
    def time(self) -> float:
        """Unix seconds at which the first sample of the last array was captured; nan before the first. See `Frame.time`."""
        return self._time

    @property
    def latency(self) -> float:
        """Seconds from the capture of the last sample of that array to its return; nan before the first."""
        return self._latency

    def __repr__(self) -> str:
        return f"<AudioStream {self._source.describe()}>"

    # What follows is for the kernel's other parts.

    @property
    def report(self) -> Callable[[BaseException], None] | None:
        """See `SoundSource.report`."""
        return self._source.report

    def view(self, timeout: float | None) -> SoundView:
        """The open view; all readers share it."""
        with self._lock:
            view = self._view
        if view is None or not view.touch():
            opened = self._source.open(timeout)
            with self._lock:
                if self._view is None or self._view.ended:
                    self._view = opened
                view = self._view
            if view is not opened:
                opened.close()  # another thread was faster
        return view

    def cursor(self, view: SoundView) -> Cursor:
        """A reader that begins now."""
        return SoundCursor(view)

    def _implicit(self, timeout: float | None) -> Cursor:
        """The cursor of `read`. What came while nobody read for a while is old, and not asked for."""
        view = self.view(timeout)
        with self._lock:
            now = time.monotonic()
            if self._cursor is None or self._cursor.view is not view or now - self._read_at > IDLE:
                self._cursor = self.cursor(view)
            self._read_at = now
            return self._cursor

    def _wait(self, cursor: Cursor, count: int, deadline: Deadline) -> tuple[Samples, float]:
        while (taken := cursor.poll(count)) is None:
            self._check(cursor.view)
            if not cursor.view.wait(lambda: cursor.has(count), deadline.left):
                raise _silence(cursor.view, deadline)
        return taken

    async def _await(self, cursor: Cursor, count: int, deadline: Deadline) -> tuple[Samples, float]:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        cursor.view.subscribe(wake)
        try:
            while (taken := cursor.poll(count)) is None:
                self._check(cursor.view)
                event.clear()
                if not cursor.has(count) and not cursor.view.ended:
                    await asyncio.wait_for(event.wait(), deadline.left)
        except TimeoutError:
            raise _silence(cursor.view, deadline) from None
        finally:
            cursor.view.unsubscribe(wake)
        return taken

    def _check(self, view: SoundView) -> None:
        if view.ended:
            self._raise_fault(view)
            raise StreamNotFound("the sound has stopped; read again to wait for the next one")

    @staticmethod
    def _raise_fault(view: SoundView) -> None:
        if view.error is not None:
            raise view.error.again()

    def _took(self, cursor: Cursor, parts: list[tuple[Samples, float]]) -> Samples:
        samples = parts[0][0] if len(parts) == 1 else np.concatenate([part for part, _ in parts])
        last, begun = parts[-1]
        self._time = parts[0][1]
        self._latency = max(0.0, time.time() - begun - len(last) / self.rate)
        with self._lock:
            self._skipped += cursor.skipped
            cursor.skipped = 0
            self._read_at = time.monotonic()
        return samples


def _samples_of(seconds: Any, most: float) -> int:
    try:
        count = round(seconds * RATE)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"seconds is a number, not {seconds!r}") from None
    if not 1 <= count <= most * RATE:
        raise ValueError(f"seconds is a time from {1 / RATE:.6f} to {most:g}, not {seconds!r}")
    return int(count)


def _parts_of(count: int) -> Iterator[int]:
    """What is read in one piece must fit the ring."""
    for start in range(0, count, RATE):
        yield min(RATE, count - start)


def _silence(view: SoundView, deadline: Deadline) -> Exception:
    if view.fault is not None:
        return view.fault.again()
    return RTCTimeout(
        f"not enough sound within {deadline.timeout:g} s: the sender is connected but sends less "
        "(its tab may be frozen in the background, or the network blocks media: see Troubleshooting in the README)"
    )
