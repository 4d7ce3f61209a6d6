"""What is to be published, checked, and how each kind begins (runs in the kernel)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ... import control
from ...protocol import MAX_NAME
from ..arguments import whole
from ..audio import AudioStream
from .audio_publication import AudioPublication
from .complaints import Report
from .feeds import check, feed, is_still
from .handle import Handle
from .outlet import PictureOutlet, SoundOutlet, Wire
from .publication import Publication
from .sound_sources import sound_feed
from .sounds import look_sound

CODECS = ("H264", "VP8")
MIN_FPS, MAX_FPS = 0.01, 240
BITRATES = {"pictures": (10_000, 200_000_000), "sound": (6_000, 510_000)}
"""Of Opus: RFC 6716 section 2."""
MIN_RATE, MAX_RATE = 8_000, 192_000


class Plan(Protocol):
    """One call of `Room.publish`."""

    name: str

    def message(self, req: int, room: str, number: int) -> control.Publish: ...

    def handle(self, report: Report, closed: Callable[[], None]) -> Handle[Any]:
        """What the user gets."""

    def begin(self, handle: Any, wire: Wire, number: int, region: int) -> None:
        """The engine has taken it."""


class PicturePlan:
    """Pictures. `TypeError` or `ValueError` for what cannot be."""

    def __init__(self, source: Any, name: object, fps: object, bitrate: Any, codec: object) -> None:
        self.name = _checked_name(name)
        if not isinstance(fps, int | float | np.number) or not MIN_FPS <= fps <= MAX_FPS:
            raise ValueError(f"fps is a rate from {MIN_FPS} to {MAX_FPS} pictures a second, not {fps!r}")
        if codec is not None and codec not in CODECS:
            raise ValueError(f"codec {codec!r}: use one of {', '.join(CODECS)}, or None for what each viewer prefers")
        check(source)
        self._source = source
        self._fps = float(fps)
        self._bitrate = None if bitrate is None else _bits(bitrate, "pictures")
        self._codec = codec if isinstance(codec, str) else None

    def message(self, req: int, room: str, number: int) -> control.Publish:
        return control.Publish(
            req=req,
            room=room,
            publication=number,
            name=self.name,
            fps=self._fps,
            bitrate=self._bitrate,
            codec=self._codec,
        )

    def handle(self, report: Report, closed: Callable[[], None]) -> Publication:
        return Publication(self.name, report, closed)

    def begin(self, handle: Publication, wire: Wire, number: int, region: int) -> None:
        handle.begin(PictureOutlet(wire, number, region), feed(self._source, self._fps, handle))
        if is_still(self._source):
            handle.frame = self._source


class SoundPlan:
    """Sound. Errors as `PicturePlan`."""

    def __init__(self, source: Any, name: object, rate: Any, bitrate: Any) -> None:
        self.name = _checked_name(name)
        self._rate = _checked_rate(source, rate)
        self._source = look_sound(source) if hasattr(source, "__array__") else source
        self._channels = self._source.shape[1] if isinstance(self._source, np.ndarray) else 2
        self._bitrate = None if bitrate is None else _bits(bitrate, "sound")

    def message(self, req: int, room: str, number: int) -> control.Publish:
        return control.Publish(
            req=req,
            room=room,
            publication=number,
            name=self.name,
            bitrate=self._bitrate,
            rate=self._rate,
            channels=self._channels,
        )

    def handle(self, report: Report, closed: Callable[[], None]) -> AudioPublication:
        handle = AudioPublication(self.name, report, closed)
        self._feed = sound_feed(self._source, self._rate, handle)  # errors before anybody is told
        return handle

    def begin(self, handle: AudioPublication, wire: Wire, number: int, region: int) -> None:
        handle.begin(SoundOutlet(wire, number, region, self._rate, self._channels), self._feed)


def is_sound(source: object, rate: object) -> bool:
    return rate is not None or isinstance(source, AudioStream)


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a publication's name is text, not {name!r}")
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(f"a publication's name has 1 to {MAX_NAME} characters that can be shown, not {name!r}")
    return name


def _checked_rate(source: object, rate: Any) -> int:
    if isinstance(source, AudioStream):
        if rate not in (None, source.rate):
            raise ValueError(f"the stream has {source.rate} samples a second: leave rate out")
        return source.rate
    return whole("rate", rate, MIN_RATE, MAX_RATE, "samples a second")


def _bits(bitrate: Any, what: str) -> int:
    return whole(f"bitrate of {what}", bitrate, *BITRATES[what], "bits a second")
