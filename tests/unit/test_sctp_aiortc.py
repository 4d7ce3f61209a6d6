"""Our SCTP association against aiortc's, over a DTLS transport that is a queue in memory (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.events import Closed, Established, Event, Message, PeerReset, ResetDone

DCEP, STRING, BINARY = 50, 51, 53
OPEN_RELIABLE = bytes.fromhex("03 00 0000 00000000 0001 0000") + b"a"
OPENED = b"\x02"


class Wire:
    """What aiortc takes for its DTLS transport; at its other end an association of ours. ``loss`` of 100 packets are lost."""

    def __init__(self, role: str, loss: int = 0) -> None:
        self.state = "connected"
        self._role = role
        self._loss, self._random = loss, Random(1)
        self._loop = asyncio.get_running_loop()
        self._receiver: RTCSctpTransport | None = None
        self._to_stock: asyncio.Queue[bytes] = asyncio.Queue()
        self._to_ours: list[bytes] = []
        self._changed = asyncio.Event()
        self.ours = Association()
        self.events: list[Event] = []
        self._told = asyncio.Condition()

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self._random.randrange(100) >= self._loss:
            self._to_ours.append(data)
        self._changed.set()

    def wake(self) -> None:
        """Something was sent, or asked for."""
        self._changed.set()

    async def feed_stock(self) -> None:
        while True:
            packet = await self._to_stock.get()
            if self._receiver is not None:
                await self._receiver._handle_data(packet)

    async def feed_ours(self) -> None:
        ours, loop = self.ours, self._loop
        while True:
            due = None if ours.deadline is None else max(0.0, ours.deadline - loop.time())
            try:
                async with asyncio.timeout(due):
                    await self._changed.wait()
            except TimeoutError:
                ours.on_timer(loop.time())
            self._changed.clear()
            packets, self._to_ours = self._to_ours, []
            for packet in packets:
                ours.receive(packet, loop.time())
            ours.end_batch(loop.time())
            while packets := ours.take_packets(loop.time(), 64):
                for packet in packets:
                    if self._random.randrange(100) >= self._loss:
                        self._to_stock.put_nowait(packet)
            async with self._told:
                self.events += ours.events
                ours.events.clear()
                self._told.notify_all()

    async def until(self, done: Callable[[], bool]) -> None:
        async with self._told:
            await self._told.wait_for(done)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def send(self, stream: int, ppid: int, data: bytes, **options: Any) -> None:
        self.ours.send(stream, ppid, data, now=self._loop.time(), **options)
        self.wake()


@asynccontextmanager
async def connected(role: str, loss: int = 0, both_begin: bool = True) -> AsyncIterator[tuple[Wire, RTCSctpTransport]]:
    """Role is aiortc's in DTLS; it always sends INIT."""
    wire = Wire(role, loss)
    stock = RTCSctpTransport(cast(Any, wire))
    tasks = [asyncio.create_task(wire.feed_stock()), asyncio.create_task(wire.feed_ours())]
    if both_begin:
        wire.ours.connect(wire._loop.time())
        wire.wake()
    try:
        await stock.start(RTCSctpCapabilities(maxMessageSize=0), 5000)
        await wire.until(lambda: bool(wire.of(Established)))
        yield wire, stock
    finally:
        await stock.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - aiortc has no event for it
        await asyncio.sleep(0.001)


ROLES = pytest.mark.parametrize("role", ["client", "server"])
LOSS = pytest.mark.parametrize("loss", [0, 3])


async def open_channel(wire: Wire, stock: RTCSctpTransport, stream: int, **options: Any) -> tuple[RTCDataChannel, list[Any]]:
    """A data channel that aiortc opens; what comes on it."""
    channel = RTCDataChannel(stock, RTCDataChannelParameters(label="a", id=stream, **options))
    received: list[Any] = []
    channel.on("message", received.append)
    await wire.until(lambda: any(event.stream == stream and event.ppid == DCEP for event in wire.of(Message)))
    wire.send(stream, DCEP, OPENED)
    await until(lambda: channel.readyState == "open")
    return channel, received


@pytest.mark.parametrize(
    ("role", "loss", "both_begin"),
    [("client", 0, True), ("client", 0, False), ("server", 0, True), ("server", 0, False), ("server", 3, True)],
)
async def test_messages_of_all_sizes_go_both_ways(role: str, loss: int, both_begin: bool) -> None:
    sizes = [1, 3, 1156, 1157, 1172, 1173, 65_536, 262_144, 100_000]
    data = [Random(size).randbytes(size) for size in sizes]
    async with connected(role, loss, both_begin) as (wire, stock):
        channel, received = await open_channel(wire, stock, 4)
        for each in data:
            channel.send(each)
            wire.send(4, BINARY, each)
        await until(lambda: len(received) == len(data))
        await wire.until(lambda: len(wire.of(Message)) == len(data) + 1)
        assert received == data
        assert [event.data for event in wire.of(Message)[1:]] == data


@ROLES
async def test_channels_take_turns_and_keep_their_order(role: str) -> None:
    streams = range(10, 18)
    async with connected(role) as (wire, stock):
        channels = [await open_channel(wire, stock, stream) for stream in streams]
        for number in range(30):
            for stream in streams:
                wire.send(stream, BINARY, bytes([number]) * (1 + 977 * number))
        await until(lambda: all(len(received) == 30 for _, received in channels))
        for _, received in channels:
            assert received == [bytes([number]) * (1 + 977 * number) for number in range(30)]


async def test_unordered_and_unreliable_messages_do_not_hold_up_the_rest() -> None:
    async with connected("client", loss=3) as (wire, stock):
        channel, received = await open_channel(wire, stock, 4)
        lossy, _ = await open_channel(wire, stock, 6, ordered=False, maxRetransmits=0)
        for number in range(20):
            wire.send(6, BINARY, bytes(5000), ordered=False, max_retransmits=0)
            wire.send(4, BINARY, bytes([number]) * 3000)
            lossy.send(bytes(5000))
            channel.send(bytes([number]) * 3000)
        await until(lambda: len(received) == 20)
        await wire.until(lambda: len([e for e in wire.of(Message) if e.stream == 4 and e.ppid == BINARY]) == 20)
        assert received == [bytes([number]) * 3000 for number in range(20)]
        assert [e.data for e in wire.of(Message) if e.stream == 4 and e.ppid == BINARY] == received
        assert all(e.data == bytes(5000) for e in wire.of(Message) if e.stream == 6 and e.ppid == BINARY)


@LOSS
async def test_a_channel_that_aiortc_closes_is_reset_both_ways_and_its_stream_is_used_again(loss: int) -> None:
    async with connected("client", loss) as (wire, stock):
        for round_number in range(1, 4):
            channel, received = await open_channel(wire, stock, 4)
            wire.send(4, BINARY, b"hello")
            await until(lambda received=received: received == [b"hello"])  # type: ignore[misc]
            channel.close()
            await wire.until(lambda number=round_number: len(wire.of(PeerReset)) == number)  # type: ignore[misc]
            wire.ours.reset([4])
            wire.wake()
            await wire.until(lambda number=round_number: len(wire.of(ResetDone)) == number)  # type: ignore[misc]
            await until(lambda channel=channel: channel.readyState == "closed")  # type: ignore[misc]
            wire.events = [event for event in wire.events if not isinstance(event, Message)]
        assert wire.of(PeerReset) == [PeerReset((4,))] * 3
        assert wire.of(ResetDone) == [ResetDone((4,), True)] * 3


@LOSS
async def test_a_channel_that_we_close_is_closed_by_aiortc(loss: int) -> None:
    async with connected("server", loss) as (wire, stock):
        channel, received = await open_channel(wire, stock, 5)
        wire.send(5, BINARY, bytes(100_000))
        wire.ours.reset([5])
        wire.wake()
        await until(lambda: channel.readyState == "closed")
        await wire.until(lambda: bool(wire.of(ResetDone)) and bool(wire.of(PeerReset)))
        assert received == [bytes(100_000)]


async def test_aiortc_takes_a_channel_that_we_open() -> None:
    async with connected("server") as (wire, stock):
        opened: asyncio.Future[RTCDataChannel] = wire._loop.create_future()
        stock.on("datachannel", opened.set_result)
        wire.send(1, DCEP, OPEN_RELIABLE)
        channel = await opened
        channel.send("text")
        await wire.until(lambda: len(wire.of(Message)) == 2)
        assert [(event.ppid, event.data) for event in wire.of(Message)] == [(DCEP, OPENED), (STRING, b"text")]


async def ours_aborts(wire: Wire, stock: RTCSctpTransport) -> None:
    wire.ours.abort("enough")
    wire.wake()


async def ours_closes(wire: Wire, stock: RTCSctpTransport) -> None:
    wire.ours.close(wire._loop.time())
    wire.wake()


async def stock_stops(wire: Wire, stock: RTCSctpTransport) -> None:
    await stock.stop()


@pytest.mark.parametrize("end", [ours_aborts, ours_closes, stock_stops])
async def test_either_side_may_end_it(end: Callable[[Wire, RTCSctpTransport], Awaitable[None]]) -> None:
    async with connected("client") as (wire, stock):
        await end(wire, stock)
        await wire.until(lambda: bool(wire.of(Closed)))
        await until(lambda: stock.state == "closed")
