"""The thread that encodes a publication's newest picture for the viewers of one codec (engine process)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..aiortc_compat.packets import Packetizer, Packets
from .encoder import EncodedFrame, VideoEncoder, usual_bitrate
from .picture import Picture
from .schedule import Schedule

logger = logging.getLogger(__name__)

FLOOR = 1 / 8
"""Of the bitrate that is usual for the size, or that was asked for: no viewer gets the others' picture below it."""
_ORIGIN = time.monotonic()
"""Of all timestamps: a connection that goes from one publication to another, or comes back to one, must not go back in time."""
_STEP = 0.05
"""A bitrate that differs less from the present one is not worth a change."""


@dataclass(slots=True)
class Work:
    """What a worker has done; written in its thread."""

    frames: int = 0
    keyframes: int = 0
    bytes: int = 0
    torn: int = 0
    """Pictures that were overwritten while they were read."""
    seconds: float = 0.0
    """Spent converting, encoding and cutting into packets."""
    bitrate: int = 0
    """Bits a second that the encoder is set to."""

    def add(self, other: Work) -> None:
        """What another worker has done, too."""
        for name in ("frames", "keyframes", "bytes", "torn", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Ready:
    """A frame for everybody, and the bounds of the bitrate for its size."""

    packets: Packets
    floor: int
    ceiling: int


class Worker:
    """Begins with the first picture, ends with `close`. It encodes no next frame before the last one is `taken`."""

    def __init__(
        self, codec: str, fps: float, bitrate: int | None, deliver: Callable[[Ready], None], fail: Callable[[str], None]
    ) -> None:
        self.work = Work()
        self._fps, self._asked_bitrate = fps, bitrate
        self._deliver, self._fail = deliver, fail
        self._condition = threading.Condition()
        self._schedule = Schedule()
        self._picture: Picture | None = None
        self._limit: int | None = None
        self._handed_over = self._closing = False
        self._encoder = VideoEncoder(codec, fps)
        self._packetizer = Packetizer(codec)
        self._timestamp = -1
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="video-encoder", daemon=True)
        self._thread.start()

    def show(self, picture: Picture) -> None:
        """In the place of the one before, encoded or not; any thread."""
        with self._condition:
            self._picture = picture
            self._schedule.picture()
            self._condition.notify()

    def ask_keyframe(self, joined: bool = False) -> None:
        """Soon; one is for all who ask."""
        with self._condition:
            self._schedule.ask_keyframe(joined)
            self._condition.notify()

    def limit(self, bitrate: int, whole: bool, hungry: bool) -> None:
        """At most so many bits a second; ``whole``: somebody gets more than keyframes, ``hungry``: somebody gets only them."""
        with self._condition:
            self._limit = bitrate
            self._schedule.whole, self._schedule.hungry = whole, hungry
            self._condition.notify()

    def taken(self) -> None:
        """The frame that was delivered is with the viewers."""
        with self._condition:
            self._handed_over = False
            self._condition.notify()

    def close(self) -> None:
        """The thread ends after the frame that it is at; idempotent."""
        with self._condition:
            self._closing = True
            self._picture = None  # whoever closes may want its memory
            self._condition.notify()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                self._do(*job)
                self._failure = None
            except Exception as error:
                self._drop_picture()
                self._report(error)
        self._encoder.close()

    def _report(self, error: Exception) -> None:
        """Once, where each picture fails alike."""
        failure = f"a picture cannot be encoded: {error!r}"
        if failure != self._failure:
            self._failure = failure
            logger.warning("%s", failure, exc_info=error)
            self._fail(failure)

    def _next_job(self) -> tuple[Picture | None, bool] | None:
        """A picture, or None for the last one again, and whether it is to be a keyframe; None at the end."""
        with self._condition:
            while not self._closing:
                now = time.monotonic()
                due = None if self._handed_over else self._schedule.next(now)
                if due is not None and due.at <= now:
                    picture, self._picture = self._picture, None
                    return picture, due.keyframe
                self._condition.wait(due.at - now if due is not None else None)
            return None

    def _do(self, picture: Picture | None, keyframe: bool) -> None:
        begin = time.monotonic()
        if picture is not None:
            self._encoder.load(picture.pixels, picture.pixel_format)
            if not picture.is_whole():
                self.work.torn += 1
                self._drop_picture()
                return
        ready = self._ready(self._encode(keyframe))
        self.work.seconds += time.monotonic() - begin
        with self._condition:
            self._schedule.encoded(begin, ready.packets.keyframe)
            self._handed_over = True
        self._deliver(ready)

    def _drop_picture(self) -> None:
        with self._condition:
            if self._picture is None:
                self._schedule.lost()

    def _encode(self, keyframe: bool) -> EncodedFrame:
        # Never the same twice: libvpx and receivers count on it.
        self._timestamp = max(self._timestamp + 1, round(90_000 * (time.monotonic() - _ORIGIN)))
        frame = self._encoder.encode(self._timestamp, self._bitrate(), keyframe)
        self.work.frames += 1
        self.work.keyframes += frame.keyframe
        self.work.bytes += len(frame.data)
        return frame

    def _bounds(self) -> tuple[int, int]:
        assert self._encoder.size is not None
        ceiling = self._asked_bitrate or usual_bitrate(*self._encoder.size, self._fps)
        return round(ceiling * FLOOR), ceiling

    def _bitrate(self) -> int:
        floor, ceiling = self._bounds()
        wanted = max(floor, min(ceiling, self._limit if self._limit is not None else ceiling))
        if abs(wanted - self.work.bitrate) > _STEP * self.work.bitrate or wanted in (floor, ceiling):
            self.work.bitrate = wanted
        return self.work.bitrate

    def _ready(self, frame: EncodedFrame) -> Ready:
        payloads = self._packetizer.cut(frame.data)
        return Ready(Packets(payloads, frame.timestamp, frame.keyframe), *self._bounds())
