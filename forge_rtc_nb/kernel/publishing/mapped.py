"""`VideoStream.map`: a live transform, which is a stream itself (runs in the kernel)."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import replace
from typing import Any

from ...errors import RTCError
from ...ring import SLOTS, Picture
from ..engine_client import FORKED
from ..frames import Frame
from ..reading import FrameIterator
from ..streams import PixelFormat, Policy, VideoStream
from ..views import View
from .complaints import Report
from .pixels import FORMATS, Pixels
from .relay import Change, Relay


class MappedStream(VideoStream):
    """What a function makes of the newest frames of a stream; made by `VideoStream.map`. Read it, map it, publish it.

    The function gets an array of its own, which it may write to, and returns a picture: (height, width) or (height, width, 3
    or 4), uint8, bool or floats from 0 to 1; readers get uint8. It runs in a thread of its own, once a frame, while somebody
    reads the result or watches it; frames that come while it runs are left out. Where it fails the last good picture stays,
    and the notebook shows the error once.

    >>> inverted = rtc.synthetic().map(lambda picture: 255 - picture)
    >>> inverted.latest().array.shape
    (720, 1280, 3)
    >>> inverted.fn = lambda picture: picture[::-1]   # from the next frame on
    """

    def __init__(self, stream: VideoStream, fn: Change) -> None:
        self._relay = Relay(stream, "rgb24", _callable(fn), f"the function of {stream!r}.map")
        self._pid = os.getpid()
        super().__init__(_MappedSource(stream, self._relay))

    @property
    def fn(self) -> Change:
        """The function; assign another one while it runs."""
        assert self._relay.change is not None
        return self._relay.change

    @fn.setter
    def fn(self, fn: Change) -> None:
        self._relay.change = _callable(fn)

    @property
    def relay(self) -> Relay:
        """Where its pictures come from."""
        return self._relay

    def frames(self, policy: Policy = "latest", maxsize: int = 8, format: PixelFormat = "rgb24") -> FrameIterator:
        """As `VideoStream.frames`, but in the format that the function returns: gray, rgb24 or rgba."""
        if format != "rgb24":
            raise ValueError(f"format {format!r}: a mapped stream has the one that its function returns; convert it there")
        return super().frames(policy, maxsize)

    def view(self, pixel_format: str, timeout: float | None) -> View:
        if self._pid != os.getpid():  # the thread is its parent's
            raise RTCError(FORKED)
        return super().view("rgb24", timeout)


def _callable(fn: object) -> Change:
    if not callable(fn):
        raise TypeError(f"map takes a function of an array that returns an array, not {fn!r}")
    return fn


class _MappedSource:
    """Opens views that the relay fills."""

    def __init__(self, stream: VideoStream, relay: Relay) -> None:
        self._stream = stream
        self._relay = relay

    @property
    def report(self) -> Report | None:
        return self._stream.report

    def open(self, pixel_format: str, timeout: float | None) -> View:
        self._stream.view("rgb24", timeout)  # its errors here, where the reader sees them
        view = _MappedView(self._relay)
        self._relay.add(view)
        return view

    def describe(self) -> str:
        return f"mapped from {self._stream!r}"


class _MappedView(View):
    """A view of pictures that were made in this process; a `relay.Sink`."""

    report = None

    def __init__(self, relay: Relay) -> None:
        super().__init__(0, "rgb24", -1, lambda view: relay.remove(self))
        self._reader = self._recent = _Recent()

    def wants(self) -> bool:
        return True

    def take(self, pixels: Pixels, frame: Frame) -> None:
        # A copy: the function may give the same array again, and write to it.
        self._recent.add(Picture(pixels.copy(), frame.time, time.time(), frame.index))
        self.pump()

    def fail(self, error: RTCError | None, final: bool) -> None:
        self.end(error)

    def frame(self, picture: Picture) -> Frame:
        return Frame(picture, FORMATS[picture.array.shape[2] if picture.array.ndim == 3 else 1])


class _Recent:
    """The last pictures, as a ring has them (`views.Pictures`); the view's lock guards it, but for `add`."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[int, Picture]] = deque(maxlen=SLOTS)
        self.head = 0

    def add(self, picture: Picture) -> None:
        self._pictures.append((self.head, picture))
        self.head += 1

    def acknowledge(self) -> None:
        """Its writer calls its reader itself."""

    def copy(self, number: int, pixel_format: str) -> Picture | None:
        found: Any = next((picture for at, picture in list(self._pictures) if at == number), None)
        return None if found is None else replace(found, array=found.array.copy())

    def close(self) -> None:
        """The garbage collector has the rest."""
