"""Participants that come and go without end: bare WebSockets, and Python programs that read a frame (test process)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import forge_rtc_nb as rtc
from tests.server.client import Client
from tests.support import JupyterProcess

LIGHT_EVERY = 0.05
READER_EVERY = 3.0
VANISHES = 50
"""One in so many of the bare ones ends without a word."""


class Joins:
    """Threads that join and leave the room until the context ends; an error of theirs is raised by `check`."""

    def __init__(self, server: JupyterProcess, room: str, tabs: list[str]) -> None:
        self._server = server
        self._room = room
        self._tabs = itertools.cycle(tabs)
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self.light = 0
        self.readers = 0
        self._threads = [
            threading.Thread(target=self._again, args=(self._join_lightly, LIGHT_EVERY), name="light joins"),
            threading.Thread(target=self._again, args=(self._join_and_read, READER_EVERY), name="reading joins"),
        ]

    @property
    def count(self) -> int:
        return self.light + self.readers

    def check(self) -> None:
        if self._errors:
            raise self._errors[0]

    def _again(self, call: Callable[[], None], pause: float) -> None:
        try:
            while not self._over.wait(pause):
                call()
        except BaseException as error:
            self._errors.append(error)

    def _join_lightly(self) -> None:
        self.light += 1
        join_and_leave(self._server, self._room, self.light)

    def _join_and_read(self) -> None:
        room = rtc.join(self._room, server=self._server.url, token=self._server.token, name="visitor")
        try:
            assert room.video(next(self._tabs)).latest(timeout=20).array.ndim == 3
        finally:
            room.leave()
        self.readers += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def join_and_leave(server: JupyterProcess, room: str, number: int) -> None:
    """One bare participant: says hello, changes its streams, and leaves."""
    with Client(server, room) as client:
        streams = [{"id": "camera-00000001", "name": "camera", "kind": "video", "source": "camera"}]
        client.hello("kernel" if number % 2 else "browser", streams=streams)
        client.send("room.updated", streams=[])
        client.sync()
        if number % VANISHES == 0:
            client.drop()


def warm_up(server: JupyterProcess, room: str, another: str) -> None:
    """Memory that grows with the first of all joins, and not with the later ones, is no leak.

    A Jupyter server takes 10 MB during the first 6000: what lives on of each lies between what does not, until the gaps do for
    the next. Afterwards it is 0.3 MB for 1000, of which the resume tokens are most (they end at 65536). Those who come to
    ``another`` room cost the tabs nothing.
    """
    for number in range(7000):
        join_and_leave(server, another if number % 5 else room, number)
