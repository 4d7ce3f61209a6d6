"""What the widget shows of this kernel's data: what it sent last on each channel, what it wrote into the mapping, with small
previews (engine process). docs/protocol.md, The overview."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from .. import arrays
from .data.outlet import Outlet, Parcel
from .data.preview import Preview, preview
from .datalink import DataLink, Port

LABEL = "overview"
INTERVAL = 0.5
"""Seconds between two looks at what is new: a preview of everything that is sent would cost more than it shows."""

Of = Literal["channel", "shared"]
Key = tuple[Of, str]

_encoder = msgspec.json.Encoder()


@dataclass
class Item:
    """What there is to show of one channel or key."""

    header: bytes
    size: int
    time: float
    body: Callable[[], bytes | memoryview] | None
    """What the preview is made of; None once it is made, or where nobody watched when it was sent."""
    preview: Preview | None = None


@dataclass
class Watcher:
    """A tab that shows it."""

    outlet: Outlet = field(default_factory=Outlet)
    dirty: dict[Key, None] = field(default_factory=dict)
    """What it has to be told of, in order."""


class Overview:
    """``me`` is the participant id of this kernel."""

    def __init__(self, me: str, link_of: Callable[[str], DataLink]) -> None:
        self._me = me
        self._link_of = link_of
        self._items: dict[Key, Item] = {}
        self._watchers: dict[str, Watcher] = {}
        self._ticking = False
        self._last = 0.0

    def port(self, participant_id: str) -> Port:
        """The data channel that a tab opens to see it."""
        watcher = Watcher()

        def opened() -> None:
            watcher.outlet.close()
            watcher.dirty = dict.fromkeys(self._items)
            self._watchers[participant_id] = watcher
            self._tick_later()

        return Port(
            LABEL,
            watcher.outlet,
            None,
            passive=True,
            refill=lambda: self._refill(watcher),
            opened=opened,
            closed=lambda: self._forget(participant_id, watcher),
        )

    def sent(self, channel: str, header: bytes, size: int, body: Callable[[], bytes | memoryview]) -> None:
        """A message went out. Its body is kept until the next look only, and only where somebody watches."""
        self._note(("channel", channel), Item(header, size, time.time(), body if self._watchers else None))

    def written(self, key: str, header: bytes, size: int, when: float, body: Callable[[], bytes | memoryview]) -> None:
        """A value of the shared mapping is ours; the mapping has its body anyway."""
        self._note(("shared", key), Item(header, size, when, body))

    def gone(self, of: Of, name: str) -> None:
        """The channel was closed; the key was deleted, or somebody else wrote it."""
        if self._items.pop((of, name), None) is not None:
            self._mark((of, name))

    def _note(self, key: Key, item: Item) -> None:
        self._items[key] = item
        self._mark(key)

    def _mark(self, key: Key) -> None:
        for watcher in self._watchers.values():
            watcher.dirty[key] = None
        self._tick_later()

    def _tick_later(self) -> None:
        if self._watchers and not self._ticking:
            self._ticking = True
            loop = asyncio.get_running_loop()
            loop.call_later(max(0.0, self._last + INTERVAL - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self._last = time.monotonic()
        for key in {key for watcher in self._watchers.values() for key in watcher.dirty}:
            if (item := self._items.get(key)) is not None and item.body is not None:
                item.preview, item.body = _preview(item), None
        for participant_id in list(self._watchers):
            self._link_of(participant_id).pump()

    def _refill(self, watcher: Watcher) -> None:
        """One thing that is new, once its preview is made."""
        for key in watcher.dirty:
            item = self._items.get(key)
            if item is None or item.body is None:
                del watcher.dirty[key]
                watcher.outlet.put(self._parcel(key, item))
                return

    def _parcel(self, key: Key, item: Item | None) -> Parcel:
        of, name = key
        if item is None:
            return Parcel(_encoder.encode({"kind": "gone", "of": of, "name": name}), b"", lambda: None)
        told: dict[str, object] = {
            "kind": "item",
            "of": of,
            "name": name,
            "time": item.time,
            "writer": self._me,
            "value": _without_id(item.header),
            "size": item.size,
        }
        if item.preview is not None:
            told["preview"] = {"dtype": item.preview.dtype, "shape": item.preview.shape}
        return Parcel(_encoder.encode(told), b"" if item.preview is None else item.preview.body, lambda: None)

    def _forget(self, participant_id: str, watcher: Watcher) -> None:
        if self._watchers.get(participant_id) is watcher:
            del self._watchers[participant_id]


def _without_id(header: bytes) -> arrays.ValueHeader:
    return msgspec.structs.replace(arrays.parse_header(header), id="")


def _preview(item: Item) -> Preview | None:
    assert item.body is not None
    return preview(arrays.parse_header(item.header), memoryview(item.body()))
