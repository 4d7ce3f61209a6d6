"""The rings that the kernel reads: which region each has, and which stream feeds it (engine process)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..control import Control, OpenView, ViewEnded, ViewOpened, ViewReady
from ..ring import REGIONS, Writer
from .media import StreamSink, View


@dataclass
class _Open:
    region: int
    view: View
    sink: StreamSink | None = None


class Views:
    """Opens and closes rings; a region is used again only after the kernel said that it has unmapped it."""

    def __init__(self, memory: int, post: Callable[[Control], None]) -> None:
        self._memory = memory
        self._post = post
        self._free = list(range(REGIONS - 1, -1, -1))
        self._open: dict[int, _Open] = {}

    def open(self, request: OpenView) -> View:
        """A ring for this request; `MemoryError` where all are in use."""
        if not self._free:
            raise MemoryError(f"{REGIONS} streams are read at once; stop reading one first")
        region = self._free.pop()
        number = request.view
        try:
            writer = Writer(self._memory, region)
        except MemoryError:
            self._free.append(region)
            raise
        view = View(
            writer,
            request.format,
            lambda: self._post(ViewReady(number)),
            lambda why: self._post(ViewEnded(number, "memory", why)),
        )
        self._open[number] = _Open(region, view)
        self._post(ViewOpened(number, region))
        return view

    def attach(self, number: int, sink: StreamSink) -> None:
        """Remember which sink feeds a view, for `close`."""
        self._open[number].sink = sink

    def end(self, number: int, error: str | None = None, message: str = "") -> None:
        """Tell the kernel that no more will come; it answers with `CloseView`."""
        if number in self._open:
            self._post(ViewEnded(number, error, message))

    def close(self, number: int) -> StreamSink | None:
        """The kernel has unmapped the ring. Returns the sink that fed it."""
        entry = self._open.pop(number, None)
        if entry is None:
            return None
        if entry.sink is not None:
            entry.sink.close(number)
        entry.view.close()
        self._free.append(entry.region)
        return entry.sink

    @property
    def count(self) -> int:
        return len(self._open)
