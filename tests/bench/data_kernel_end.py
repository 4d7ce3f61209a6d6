"""One kernel in a room, with a channel that it sends and receives on as a user does (end process).

``python -m tests.bench.data_kernel_end URL ROOM``, the server's token in FORGE_RTC_TOKEN.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

import forge_rtc_nb as rtc
from tests.bench.data_burner import burn
from tests.bench.data_worker import ARRAY_SHAPE, END, milliseconds, serve

CHANNEL = "bench"
PATIENCE = 60.0


class End:
    """Holds the room and the channel; its public methods are called by the bench."""

    def __init__(self, url: str, room: str) -> None:
        self._room = rtc.join(room, server=url)
        self._channel = self._room.channel(CHANNEL)

    def ready(self) -> bool:
        """Wait until the other end has the channel open, and is connected."""
        self.meet(1)
        self._channel.send(b"hello", timeout=PATIENCE)
        self._channel.recv(PATIENCE)
        return True

    def meet(self, count: int) -> None:
        """Wait until so many others have the channel open."""
        until = time.monotonic() + PATIENCE
        while len(self._channel.participants) < count:
            if time.monotonic() > until:
                raise TimeoutError("nobody opened the channel")
            time.sleep(0.02)

    def burn(self, seconds: float) -> None:
        """Compute in another thread from now on."""
        burn(seconds)

    def stream(self, seconds: float) -> None:
        array = np.random.default_rng(1).random(ARRAY_SHAPE)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._channel.send(array, progress=False)
        self._channel.send(END)

    def send_array(self) -> float:
        """When it began."""
        array = np.random.default_rng(1).random(ARRAY_SHAPE)
        begun = time.time()
        self._channel.send(array, progress=False)
        self._channel.send(END)
        return begun

    def receive(self) -> dict[str, float]:
        """A stream, until its end: what came after the first message, and when the last came."""
        first = self._channel.recv(PATIENCE).nbytes
        begun = last = time.time()
        size = 0
        while not isinstance(value := self._channel.recv(PATIENCE), bytes):
            last = time.time()
            size += value.nbytes
        return {"first": first, "bytes": size, "seconds": last - begun, "last": last}

    def echo(self) -> None:
        while (message := self._channel.recv(PATIENCE)) != END:
            self._channel.send(message)

    def round_trips(self, size: int, count: int) -> float:
        """p50 in ms."""
        message, times = os.urandom(size), []
        for _ in range(count):
            begun = time.perf_counter()
            self._channel.send(message)
            self._channel.recv(PATIENCE)
            times.append(time.perf_counter() - begun)
        self._channel.send(END)
        return milliseconds(times)

    def leave(self) -> None:
        self._room.leave()


def main(url: str, room: str) -> None:
    end = End(url, room)
    names = ("ready", "meet", "burn", "stream", "send_array", "receive", "echo", "round_trips", "leave")
    functions: dict[str, Any] = {name: getattr(end, name) for name in names}
    serve(functions)
    end.leave()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
