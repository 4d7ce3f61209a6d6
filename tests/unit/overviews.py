"""A kernel's overview without a network: time, tabs and what they are told, as a test says (test process)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from forge_rtc_nb import arrays
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.outlet import Body
from forge_rtc_nb.engine.datalink import DataLink, Port
from forge_rtc_nb.engine.overview import Overview
from forge_rtc_nb.frames import decode, encode
from tests.unit.data_channels import Queue


class Clock:
    """Time that passes when a test says so, and an event loop by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        self._timers.append((self.now + delay, call))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer[0] <= end]:
            first = min(due, key=lambda timer: timer[0])
            self._timers.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = end

    @property
    def is_idle(self) -> bool:
        return not self._timers


class Tab:
    """A tab with its end of the data channel; what it was told is in ``told``."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.answers = True
        self._open()
        port.opened()

    def _open(self) -> None:
        self._queue = Queue(maxsize=1 << 20, named=False)
        self._inlet = Inlet(self._queue)
        self.port.outlet.restart()

    def open_again(self) -> None:
        self._open()
        self.port.opened()

    def pump(self) -> None:
        """What a data link does: frames there, answers back."""
        for _ in range(100_000):
            if not self.port.outlet.waiting:
                self.port.refill()
            frame = self.port.outlet.next_frame()
            if frame is None:
                return
            self._inlet.receive(decode(encode(frame)))
            while self.answers and self._inlet.replies:
                self.port.outlet.receive(cast(Any, self._inlet.replies.popleft()))
        raise AssertionError("it has no end")

    @property
    def told(self) -> list[tuple[dict[str, Any], bytes]]:
        """Headers and bodies since the last look."""
        told = [(json.loads(header), body) for header, body in self._queue.messages]
        self._queue.messages.clear()
        return told

    @property
    def names(self) -> list[tuple[str, str]]:
        return [(header["kind"], header["name"]) for header, _ in self.told]


class Kernel:
    """An overview, and the tabs that look at it."""

    def __init__(self) -> None:
        self.tabs: dict[str, Tab] = {}
        self.present = {"other"}
        self.overview = Overview("me", lambda one: cast(DataLink, self.tabs[one]), self.present)

    def tab(self, name: str = "tab") -> Tab:
        self.tabs[name] = Tab(self.overview.port(name))
        return self.tabs[name]

    def close(self, tab: Tab) -> None:
        tab.port.closed()

    def send(self, channel: str, value: object, show: bool = True) -> None:
        packed = arrays.pack(value, 1.0)
        body = packed.to_bytes()
        header = arrays.named(packed.header, "7-1")
        self.overview.sent(channel, header, packed.size, (lambda: body) if show else None)

    def write(self, key: str, value: object, writer: str = "me") -> None:
        packed = arrays.pack(value, 1.0)
        body: Body = packed.to_bytes()
        self.overview.written(key, packed.header, packed.size, 5.0, writer, lambda: body)
