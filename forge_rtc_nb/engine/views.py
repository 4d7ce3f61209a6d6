"""The rings that the kernel reads: which region each has, and which stream feeds it (engine process)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..control import Control, OpenView, ViewEnded, ViewOpened, ViewReady
from ..ring import Writer
from ..samples import FORMATS, SampleWriter
from .aiortc_compat.sound import RATE
from .media import View
from .regions import Regions
from .sound import SoundView
from .streams import Sink


@dataclass
class _Open:
    region: int
    view: View | SoundView
    sink: Sink | None = None


class Views:
    """Opens and closes rings; a region is used again only after the kernel said that it has unmapped it."""

    def __init__(self, memory: int, regions: Regions, post: Callable[[Control], None]) -> None:
        self._memory = memory
        self._post = post
        self._regions = regions
        self._open: dict[int, _Open] = {}

    def open(self, request: OpenView) -> View | SoundView:
        """A ring for this request; `MemoryError` where all are in use."""
        region = self._regions.take()
        number = request.view
        try:
            view = self._make(request, region)
        except MemoryError:
            self._regions.give(region)
            raise
        self._open[number] = _Open(region, view)
        self._post(ViewOpened(number, region))
        return view

    def _make(self, request: OpenView, region: int) -> View | SoundView:
        number = request.view

        def notify() -> None:
            self._post(ViewReady(number))

        if request.format in FORMATS:
            return SoundView(SampleWriter(self._memory, region, RATE, FORMATS[request.format]), notify)
        writer = Writer(self._memory, region)
        return View(writer, request.format, notify, lambda why: self._post(ViewEnded(number, "memory", why)))

    def attach(self, number: int, sink: Sink) -> None:
        """Remember which sink feeds a view, for `close`."""
        self._open[number].sink = sink

    def end(self, number: int, error: str | None = None, message: str = "") -> None:
        """Tell the kernel that no more will come; it answers with `CloseView`."""
        if number in self._open:
            self._post(ViewEnded(number, error, message))

    def close(self, number: int) -> Sink | None:
        """The kernel has unmapped the ring. Returns the sink that fed it."""
        entry = self._open.pop(number, None)
        if entry is None:
            return None
        if entry.sink is not None:
            entry.sink.close(number)
        entry.view.close()
        self._regions.give(entry.region)
        return entry.sink

    @property
    def count(self) -> int:
        return len(self._open)
