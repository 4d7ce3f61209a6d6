"""Data channels over our own association, as `RTCPeerConnection` and `RTCDataChannel` show them (test process)."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import aiortc.rtcdatachannel
import aiortc.rtcpeerconnection
import pytest
from aiortc import InvalidStateError, RTCConfiguration, RTCDataChannel, RTCPeerConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.aiortc_compat.sctp_dcep import (
    BINARY,
    OPEN,
    Opening,
    decode_data,
    decode_opening,
    encode_data,
)
from forge_rtc_nb.engine.aiortc_compat.sctp_transport import FastSctpTransport
from tests.engine.fast_pair import dtls, fast_pair, negotiate
from tests.engine.pairs import send_raw
from tests.support import await_for

FREE = 40
"""A stream that nobody uses."""
NAME = "größe 尺寸 📏"


def sctp(connection: RTCPeerConnection) -> Any:
    """Its transport, with its privates."""
    assert isinstance(connection.sctp, FastSctpTransport)
    return connection.sctp


async def offered(connection: RTCPeerConnection, what: Callable[[], object]) -> RTCDataChannel:
    """The channel that the other side announces when ``what`` is done."""
    channels: list[RTCDataChannel] = []
    connection.on("datachannel", channels.append)
    what()
    await await_for(lambda: channels, what="an announced channel")
    return channels[0]


# ---- opening ----


@pytest.mark.parametrize(
    "options",
    [{}, {"ordered": False}, {"maxRetransmits": 0}, {"maxPacketLifeTime": 70, "ordered": False}, {"protocol": NAME}],
    ids=str,
)
async def test_an_announced_channel_is_the_same_at_both_ends(options: dict[str, Any]) -> None:
    async with fast_pair() as pair:
        made: list[RTCDataChannel] = []
        channel = await offered(pair.far, lambda: made.append(pair.near.createDataChannel(NAME, **options)))
        await await_for(lambda: made[0].readyState == "open", what="an acknowledgement")
        names = ("id", "label", "protocol", "ordered", "maxRetransmits", "maxPacketLifeTime", "negotiated", "readyState")
        assert [getattr(channel, name) for name in names] == [getattr(made[0], name) for name in names]
        assert channel.label == NAME


async def test_each_side_has_streams_of_its_own() -> None:
    async with fast_pair() as pair:
        made = [end.createDataChannel("new") for end in (pair.near, pair.far) for _ in range(3)]
        await await_for(lambda: all(channel.readyState == "open" for channel in made), what="open channels")
        numbers = [channel.id for channel in made]
        assert len(set(numbers)) == 6
        # RFC 8832 section 6: the DTLS client's are even, and 0 is taken.
        even, odd = (2, 4, 6), (1, 3, 5)
        assert {tuple(numbers[:3]), tuple(numbers[3:])} == {even, odd}
        assert tuple(numbers[3:]) == (odd if dtls(pair.far)._role == "server" else even)


async def test_channels_made_before_the_connection_open_with_it() -> None:
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    made = [near.createDataChannel("first"), near.createDataChannel("second", negotiated=True, id=7)]
    far.createDataChannel("second", negotiated=True, id=7)
    opened: list[str] = []
    for channel in made:
        channel.on("open", lambda label=channel.label: opened.append(label))
    try:
        channel = await offered(far, lambda: asyncio.ensure_future(negotiate(near, far)))
        await await_for(lambda: sorted(opened) == ["first", "second"], what="both are open")
        assert channel.label == "first"
    finally:
        await asyncio.gather(near.close(), far.close())


async def test_a_stream_cannot_be_used_twice() -> None:
    async with fast_pair() as pair:
        with pytest.raises(ValueError, match="already registered"):
            pair.near.createDataChannel("again", negotiated=True, id=0)
        with pytest.raises(ValueError, match="already registered"):
            pair.near.createDataChannel("again", id=0)


# ---- messages ----


@pytest.mark.parametrize(
    "message", ["", b"", "text", NAME, b"\0", b"bytes", bytes(262_144), "x" * 262_144], ids=lambda m: repr(m)[:20]
)
async def test_a_message_arrives_as_what_it_was(message: str | bytes) -> None:
    async with fast_pair() as pair:
        pair.out.send(message)
        await await_for(lambda: pair.heard, what="the message")
        assert pair.heard == [message]


async def test_a_message_larger_than_the_other_side_takes_is_refused() -> None:
    async with fast_pair() as pair:
        with pytest.raises(ValueError, match="only supports messages up to 262144 bytes"):
            pair.out.send(bytes(262_145))
        await pair.works("after it")


async def test_what_is_buffered_is_told_and_that_it_is_little_as_well() -> None:
    async with fast_pair() as pair:
        pair.out.bufferedAmountLowThreshold = 100_000
        low: list[int] = []
        pair.out.on("bufferedamountlow", lambda: low.append(pair.out.bufferedAmount))
        for _ in range(40):
            pair.out.send(bytes(50_000))
        assert pair.out.bufferedAmount == 2_000_000
        await await_for(lambda: len(pair.heard) == 40, what="the messages")
        assert pair.out.bufferedAmount == 0
        assert len(low) == 1
        assert low[0] <= 100_000


async def test_who_sends_when_told_that_little_is_buffered_sends_all() -> None:
    async with fast_pair() as pair:
        left = [bytes([n]) * 60_000 for n in range(100)]
        sent = list(left)

        def more() -> None:
            while left and pair.out.bufferedAmount < 200_000:
                pair.out.send(left.pop(0))

        pair.out.on("bufferedamountlow", more)
        more()
        await await_for(lambda: len(pair.heard) == 100, what="the messages")
        assert pair.heard == sent


async def test_a_listener_that_fails_costs_nobody_else_anything(caplog: pytest.LogCaptureFixture) -> None:
    async with fast_pair() as pair:

        def fail(message: object) -> None:
            raise RuntimeError("a mistake")

        pair.in_.on("message", fail)
        await pair.works("one")
        await pair.works("two")
    assert "a listener of a data channel failed" in caplog.text


async def test_messages_go_on_while_the_socket_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fast_pair() as pair:
        direct = dtls(pair.near)._path._direct
        real, calls = direct.socket.send_run, []

        def sometimes_full(data: memoryview, segment: int, address: Any) -> int:
            calls.append(len(data))
            if len(calls) % 3:
                return 0
            return int(real(data[: max(segment, len(data) // segment // 2 * segment)], segment, address))

        monkeypatch.setattr(direct.socket, "send_run", sometimes_full)
        for number in range(30):
            pair.out.send(bytes([number]) * 40_000)
        await await_for(lambda: len(pair.heard) == 30, 30, "the messages")
        assert pair.heard == [bytes([number]) * 40_000 for number in range(30)]
        assert not direct.blocked
        near, far = (next(iter(dtls(end)._get_stats().values())) for end in (pair.near, pair.far))
        assert near.packetsSent == far.packetsReceived  # nothing was lost, and so nothing sent again
        assert sum(len(message) for message in pair.heard) < near.bytesSent < 1.1 * 30 * 40_000


# ---- closing ----


@pytest.mark.parametrize("closer", ["near", "far"])
async def test_a_channel_that_one_side_closes_is_closed_at_both(closer: str) -> None:
    async with fast_pair() as pair:
        closed: list[str] = []
        made = [pair.near.createDataChannel("new")]
        made.append(await offered(pair.far, lambda: None))
        for name, channel in zip(("near", "far"), made, strict=True):
            channel.on("close", lambda name=name: closed.append(name))
        made[closer == "far"].close()
        await await_for(lambda: sorted(closed) == ["far", "near"], what="both are closed")
        assert {channel.readyState for channel in made} == {"closed"}
        assert made[0].id not in sctp(pair.near)._channels
        assert made[0].id not in sctp(pair.far)._channels
        with pytest.raises(InvalidStateError):
            made[0].send("too late")
        again = await offered(pair.far, lambda: pair.near.createDataChannel("again"))
        assert again.id == made[0].id  # the stream is free
        await pair.works("the other channel")


async def test_what_was_sent_before_closing_still_arrives() -> None:
    async with fast_pair() as pair:
        made: list[RTCDataChannel] = []
        channel = await offered(pair.far, lambda: made.append(pair.near.createDataChannel("new")))
        heard: list[bytes] = []
        channel.on("message", heard.append)
        await await_for(lambda: made[0].readyState == "open", what="open")
        for number in range(30):
            made[0].send(bytes([number]) * 50_000)
        made[0].close()
        await await_for(lambda: channel.readyState == made[0].readyState == "closed", what="both are closed")
        assert heard == [bytes([number]) * 50_000 for number in range(30)]


async def test_a_channel_that_was_never_announced_closes_at_once() -> None:
    near = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel = near.createDataChannel("new")
    channel.close()
    assert channel.readyState == "closed"
    await near.close()


async def test_all_channels_close_with_the_connection() -> None:
    async with fast_pair() as pair:
        closed: list[str] = []
        for channel, name in ((pair.out, "out"), (pair.in_, "in")):
            channel.on("close", lambda name=name: closed.append(name))
        await pair.near.close()
        await await_for(lambda: sorted(closed) == ["in", "out"], what="both are closed")
        assert sctp(pair.near).state == sctp(pair.far).state == "closed"


async def test_a_connection_that_never_was_closes_its_channels() -> None:
    near = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channels = [near.createDataChannel("new"), near.createDataChannel("agreed", negotiated=True, id=3)]
    await near.close()
    assert [channel.readyState for channel in channels] == ["closed", "closed"]


async def test_an_aborted_association_tells_the_other_end() -> None:
    async with fast_pair() as pair:
        await pair.near.sctp.stop()  # type: ignore[union-attr]
        assert pair.out.readyState == "closed"
        await await_for(lambda: pair.in_.readyState == "closed", what="the far end knows")
        assert pair.far.connectionState == "connected"


@pytest.mark.parametrize("ppid", [0, 52, 54, 58, 0xFFFFFFFF])
async def test_what_is_no_kind_of_message_is_none(ppid: int) -> None:
    async with fast_pair() as pair:
        send_raw(pair.near, 0, ppid, b"what is this")
        send_raw(pair.near, FREE, BINARY, b"on no channel")
        await pair.works("after it")
        assert pair.heard == ["after it"]


# ---- the wire format ----

TEXT = st.text(max_size=50)


@given(
    TEXT,
    TEXT,
    st.booleans(),
    st.one_of(st.tuples(st.integers(0, 2**32 - 1), st.none()), st.tuples(st.none(), st.integers(0, 9))),
)
@settings(deadline=None)
def test_an_opening_is_read_as_it_was_written(label: str, protocol: str, ordered: bool, limits: tuple[Any, Any]) -> None:
    made = Opening(label, protocol, ordered, *limits)
    assert decode_opening(made.encode()) == made


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: bytes([OPEN]) + rest))
@settings(deadline=None)
def test_any_bytes_are_an_opening_or_none(data: bytes) -> None:
    made = decode_opening(data)
    if made is not None:
        again = decode_opening(made.encode())
        assert again == made


@given(st.text() | st.binary())
@settings(deadline=None)
def test_a_message_is_read_as_it_was_written(message: str | bytes) -> None:
    ppid, data = encode_data(message)
    assert data
    assert decode_data(ppid, data) == message


# ---- what aiortc uses ----


def test_all_that_aiortc_uses_of_its_transport_is_there() -> None:
    source = inspect.getsource(aiortc.rtcpeerconnection)
    used = set(re.findall(r"(?:self\.__sctp|\bsctp)\.(\w+)", source))
    used |= set(re.findall(r"transport\.(_data_channel\w+)", inspect.getsource(aiortc.rtcdatachannel)))
    assert {"start", "stop", "mid", "port", "_bundled", "setTransport", "_data_channel_send"} <= used
    written = inspect.getsource(FastSctpTransport)
    missing = [name for name in used if not hasattr(FastSctpTransport, name) and f"self.{name}" not in written]
    assert missing == []


def test_what_is_private_in_a_channel_is_where_it_was() -> None:
    for name in ("_setId", "_setReadyState", "_addBufferedAmount"):
        assert callable(getattr(RTCDataChannel, name))
    parameters = inspect.signature(RTCDataChannel.__init__).parameters
    assert list(parameters) == ["self", "transport", "parameters", "send_open"]
