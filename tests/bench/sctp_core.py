"""What the SCTP association alone costs, without socket and encryption: `python -m tests.bench.sctp_core` (run by hand).

Packets go from one association to the other in batches; the time of each side is taken by itself.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from time import perf_counter

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.events import Message

MESSAGE = 65_536


class Link:
    """Two associations and the seconds that each has taken."""

    def __init__(self, packet_size: int, batch: int) -> None:
        self.sender = Association(packet_size=packet_size)
        self.receiver = Association(packet_size=packet_size)
        self.batch = batch
        self.sending = self.receiving = 0.0
        self.packets = self.bytes = 0

    def connect(self) -> None:
        self.sender.connect(perf_counter())
        for _ in range(4):
            self.turn()

    def turn(self) -> None:
        """One batch to the receiver and the answer to it."""
        start = perf_counter()
        packets = self.sender.take_packets(start, self.batch)
        between = perf_counter()
        for packet in packets:
            self.receiver.receive(packet, between)
        self.receiver.end_batch(between)
        answers = self.receiver.take_packets(between, self.batch)
        events = self.receiver.events
        while events:
            event = events.popleft()
            if isinstance(event, Message):
                self.bytes += len(event.data)
        after = perf_counter()
        for packet in answers:
            self.sender.receive(packet, after)
        self.sender.end_batch(after)
        self.sender.events.clear()
        self.sending += between - start + perf_counter() - after
        self.receiving += after - between
        self.packets += len(packets)

    def transfer(self, total: int) -> None:
        data = bytes(MESSAGE)
        queued = 0
        while self.bytes < total:
            while queued < total and self.sender.buffered(0) < 4 * MESSAGE:
                start = perf_counter()
                self.sender.send(0, 53, data, now=start)
                self.sending += perf_counter() - start
                queued += MESSAGE
            self.turn()


def measure(packet_size: int, batch: int, total: int) -> None:
    link = Link(packet_size, batch)
    link.connect()
    link.transfer(total)
    for name, seconds in (("sender", link.sending), ("receiver", link.receiving)):
        print(
            f"{packet_size:6} bytes, batches of {batch}: {name:8} {link.bytes / seconds / 1e6:7.0f} MB/s, "
            f"{1e6 * seconds / link.packets:5.2f} us a packet"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--profile", action="store_true", help="say where the time goes, with 1200-byte packets")
    arguments = parser.parse_args()
    total = arguments.megabytes << 20
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(measure, 1200, 32, total)
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
        return
    for packet_size, batch in ((1200, 32), (1200, 64), (16_352, 32)):
        measure(packet_size, batch, total)


if __name__ == "__main__":
    main()
