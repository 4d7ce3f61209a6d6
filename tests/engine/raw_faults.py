"""What a bad network does to the datagrams of one connection, the same at each run (test process)."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from forge_rtc_nb.engine.aiortc_compat.dtls_transport import FastDtlsTransport
from forge_rtc_nb.engine.datachannel.udp import Run, apart
from tests.engine.secure_pair import as_read

LATE = 8
"""Datagrams that overtake a late one: more than the three after which it counts as lost (RFC 9260 section 7.2.4)."""


@dataclass(frozen=True)
class Faults:
    """Probabilities for each datagram, in each direction."""

    loss: float = 0.0
    late: float = 0.0
    twice: float = 0.0

    def __str__(self) -> str:
        return " ".join(f"{value:.0%} {name}" for name, value in vars(self).items() if value) or "none"


class _Way:
    """One direction. The n-th datagram always has the same fate, whatever is in it."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._chance = random.Random(seed)
        self._count = 0
        self._late: deque[tuple[int, bytes]] = deque()
        """With the number of the datagram after which it goes on; at most `LATE`."""

    def through(self, data: bytes) -> list[bytes]:
        """What goes on now."""
        lost, late, twice = (self._chance.random() for _ in range(3))
        self._count += 1
        passed = []
        if lost >= self._faults.loss:
            if late < self._faults.late:
                self._late.append((self._count + LATE, data))
            else:
                passed = [data] * (2 if twice < self._faults.twice else 1)
        while self._late and self._late[0][0] <= self._count:
            passed.append(self._late.popleft()[1])
        return passed


def impair(pc: Any, faults: Faults, seed: int = 1) -> None:
    """From now on, for what goes and what comes. ICE's own datagrams are not touched."""
    if isinstance(pc.sctp.transport, FastDtlsTransport):
        _impair_fast(pc.sctp.transport, faults, seed)
        return
    ice = pc.sctp.transport.transport
    send, receive = ice._send, ice._recv
    out, in_ = _Way(faults, seed), _Way(faults, seed + 1)
    arrived: deque[bytes] = deque()

    async def send_some(data: bytes) -> None:
        for datagram in out.through(data):
            await send(datagram)

    async def receive_some() -> bytes:
        while not arrived:
            arrived.extend(in_.through(await receive()))
        return arrived.popleft()

    ice._send, ice._recv = send_some, receive_some


def _impair_fast(dtls: Any, faults: Faults, seed: int) -> None:
    """Where datagrams do not pass through the queues of aiortc."""
    send, receive = dtls._path.send_run, dtls.records_received
    out, in_ = _Way(faults, seed), _Way(faults, seed + 1)

    def send_some(run: memoryview, segment: int) -> None:
        for start in range(0, len(run), segment):
            for datagram in out.through(bytes(run[start : start + segment])):
                send(memoryview(datagram), len(datagram))

    def receive_some(buffer: bytearray | bytes, runs: list[Run]) -> None:
        passed = [datagram for start, end in apart(runs) for datagram in in_.through(bytes(buffer[start:end]))]
        receive(*as_read(passed))

    dtls._path.send_run, dtls.records_received = send_some, receive_some
