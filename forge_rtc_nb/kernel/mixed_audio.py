"""`room.audio()`: what all the others say, as one stream (runs in the kernel)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RTCError
from .audio import BLOCK, RATE, AudioStream
from .sound_view import Cursor, SoundView

SIZE = round(BLOCK * RATE)
CHANNELS = 2
LOOK = 0.5
"""Seconds between two looks at who is there."""
LATE = 10
"""Blocks that somebody may be ahead of the others; what is beyond is left out, so that nobody stays late."""
KEPT = 1 << 20
"""Samples that are kept for who reads slowly, as of any sound."""

Voices = Callable[[], dict[Any, AudioStream]]
"""Who is to be heard at the moment, each by a key of its own."""


class MixSource:
    """A `audio.SoundSource`: silence where nobody says anything, or is there."""

    def __init__(self, voices: Voices, report: Callable[[BaseException], None]) -> None:
        self._voices = voices
        self.report = report

    def open(self, timeout: float | None) -> SoundView:
        self._voices()  # its errors here, where the reader sees them
        return _MixView(self._voices)

    def describe(self) -> str:
        return "everybody's sound, mixed"


class _Held:
    """Somebody who is listened to."""

    def __init__(self, stream: AudioStream, cursor: Cursor) -> None:
        self.stream, self.cursor = stream, cursor
        cursor.view.hold()

    def block(self) -> NDArray[np.float32] | None:
        while self.cursor.has((LATE + 1) * SIZE):
            self.cursor.poll(SIZE)
        taken = self.cursor.poll(SIZE)
        return None if taken is None else taken[0]

    def let_go(self) -> None:
        self.cursor.view.let_go()


class _MixView(SoundView):
    """Has a thread as long as it is open, which mixes by its own clock."""

    def __init__(self, voices: Voices) -> None:
        super().__init__(0, -1, lambda view: None)
        self._voices = voices
        self._held: dict[Any, _Held] = {}
        self._mixed = _Mixed()
        self._reader = self._mixed  # type: ignore[assignment] # of the same shape, without shared memory
        threading.Thread(target=self._run, name="forge-rtc-mix", daemon=True).start()

    def _run(self) -> None:
        due = looked = time.monotonic()
        try:
            self._look()
            while not self.ended:
                due += BLOCK
                if (now := time.monotonic()) - looked > LOOK:
                    looked = now
                    self._look()
                self._mixed.write(self._block(), time.time() - BLOCK)
                self.pump()
                if now > due + 1.0:
                    due = now  # the kernel stood still
                time.sleep(max(0.0, due - time.monotonic()))
        except RTCError as error:  # the room is over
            self.end(error)
        finally:
            for held in self._held.values():
                held.let_go()

    def _look(self) -> None:
        present = self._voices()
        for key in [key for key, held in self._held.items() if key not in present or held.cursor.view.ended]:
            self._held.pop(key).let_go()
        for key, stream in present.items():
            if key not in self._held:
                try:
                    self._held[key] = _Held(stream, stream.cursor(stream.view(0)))
                except RTCError:
                    continue  # it is going, or not there yet

    def _block(self) -> NDArray[np.float32]:
        mixed = np.zeros((SIZE, CHANNELS), np.float32)
        for held in self._held.values():
            if (block := held.block()) is not None:
                mixed += block  # one channel is heard in both
        return np.clip(mixed, -1.0, 1.0)


class _Mixed:
    """A circle of samples in this process, as `samples.SampleReader` has one."""

    def __init__(self) -> None:
        self._samples = np.zeros((KEPT, CHANNELS), np.float32)
        self._origin = 0.0
        self.head = 0

    def write(self, block: NDArray[np.float32], captured: float) -> None:
        self._samples[np.arange(self.head, self.head + len(block)) % KEPT] = block
        self._origin = captured - self.head / RATE
        self.head += len(block)

    def acknowledge(self) -> None:
        """Its writer calls its reader itself."""

    @property
    def first(self) -> int:
        return max(0, self.head - KEPT + SIZE)

    def copy(self, position: int, count: int) -> NDArray[np.float32] | None:
        if position < self.first or position + count > self.head:
            return None
        return self._samples[np.arange(position, position + count) % KEPT]

    def time_of(self, position: int) -> float:
        return self._origin + position / RATE

    def close(self) -> None:
        """The garbage collector has the rest."""
