"""Data channels as RFC 8831, RFC 8832 and W3C's WebRTC 1.0 section 6.2 want them, whatever the peer does (test process)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from aiortc import InvalidStateError, RTCDataChannel

from forge_rtc_nb.engine.aiortc_compat.sctp_dcep import ACK, BINARY, DCEP, Opening
from forge_rtc_nb.engine.datachannel import setup
from forge_rtc_nb.engine.datachannel.chunks import RE_CONFIG, chunks_of, parameters_of
from forge_rtc_nb.engine.datachannel.events import PeerReset
from forge_rtc_nb.engine.datachannel.reset import RESPONSE
from tests.engine.channel_ends import Both, ChannelEnd
from tests.unit.sctp_network import arrives


def send(both: Both, end: ChannelEnd, stream: int, ppid: int, data: bytes) -> None:
    """What no channel of ours would send."""
    end.end.association.send(stream, ppid, data, now=both.network.now)


def opened(both: Both, **options: Any) -> tuple[RTCDataChannel, RTCDataChannel]:
    """A channel that the client has announced, at both ends."""
    count = len(both.server.offered)
    channel = both.client.create(**options)
    both.until(lambda: channel.readyState == "open" and len(both.server.offered) > count)
    return channel, both.server.offered[-1]


def resets(end: ChannelEnd) -> list[tuple[int, ...]]:
    """Of its peer's streams."""
    return [each.streams for each in end.end.of(PeerReset)]


def no_responses(data: bytes) -> Iterable[float]:
    """Answers to resets are lost."""
    for kind, _, value in chunks_of(data):
        if kind == RE_CONFIG and any(found == RESPONSE for found, _ in parameters_of(value)):
            return ()
    return arrives(data)


# ---- opening ----


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (1, b"\3"),
        (1, Opening("cut").encode()[:-1]),
        (1, b"\3\0\0\0\0\0\0\0\0\1\0\0\xff"),
        (2, Opening("of our parity").encode()),
    ],
    ids=["nothing", "cut", "no UTF-8", "parity"],
)
def test_an_opening_that_is_wrong_is_answered_by_a_reset(stream: int, data: bytes) -> None:
    """RFC 8832 section 6."""
    both = Both().connect()
    send(both, both.server, stream, DCEP, data)
    both.until(lambda: resets(both.server) == [(stream,)])
    assert both.client.offered == []
    assert both.network.server.messages == []


def test_a_stream_whose_opening_was_refused_is_given_to_nobody_before_both_ends_have_reset_it() -> None:
    both = Both().connect()
    send(both, both.server, 0, DCEP, Opening("of our parity").encode())
    both.until(lambda: resets(both.server) == [(0,)])
    channel, _ = opened(both)
    assert channel.id == 2
    both.network.server.association.reset([0])
    both.until(lambda: resets(both.client) == [(0,)])
    channel, _ = opened(both)
    assert channel.id == 0


def test_a_stream_that_is_opened_again_costs_its_channel() -> None:
    both = Both().connect()
    channel, there = opened(both)
    send(both, both.client, 0, DCEP, Opening("again").encode())
    both.until(lambda: channel.readyState == there.readyState == "closed")
    assert [each.label for each in both.server.offered] == ["new"]


def test_an_acknowledgement_that_nobody_asked_for_changes_nothing() -> None:
    both = Both().connect()
    channel, there = opened(both)
    for stream in (0, 1, 7):
        send(both, both.server, stream, DCEP, bytes([ACK]))
    there.send("after them")
    heard: list[Any] = []
    channel.on("message", heard.append)
    both.until(lambda: heard == ["after them"])
    assert channel.readyState == "open"
    assert resets(both.server) == []


def test_data_on_a_stream_that_was_not_opened_is_dropped() -> None:
    both = Both().connect()
    send(both, both.client, 0, BINARY, b"too early")
    opened(both)[0].send(b"in time")
    both.until(lambda: both.server.heard == [(0, b"in time")])


def test_an_offered_channel_is_open_and_tells_so_when_it_can_be_listened_to() -> None:
    both = Both().connect()
    opened(both, label="listened to")
    assert both.server.told == ["offered open", "open"]


async def test_a_negotiated_channel_opens_when_it_can_be_listened_to() -> None:
    both = Both().connect()
    channel = both.client.create(negotiated=True, id=6)
    told: list[str] = []
    channel.on("open", lambda: told.append("open"))
    assert channel.readyState == "connecting"
    await asyncio.sleep(0)
    assert (told, channel.readyState) == (["open"], "open")


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"label": "é" * 32_768},
        {"protocol": "x" * 65_536},
        {"maxRetransmits": 1 << 32},
        {"maxPacketLifeTime": -1},
        {"id": 65_535},
    ],
    ids=["label", "protocol", "retransmits", "lifetime", "stream"],
)
def test_what_no_opening_can_say_is_refused_and_disturbs_no_other(connected: bool, options: dict[str, Any]) -> None:
    both = Both()
    if connected:
        both.connect()
    with pytest.raises(ValueError, match=r"at most|from 0 to"):
        both.client.create(**options)
    first = both.client.create("sound")
    if not connected:
        both.connect()
    both.until(lambda: first.readyState == "open")
    assert first.id == 0


def test_the_longest_label_arrives() -> None:
    both = Both().connect()
    assert opened(both, label="x" * 65_535)[1].label == "x" * 65_535


def test_streams_that_the_peer_does_not_take_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "STREAMS", 4)
    both = Both()
    early = [both.client.create(str(number)) for number in range(3)]
    spoken = both.client.create(negotiated=True, id=5)
    both.connect()
    both.until(lambda: [each.readyState for each in early] == ["open", "open", "closed"])
    assert spoken.readyState == "closed"
    with pytest.raises(ValueError, match="in use"):
        both.client.create()
    early[0].close()
    both.until(lambda: early[0].readyState == "closed")
    assert opened(both)[0].id == 0


# ---- closing ----


def test_a_channel_that_is_closed_before_there_is_anybody_is_never_announced() -> None:
    both = Both()
    channels = [both.client.create("no number"), both.client.create("numbered", id=4)]
    for channel in channels:
        channel.close()
        assert channel.readyState == "closed"
    both.connect()
    both.settle()
    assert both.server.offered == []


def test_a_channel_that_is_closed_before_it_is_acknowledged_opens_and_closes_at_the_other_end() -> None:
    both = Both().connect()
    channel = both.client.create()
    told: list[str] = []
    channel.on("open", lambda: told.append("open"))
    channel.on("close", lambda: told.append("close"))
    channel.close()
    assert channel.readyState == "closing"
    both.until(lambda: channel.readyState == "closed" and [each.readyState for each in both.server.offered] == ["closed"])
    assert told == ["close"]


@pytest.mark.parametrize("options", [{}, {"ordered": False}, {"maxRetransmits": 0, "ordered": False}], ids=str)
def test_what_waits_is_sent_before_a_channel_is_closed(options: dict[str, Any]) -> None:
    both = Both().connect()
    channel, there = opened(both, **options)
    parts = [bytes([number]) * 50_000 for number in range(20)]
    for part in parts:
        channel.send(part)
    channel.close()
    assert channel.bufferedAmount > 900_000
    with pytest.raises(InvalidStateError):
        channel.send("late")
    both.until(lambda: channel.readyState == there.readyState == "closed")
    assert [data for _, data in both.server.heard] == parts
    assert channel.bufferedAmount == 0


def test_empty_messages_are_messages() -> None:
    both = Both().connect()
    channel, _ = opened(both)
    for message in ("", b"", "x"):
        channel.send(message)
    both.until(lambda: both.server.heard == [(0, ""), (0, b""), (0, "x")])


def test_a_stream_is_used_again_when_both_ends_have_reset_it_and_not_before() -> None:
    both = Both().connect()
    first, there = opened(both)
    first.send("first")
    both.network.client.fate = no_responses  # so the server does not know that its own reset is done
    both.network.server.fate = lambda data: ()
    first.close()
    second = both.client.create()
    assert second.id == 2
    both.network.server.fate = arrives
    both.until(lambda: first.readyState == "closed")
    assert there.readyState == "closing"


def test_a_stream_that_the_peer_uses_again_before_its_answer_has_come_is_a_new_channel() -> None:
    """The peer has answered our reset, which got lost, and may use the stream: its opening tells that it is done."""
    both = Both().connect()
    first, old = opened(both)
    both.network.client.fate = no_responses
    first.close()
    both.until(lambda: first.readyState == "closed")
    second, new = both.client.create("second"), None
    both.until(lambda: len(both.server.offered) == 2)
    new = both.server.offered[1]
    assert (second.id, old.readyState, new.readyState) == (0, "closed", "open")
    both.network.client.fate = arrives
    both.until(lambda: second.readyState == "open")
    both.settle()
    assert (second.readyState, new.readyState) == ("open", "open")
    new.send("back")
    second.send("there")
    both.until(lambda: (0, "there") in both.server.heard)
    new.close()
    both.until(lambda: second.readyState == new.readyState == "closed")
    assert opened(both)[0].id == 0


def test_a_peer_that_cannot_reset_streams_keeps_its_association(monkeypatch: pytest.MonkeyPatch) -> None:
    understood = setup.Peer.of
    monkeypatch.setattr(setup.Peer, "of", lambda init: replace(understood(init), resets=False))
    both = Both().connect()
    channel, _ = opened(both)
    channel.send("last")
    channel.close()
    both.until(lambda: channel.readyState == "closed")
    both.until(lambda: both.server.heard == [(0, "last")])
    both.settle(seconds=200)
    assert both.network.client.closed == []
    assert opened(both)[0].id == 2  # the peer has never heard that 0 is free


def test_streams_that_were_reset_take_no_memory() -> None:
    both = Both().connect()
    for stream in range(1, 401, 2):
        send(both, both.server, stream, DCEP, b"\3")
    both.until(lambda: sum(map(len, resets(both.server))) == 200)
    both.settle()
    assert not both.network.client.outbound.schedule._queues


def test_a_channel_that_is_opened_when_the_association_has_ended_ends_nothing_else() -> None:
    both = Both().connect()
    send(both, both.server, 1, DCEP, Opening("last").encode())
    both.network.flush(both.network.server)
    both.network.run(lambda: bool(both.network.client.messages), seconds=1)
    both.network.client.association.abort()
    both.client.tell()
    assert [each.label for each in both.client.offered] == ["last"]
    with pytest.raises(InvalidStateError):
        both.client.offered[0].send("too late")
