"""What the widget shows of a room's data, as far as this kernel tells it: messages on channels and values of the mapping, with
small previews (engine process). docs/protocol.md, The overview."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from .. import arrays
from ..control import INLINE
from ..frames import MESSAGE_COST
from .data.outlet import Body, Outlet, Parcel
from .data.preview import Preview, preview
from .datalink import DataLink, Port

LABEL = "overview"
INTERVAL = 0.5
"""Seconds between two looks at what is new: a preview of everything that is sent would cost more than it shows."""
BATCH = 65536
"""Bytes that are under way to a tab at a time: what changes meanwhile is told as it is then."""

Of = Literal["channel", "shared"]
Key = tuple[Of, str]

_encoder = msgspec.json.Encoder()


@dataclass
class Item:
    """What there is to show of one channel or key."""

    header: bytes
    size: int
    time: float
    writer: str
    body: Callable[[], Body] | None
    """What the preview is made of; None once it is made, or where nobody watched."""
    preview: Preview | None = None


@dataclass
class Watcher:
    """A tab that shows it."""

    outlet: Outlet = field(default_factory=Outlet)
    news: dict[Key, None] = field(default_factory=dict)
    """What has changed since the last look, in order."""
    due: dict[Key, None] = field(default_factory=dict)
    """What it has to be told of, in order."""


class Overview:
    """``me`` is the participant id of this kernel, ``present`` holds those of all others who are in the room."""

    def __init__(self, me: str, link_of: Callable[[str], DataLink], present: Container[str]) -> None:
        self._me = me
        self._link_of = link_of
        self._present = present
        self._channels: dict[str, Item] = {}
        self._shared: dict[str, Item] = {}
        """Values of others, too: when those have left, they are ours to tell of."""
        self._told: dict[str, None] = {}
        """Keys of those that are ours to tell of."""
        self._watchers: dict[str, Watcher] = {}
        self._ticking = False
        self._last = 0.0

    def rename(self, me: str) -> None:
        """This participant has another id now."""
        self._me = me

    def end(self) -> None:
        """The room is over: nothing is held any more."""
        self._channels.clear()
        self._shared.clear()
        self._told.clear()

    def port(self, participant_id: str) -> Port:
        """The data channel that a tab opens to see it."""
        watcher = Watcher()
        return Port(
            LABEL,
            watcher.outlet,
            None,
            passive=True,
            refill=lambda: self._refill(watcher),
            opened=lambda: self._watch(participant_id, watcher),
            closed=lambda: self._forget(participant_id, watcher),
        )

    def sent(self, channel: str, header: bytes, size: int, body: Callable[[], Body] | None) -> None:
        """A message went out; ``body`` is None where there is to be no preview of it.

        The body is kept until the next look only, and only where somebody watches or it is small.
        """
        kept = body if self._watchers or size <= INLINE else None
        self._channels[channel] = Item(header, size, time.time(), self._me, kept)
        self._mark(("channel", channel))

    def closed(self, channel: str) -> None:
        """Nothing more is sent on it."""
        if self._channels.pop(channel, None) is not None:
            self._mark(("channel", channel))

    def written(self, key: str, header: bytes, size: int, when: float, writer: str, body: Callable[[], Body]) -> None:
        """The mapping has a new value; it keeps the body anyway."""
        self._shared[key] = Item(header, size, when, writer, body)
        self._consider(key, new=True)

    def deleted(self, key: str) -> None:
        self._shared.pop(key, None)
        self._consider(key)

    def refresh(self) -> None:
        """Others have come or left."""
        for key in self._shared:
            self._consider(key)

    def _consider(self, key: str, new: bool = False) -> None:
        """Tell of a key, or no more, as it is ours to tell of or not."""
        item = self._shared.get(key)
        ours = item is not None and (item.writer == self._me or item.writer not in self._present)
        if ours and (new or key not in self._told):
            self._told[key] = None
            self._mark(("shared", key))
        elif not ours and key in self._told:
            del self._told[key]
            self._mark(("shared", key))

    def _watch(self, participant_id: str, watcher: Watcher) -> None:
        """Its data channel is open, a new one: it knows of nothing."""
        watcher.outlet.close()
        watcher.due.clear()
        watcher.news = {("channel", name): None for name in self._channels} | {("shared", key): None for key in self._told}
        self._watchers[participant_id] = watcher
        self._tick_later()

    def _forget(self, participant_id: str, watcher: Watcher) -> None:
        if self._watchers.get(participant_id) is watcher:
            del self._watchers[participant_id]
        if not self._watchers:
            for item in self._channels.values():
                if item.size > INLINE:
                    item.body = None

    def _mark(self, key: Key) -> None:
        for watcher in self._watchers.values():
            watcher.news[key] = None
        self._tick_later()

    def _tick_later(self) -> None:
        if self._watchers and not self._ticking:
            self._ticking = True
            loop = asyncio.get_running_loop()
            loop.call_later(max(0.0, self._last + INTERVAL - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._ticking = False
        if not self._watchers:
            return
        self._last = time.monotonic()
        for item in self._channels.values():
            if item.body is not None:
                item.preview, item.body = _preview(item), None
        for participant_id, watcher in list(self._watchers.items()):
            watcher.due |= watcher.news
            watcher.news.clear()
            self._link_of(participant_id).pump()

    def _refill(self, watcher: Watcher) -> None:
        """Put what it is to be told of next."""
        size = 0
        while watcher.due and size < BATCH:
            key = next(iter(watcher.due))
            del watcher.due[key]
            parcel = self._parcel(key)
            watcher.outlet.put(parcel)
            size += MESSAGE_COST + parcel.size

    def _parcel(self, key: Key) -> Parcel:
        of, name = key
        item = self._channels.get(name) if of == "channel" else self._shared.get(name) if name in self._told else None
        if item is None:
            return Parcel(_encoder.encode({"kind": "gone", "of": of, "name": name}), b"", lambda: None)
        told: dict[str, object] = {
            "kind": "item",
            "of": of,
            "name": name,
            "time": item.time,
            "writer": item.writer,
            "value": _without_id(item.header),
            "size": item.size,
        }
        # Those of channels are few and made already; those of values are made each time, rather than kept.
        shown = item.preview if item.body is None else _preview(item)
        if shown is not None:
            told["preview"] = {"dtype": shown.dtype, "shape": shown.shape}
        return Parcel(_encoder.encode(told), b"" if shown is None else shown.body, lambda: None)


def _without_id(header: bytes) -> arrays.ValueHeader:
    return msgspec.structs.replace(arrays.parse_header(header), id="")


def _preview(item: Item) -> Preview | None:
    assert item.body is not None
    return preview(arrays.parse_header(item.header), memoryview(item.body()))
