"""A publication of pictures as the notebook's user holds it (runs in the kernel)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import RTCError
from .complaints import Report
from .handle import Handle
from .outlet import PictureOutlet
from .pixels import Pixels, look
from .pulse import pulse


@dataclass(frozen=True)
class PublicationStats:
    """What a publication did since it began; of the engine's part as it was a second ago at most."""

    viewers: int
    """At the moment: tiles of browsers that show it, kernels that read it."""
    keyframes_only: int
    """Viewers whose connection carries less than the stream needs: they get a picture now and then."""
    pictures: int
    """That the source gave."""
    frames: int
    """Encoded. A picture that comes while another one is encoded takes the place of one that waits."""
    keyframes: int
    """Of them complete ones, for who comes or lost something."""
    bytes: int
    """Encoded; each viewer got so many, less what it was too slow for."""
    dropped: int
    """Frames that a viewer did not get as it was too slow, over all viewers."""
    seconds: float
    """Processor seconds of the engine, converting and encoding."""
    bitrate: int
    """Bits a second that the encoder is set to; 0 while nobody watches."""


class Publication(Handle[PictureOutlet]):
    """A stream that this kernel sends to whoever watches; made by `Room.publish`. Usable in ``with``.

    >>> pub = room.publish(np.zeros((480, 640, 3), np.uint8), name="plot")
    >>> pub.frame = picture       # what everybody sees from now on
    >>> pub.viewers
    1
    >>> pub.stop()
    """

    def __init__(self, name: str, report: Report, closed: Callable[[], None]) -> None:
        super().__init__(name, report, closed, "the last good picture stays")
        self._still: Any = None
        self._last: Pixels | None = None

    def stats(self) -> PublicationStats:
        """What it did up to now."""
        seen, outlet = self._seen, self._outlet
        return PublicationStats(
            viewers=self.viewers,
            keyframes_only=seen.keyframes_only,
            pictures=0 if outlet is None else outlet.count,
            frames=seen.frames,
            keyframes=seen.keyframes,
            bytes=seen.bytes,
            dropped=seen.dropped,
            seconds=seen.seconds,
            bitrate=seen.bitrate,
        )

    @property
    def frame(self) -> Any:
        """The picture: of a still what you gave, else the newest array of the source; None before the first.

        Assign another one to a still; it is copied at once. Errors: `TypeError`, `ValueError` (no picture), `RTCError` (ended).
        """
        if self._feed is None:
            return self._still
        return None if self._last is None else self._last.array

    @frame.setter
    def frame(self, value: Any) -> None:
        if self._feed is not None:
            raise TypeError(f"publication {self.name!r} gets its pictures from its source: stop() it, and publish an array")
        pixels = look(value)
        if self._over is not None:
            raise self._over.again()
        self.show(pixels, time.time())
        self._still = value

    def end(self, over: RTCError) -> None:
        super().end(over)
        pulse.watch(self, False)

    def abandon(self, over: RTCError) -> None:
        super().abandon(over)
        pulse.forget()

    # What follows is for the source's thread (`runner.Host`), and for `pulse`.

    def _watch(self) -> None:
        super()._watch()
        pulse.watch(self, self._feed is not None and self._over is None and self._seen.viewers > 0)

    def pulse(self) -> None:
        if self._outlet is not None:
            self._outlet.pulse()

    def show(self, pixels: Pixels, captured: float) -> bool:
        outlet = self._outlet
        if outlet is None or not outlet.show(pixels, captured):
            return False
        self._last = pixels
        return True
