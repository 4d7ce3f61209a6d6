"""What the engine has to say: in turn, at the server's pace, bounded, and nothing that the server would refuse."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from forge_rtc_nb.engine.outbox import MAX_WAITING, SHARE, Outbox
from forge_rtc_nb.errors import InvalidMessage, InvalidSDP
from forge_rtc_nb.protocol import MAX_MESSAGE, Answer, IceRequest, Negotiate, SessionDescription, Subscribe


def answer(to: str, sdp: str = "v=0\r\n", epoch: int = 1) -> Answer:
    return Answer(to=to, epoch=epoch, sdp=SessionDescription(type="answer", sdp=sdp))


async def taken(outbox: Outbox, count: int) -> list[tuple[str, str]]:
    """(type, receiver) of the next messages."""
    messages = [json.loads(await asyncio.wait_for(outbox.get(), 5)) for _ in range(count)]
    return [(message["type"], message.get("to", "")) for message in messages]


async def test_receivers_take_turns_and_the_server_comes_first() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(Subscribe(to="eve", stream=f"s{number}"))
    outbox.put(Subscribe(to="ann", stream="s"))
    outbox.put(IceRequest())
    receivers = [to for _, to in await taken(outbox, 5)]
    assert receivers == ["", "eve", "ann", "eve", "eve"]


async def test_a_newer_answer_replaces_one_that_waits() -> None:
    outbox = Outbox()
    for epoch in range(500):
        assert outbox.put(answer("eve", epoch=epoch))
    outbox.put(Negotiate(to="eve"))
    assert json.loads(await outbox.get())["epoch"] == 499
    assert await taken(outbox, 1) == [("webrtc.negotiate", "eve")]


async def test_one_receivers_queue_is_bounded_and_the_others_have_theirs() -> None:
    outbox = Outbox()
    kept = [outbox.put(Subscribe(to="eve", stream=f"s{number}")) for number in range(2 * MAX_WAITING)]
    assert kept == [True] * MAX_WAITING + [False] * MAX_WAITING
    assert outbox.put(Subscribe(to="ann", stream="s"))


async def test_it_keeps_below_the_servers_rate() -> None:
    outbox = Outbox()
    outbox.limit(10, 100.0, MAX_MESSAGE)
    begin = time.monotonic()
    for number in range(40):
        outbox.put(Subscribe(to=f"p{number}", stream="s"))
        await taken(outbox, 1)
    assert time.monotonic() - begin >= (40 - SHARE * 10 - 1) / (SHARE * 100)


async def test_what_the_server_would_refuse_is_not_sent() -> None:
    outbox = Outbox()
    with pytest.raises(InvalidMessage, match="more than the server passes on"):
        outbox.put(answer("eve", "v=0\r\n" + "a=x\r\n" * 12_000))
    with pytest.raises(InvalidSDP, match="candidates"):
        outbox.put(answer("eve", "v=0\r\n" + "a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\n" * 129))
    outbox.limit(10, 100.0, 2000)
    with pytest.raises(InvalidMessage):
        outbox.put(answer("eve", "v=0\r\n" + "a=x\r\n" * 500))
    assert outbox.put(Subscribe(to="eve", stream="s"))


async def test_a_new_connection_begins_with_nothing() -> None:
    outbox = Outbox()
    outbox.put(Subscribe(to="eve", stream="old"))
    outbox.limit(10, 100.0, MAX_MESSAGE)
    outbox.put(Subscribe(to="eve", stream="new"))
    assert json.loads(await outbox.get())["stream"] == "new"


async def test_coming_back_to_the_same_server_is_no_new_burst() -> None:
    outbox = Outbox()
    outbox.limit(10, 0.1, MAX_MESSAGE)
    for number in range(7):
        outbox.put(Subscribe(to=f"p{number}", stream="s"))
    await taken(outbox, 7)
    outbox.limit(10, 0.1, MAX_MESSAGE)
    assert outbox._pace.delay() == 0.0
    outbox.put(Subscribe(to="p", stream="s"))
    await taken(outbox, 1)
    outbox.limit(10, 0.1, MAX_MESSAGE)
    assert outbox._pace.delay() > 1.0
    outbox.limit(20, 0.1, MAX_MESSAGE)
    assert outbox._pace.delay() == 0.0
