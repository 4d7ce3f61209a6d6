"""A path that loses and delays datagrams: ``python -m tests.bench.channels_proxy LOSS DELAY`` (proxy process).

Stands between two ends, each of which knows the other by an address of the proxy. Datagrams are read and written one by one,
also those that were sent many a call, so that everybody's cost it the same.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress

from tests.bench.data_worker import serve

BUFFER = 4 << 20
"""Bytes that are asked for at each socket: what is lost is lost by chance."""
SEED = 7
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*$", re.MULTILINE | re.IGNORECASE)
_ANY_CANDIDATE = re.compile(r"^a=candidate:.*\r?\n", re.MULTILINE)


class Side:
    """Stands for one of the ends: what comes here is for it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        self.socket.setblocking(False)
        self.end = ("", 0)
        self.waiting: deque[tuple[float, bytes]] = deque()
        """When to go on, and what."""

    def stand_in(self, sdp: str) -> str:
        """The description with our address in the place of the end's."""
        found = _CANDIDATE.search(sdp)
        if found is None:
            raise ValueError("the description has no host candidate of IPv4")
        ip, port = found[1], found[2]
        self.end = ip, int(port)
        self.socket.bind((ip, 0))
        line = found[0].replace(f" {ip} {port} ", f" {ip} {self.socket.getsockname()[1]} ")
        first = _ANY_CANDIDATE.search(sdp)
        assert first is not None
        return _ANY_CANDIDATE.sub("", sdp[: first.start()]) + line + "\r\n" + _ANY_CANDIDATE.sub("", sdp[first.start() :])


class Proxy:
    """Both sides, and a thread that carries from each to the other's end."""

    def __init__(self, loss: float, delay: float) -> None:
        self._loss = loss
        self._delay = delay
        self._chance = random.Random(SEED).random
        self._sides = [Side(), Side()]
        self._selector = selectors.DefaultSelector()

    def stand_in(self, side: int, sdp: str) -> str:
        """For the offerer (0), then the answerer (1), whose description starts it."""
        changed = self._sides[side].stand_in(sdp)
        if side:
            threading.Thread(target=self._run, daemon=True).start()
        return changed

    def _run(self) -> None:
        one, other = self._sides
        for side, back in ((one, other), (other, one)):
            self._selector.register(side.socket, selectors.EVENT_READ, (side, back))
        while True:
            for key, _ in self._selector.select(self._patience()):
                self._read(*key.data)
            for side, back in ((one, other), (other, one)):
                self._let_go(side, back)

    def _patience(self) -> float | None:
        times = [side.waiting[0][0] for side in self._sides if side.waiting]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _read(self, side: Side, back: Side) -> None:
        """``back`` is the side that ``side``'s end knows as the sender."""
        receive, send, end, loss = side.socket.recv, back.socket.sendto, side.end, self._loss
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(256):
                data = receive(65536)
                if loss and self._chance() < loss:
                    continue
                if self._delay:
                    side.waiting.append((time.monotonic() + self._delay, data))
                else:
                    send(data, end)

    def _let_go(self, side: Side, back: Side) -> None:
        now = time.monotonic()
        while side.waiting and side.waiting[0][0] <= now:
            with suppress(BlockingIOError, ConnectionError):
                back.socket.sendto(side.waiting.popleft()[1], side.end)


def main(loss: float, delay: float) -> None:
    proxy = Proxy(loss, delay)
    serve({"stand_in": proxy.stand_in})


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
