"""What a packet of a data channel costs below SCTP: ``python -m tests.bench.datachannel_path`` (bench process).

Records: aiortc's way through pyOpenSSL beside `RecordLayer`. Datagrams: one call each beside groups, on loopback. All in one
process and by its processor time, so that a busy machine changes little.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from OpenSSL import SSL

from forge_rtc_nb.engine.aiortc_compat.dtls_records import RecordLayer
from forge_rtc_nb.engine.datachannel.udp import Run, UdpSocket
from tests.engine.secure_pair import connect

BATCH = 48
"""Packets that are there at once."""
ROUNDS, REPEATS = 7, 100


def measure(work: Callable[[], None]) -> float:
    """Microseconds a packet: the median of `ROUNDS`."""
    times = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(REPEATS):
            work()
        times.append((time.process_time() - begun) / REPEATS / BATCH * 1e6)
    return statistics.median(times)


class Records:
    """Packets of one size, encrypted at one end and decrypted at the other."""

    def __init__(self, size: int) -> None:
        self._packets = [os.urandom(size)] * BATCH
        self._client, self._server = connect()
        self._sealing, self._opening = RecordLayer(self._client), RecordLayer(self._server)
        self.records: list[bytes] = []
        self._runs: list[tuple[int, list[Run]]] = []
        self._buffers = [bytearray(65536) for _ in range(BATCH)]

    def theirs_out(self) -> None:
        self.records = []
        for packet in self._packets:
            self._client.send(packet)
            self.records.append(self._client.bio_read(20000))

    def theirs_in(self) -> None:
        for record in self.records:
            self._server.bio_write(record)
            self._server.recv(20000)
            with suppress(SSL.Error):
                self._server.bio_read(1500)

    def ours_out(self) -> None:
        self._runs = []
        for number, (run, segment) in enumerate(self._sealing.encrypt(self._packets)):
            self._buffers[number][: len(run)] = run  # as a socket would be read into
            self._runs.append((number, [(0, len(run), segment)]))

    def ours_out_only(self) -> None:
        for _ in self._sealing.encrypt(self._packets):
            pass

    def ours_in(self) -> None:
        if sum(len(self._opening.decrypt(self._buffers[number], runs)) for number, runs in self._runs) != BATCH:
            raise RuntimeError("packets are missing")


def both(out: Callable[[], None], in_: Callable[[], None]) -> tuple[float, float]:
    """A record can be read once only: what it takes to read is what it takes to do both, less writing."""
    writing = measure(out)

    def write_and_read() -> None:
        out()
        in_()

    return writing, measure(write_and_read) - writing


def records() -> None:
    print(f"{'records':<28}{'encrypt':>10}{'decrypt':>10}   us each")
    for size in (1200, 16384):
        end = Records(size)
        theirs, ours = both(end.theirs_out, end.theirs_in), both(end.ours_out, end.ours_in)
        print(f"{f'pyOpenSSL, {size} bytes':<28}{theirs[0]:10.2f}{theirs[1]:10.2f}")
        print(f"{f'RecordLayer, {size} bytes':<28}{measure(end.ours_out_only):10.2f}{ours[1]:10.2f}")


class Datagrams:
    """Runs of one size from a socket to another."""

    def __init__(self, size: int, grouped: bool) -> None:
        self._size = size
        self._data = memoryview(os.urandom(size * BATCH))
        self._out, self._in = _socket(), _socket()
        self._address = self._in.sock.getsockname()
        if not grouped:
            self._out.offload_below = 0
            privates: Any = self._in
            privates._grouped = False
            self._in.sock.setsockopt(17, 104, 0)
        self.lost = 0

    def go(self) -> None:
        sent = self._out.send_run(self._data, self._size, self._address)
        arrived = 0
        while (got := self._in.receive()) is not None:
            arrived += sum(end - begin for begin, end, _ in got[0])
        self.lost += sent - arrived + len(self._data) - sent


def _socket() -> UdpSocket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return UdpSocket(sock)


def datagrams() -> None:
    print(f"{'datagrams':<28}{'there':>10}{'a second':>12}   us each, sent and received")
    for grouped in (False, True):
        way = Datagrams(1237, grouped)
        cost = measure(way.go)
        name = "groups (GSO, GRO)" if grouped else "one call each"
        print(f"{name:<28}{cost:10.2f}{1e6 / cost:12,.0f}" + (f"   lost {way.lost} bytes" if way.lost else ""))


if __name__ == "__main__":
    records()
    datagrams()
