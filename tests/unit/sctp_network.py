"""A path between two SCTP associations in virtual time: delay, loss, duplicates, another order (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from random import Random
from typing import Any

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.chunks import DATA, DATA_CHUNK, MASK, chunk, chunks_of, packet, without_superseded
from forge_rtc_nb.engine.datachannel.events import Closed, Event, Message
from forge_rtc_nb.engine.datachannel.flight import FLYING

DELAY = 0.01

Fate = Callable[[bytes], Iterable[float]]
"""When the copies of a packet arrive, in seconds from now; none for a lost one."""


def arrives(data: bytes) -> Iterable[float]:
    return (DELAY,)


class End:
    """An association, what it has told, and how the network treats what it sends."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.events: list[Event] = []
        self.fate: Fate = arrives
        self.sent: list[bytes] = []

    @property
    def messages(self) -> list[tuple[int, int, bytes]]:
        return [(each.stream, each.ppid, each.data) for each in self.events if isinstance(each, Message)]

    @property
    def closed(self) -> list[str | None]:
        return [each.reason for each in self.events if isinstance(each, Closed)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]

    @property
    def outbound(self) -> Any:
        block = self.association._block
        assert block is not None
        return block.outbound

    @property
    def inbound(self) -> Any:
        block = self.association._block
        assert block is not None
        return block.inbound


def seeded(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes


class Network:
    """``most``: packets that an end may send at once."""

    def __init__(self, most: int = 64, **options: Any) -> None:
        self.now = 100.0
        self.most = most
        self.client = End(Association(random=seeded(1), **options))
        self.server = End(Association(random=seeded(2), **options))
        self._packets: list[tuple[float, int, End, bytes]] = []
        self._count = 0
        self._woken: dict[End, float] = {}

    def other(self, end: End) -> End:
        return self.server if end is self.client else self.client

    def establish(self) -> Network:
        self.client.association.connect(self.now)
        self.run(lambda: bool(self.client.events and self.server.events))
        return self

    def carry(self, sender: End, data: bytes) -> None:
        sender.sent.append(data)
        for delay in sender.fate(data):
            self._count += 1
            heappush(self._packets, (self.now + delay, self._count, self.other(sender), data))

    def flush(self, end: End) -> None:
        """Sends all that the end has to send now."""
        for _ in range(1000):
            packets = end.association.take_packets(self.now, self.most)
            check(end)
            for each in packets:
                self.carry(end, each)
            end.events += end.association.events
            end.association.events.clear()
            if not packets:
                return
        raise AssertionError("it never stops to send")

    def run(self, done: Callable[[], bool] = lambda: False, seconds: float = 600.0) -> None:
        """Until it is done, or nothing happens any more, or the time is over: then it must be done."""
        ends = (self.client, self.server)
        until = self.now + seconds
        for end in ends:
            self.flush(end)
        while not done():
            times = [self._packets[0][0]] if self._packets else []
            times += [time for end in ends if (time := end.association.deadline) is not None]
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            self._step()
        self.now = self.now if done() or not seconds < 600 else until

    def _step(self) -> None:
        """Everything that is due."""
        for end in (self.client, self.server):
            association = end.association
            if association.deadline is not None and association.deadline <= self.now:
                association.on_timer(self.now)
        arrived: dict[End, list[bytes]] = {}
        while self._packets and self._packets[0][0] <= self.now:
            _, _, end, data = heappop(self._packets)
            arrived.setdefault(end, []).append(data)
        for end, together in arrived.items():
            for data in without_superseded(together):
                end.association.receive(data, self.now)
                check(end)
        for end in (self.client, self.server):
            end.association.end_batch(self.now)
            self.flush(end)


def check(end: End) -> None:
    """What holds at any time."""
    if end.association._block is None:
        return
    outbound, inbound = end.outbound, end.inbound
    flight = outbound.flight
    assert flight.size == sum(each.size for each in flight._sent if each.state == FLYING) >= 0
    tsns = [each.tsn for each in flight._sent]
    assert tsns == list(range(flight.acknowledged + 1, flight.next_tsn))
    assert outbound.congestion.window >= outbound.congestion.packet_size
    assert (outbound.t3 is not None) >= bool(flight)
    assert inbound._reassembly._firsts == sorted(inbound._reassembly._by_first)
    assert 0 <= inbound.window <= inbound._window
    assert all(queue.buffered >= 0 for queue in outbound.schedule._queues.values())


def random_path(seed: int, loss: float = 0.0, duplicates: float = 0.0, jitter: float = 0.0) -> Fate:
    random = Random(seed)

    def fate(data: bytes) -> Iterable[float]:
        if random.random() < loss:
            return ()
        copies = 2 if random.random() < duplicates else 1
        return tuple(DELAY + random.random() * jitter for _ in range(copies))

    return fate


def tell(network: Network, end: End, *chunks: bytes) -> list[bytes]:
    """Gives the end a packet of its peer that the peer has not sent; returns the packets that it answers with."""
    before = len(end.sent)
    end.association.receive(packet(end.association._expects, chunks), network.now)
    end.association.end_batch(network.now)
    check(end)
    network.flush(end)
    return end.sent[before:]


def data_chunk(tsn: int, flags: int, stream: int, sequence: int, data: bytes) -> bytes:
    value = DATA_CHUNK.pack(0, 0, 0, tsn & MASK, stream, sequence, 53)[4:] + data
    return chunk(DATA, flags, value)


def answers(packets: Iterable[bytes], kind: int) -> list[bytes]:
    """The values of all chunks of that type."""
    return [value for each in packets for found, _, value in chunks_of(each) if found == kind]
