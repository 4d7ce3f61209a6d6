"""The data channels of a pair over real connections: who opens, what is closed, whose turn it is, and what is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from forge_rtc_nb.engine import datalink
from forge_rtc_nb.engine.datalink import PROTOCOL
from forge_rtc_nb.frames import CHUNK, INITIAL_CREDIT, Begin, Frame, More, Taken, decode, encode
from tests.engine.data_links import joined
from tests.support import await_for
from tests.unit.data_channels import body_of

LARGE = 64 << 20


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened again is so after a moment."""
    monkeypatch.setattr(datalink, "REOPEN_FIRST", 0.05)


async def test_messages_go_both_ways_and_are_said_to_be_taken() -> None:
    async with joined("a", "b") as ends:
        there = ends.opener.send("a", "one", 200_000)
        back = ends.taker.send("a", "two", 10)
        await await_for(lambda: there == back == ["done"], what="both are taken")
        assert ends.taker.queues["a"].messages == [(b"one", body_of("one", 200_000))]
        assert ends.opener.queues["a"].messages == [(b"two", body_of("two", 10))]
        assert ends.taker.queues["b"].messages == []
        assert ends.opener.faults == ends.taker.faults == []


async def test_a_data_channel_may_come_before_its_taker_knows_of_it() -> None:
    async with joined("a") as ends:
        ends.opener.open("late")
        ends.opener.send("late", "early", 5000)
        await await_for(lambda: "late" in ends.taker.link._parked, what="it is parked")
        await await_for(lambda: ends.taker.link._parked["late"].messages, what="so is what came")
        ends.taker.open("late")
        await await_for(lambda: ends.taker.names("late") == ["early"], what="the message")
        assert ends.taker.link._parked == {}


async def test_a_data_channel_that_nobody_expects_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datalink, "PARK", 0.1)
    async with joined("a") as ends:
        stranger = ends.opener.pc.createDataChannel("stranger", protocol=PROTOCOL)
        await await_for(lambda: stranger.readyState == "closed", what="it is closed")
        ends.opener.send("a", "after")
        await await_for(lambda: ends.taker.names("a") == ["after"], what="the other one goes on")
        assert ends.taker.faults == []


async def test_what_is_parked_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datalink, "MAX_PARKED", 3)
    monkeypatch.setattr(datalink, "MAX_PARKED_MESSAGES", 5)
    async with joined("a") as ends:
        strangers = [ends.opener.pc.createDataChannel(f"s{n}", protocol=PROTOCOL) for n in range(5)]
        await await_for(lambda: sum(s.readyState == "closed" for s in strangers) == 2, what="two are too many")
        kept = next(stranger for stranger in strangers if stranger.readyState == "open")
        for _ in range(6):
            kept.send(b"x")
        await await_for(lambda: kept.readyState == "closed", what="too much waits in it")
        ends.opener.send("a", "x")
        await await_for(lambda: ends.taker.names("a") == ["x"], what="the other one goes on")


async def test_what_is_parked_is_bounded_in_bytes() -> None:
    async with joined("a") as ends:
        stranger = ends.opener.pc.createDataChannel("stranger", protocol=PROTOCOL)
        await await_for(lambda: stranger.readyState == "open", what="it is open")
        for _ in range(2):
            stranger.send(bytes(200_000))
        await await_for(lambda: stranger.readyState == "closed", what="too much waits in it")
        assert ends.taker.link._parked["stranger"].messages == []
        ends.opener.send("a", "x")
        await await_for(lambda: ends.taker.names("a") == ["x"], what="the other one goes on")


async def test_all_that_is_parked_of_one_participant_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datalink, "MAX_PARKED_TOGETHER", 500_000)
    async with joined("a") as ends:
        strangers = [ends.opener.pc.createDataChannel(f"s{n}", protocol=PROTOCOL) for n in range(3)]
        await await_for(lambda: len(ends.taker.link._parked) == 3, what="all are parked")
        parked = ends.taker.link._parked
        for place, stranger in enumerate(strangers):
            stranger.send(bytes(200_000))
            await await_for(
                lambda name=f"s{place}": parked[name].size or parked[name].channel.readyState != "open",  # type: ignore[misc]
                what="it is kept, or is too much",
            )
        await await_for(lambda: strangers[2].readyState == "closed", what="the one that was too much is closed")
        assert [parked[f"s{n}"].size for n in range(3)] == [200_000, 200_000, 0]
        assert [stranger.readyState for stranger in strangers] == ["open", "open", "closed"]


async def test_the_first_credit_may_wait_in_what_is_parked() -> None:
    async with joined("a") as ends:
        port = ends.opener.open("late")
        for number in range(20):
            ends.opener.send("late", f"message {number}", 100_000)
        await await_for(lambda: port.outlet._spent > INITIAL_CREDIT - CHUNK - 1024, what="the credit is spent")
        await await_for(lambda: ends.taker.link._parked["late"].size > INITIAL_CREDIT - CHUNK - 1024, what="all of it is there")
        ends.taker.open("late")
        await await_for(lambda: len(ends.taker.names("late")) == 20, what="all messages")
        assert ends.opener.faults == ends.taker.faults == []


async def test_a_message_that_overtakes_the_answer_to_our_opening_is_confirmed() -> None:
    """Where nothing is ordered, and the packet with the answer was lost."""
    async with joined("a") as ends:
        ends.opener.open("b", ordered=False)
        channel: Any = ends.opener.ports["b"].channel
        channel.emit("message", encode(Begin(1, 3, b'"early"', b"abc")))
        assert channel.readyState == "connecting"
        assert ends.opener.names("b") == ["early"]
        sent: list[Frame] = []
        send = channel.send

        def count(data: bytes) -> None:
            sent.append(decode(data))
            send(data)

        channel.send = count
        ends.taker.open("b", ordered=False)
        await ends.opened("b")
        assert sent == [Taken(1)]


@pytest.mark.parametrize(
    "options",
    [{"ordered": False}, {"maxRetransmits": 0}, {"maxPacketLifeTime": 10}, {"protocol": "x"}],
    ids=repr,
)
async def test_other_options_are_closed_and_the_right_ones_taken(options: dict[str, Any]) -> None:
    async with joined("a") as ends:
        ends.taker.open("b")
        wrong = ends.opener.pc.createDataChannel("b", **{"protocol": PROTOCOL, **options})
        await await_for(lambda: wrong.readyState == "closed", what="it is closed")
        ends.opener.open("b")
        await ends.opened("b")


@pytest.mark.parametrize("who", ["opener", "taker"])
async def test_a_violation_closes_one_data_channel_and_it_is_opened_again(soon: None, who: str) -> None:
    async with joined("a", "b") as ends:
        bad, good = (ends.opener, ends.taker) if who == "opener" else (ends.taker, ends.opener)
        first = good.ports["a"].channel
        other = good.ports["b"].channel
        channel = bad.ports["a"].channel
        assert channel is not None
        channel.send("text")
        await await_for(lambda: good.faults, what="a fault")
        assert good.faults == [("a", "a frame is a binary message, this one is text")]
        await await_for(lambda: good.ports["a"].channel not in (None, first) and good.ports["a"].is_open, what="a new one")
        done = bad.send("a", "after")
        await await_for(lambda: done == ["done"], what="it works")
        assert good.names("a") == ["after"]
        assert good.ports["b"].channel is other
        assert bad.faults == []


async def test_who_breaks_the_rules_again_and_again_waits_longer_and_longer() -> None:
    async with joined("a") as ends:
        port = ends.taker.ports["a"]
        for expected in (2.0, 4.0, 8.0):
            ends.taker.link._receive(port, port.channel, "text")  # type: ignore[arg-type]
            assert port.delay == expected
            port.channel = ends.taker.pc.createDataChannel("again", negotiated=True, id=int(expected) + 100)
        assert port.shut_until > asyncio.get_running_loop().time() + 1


async def _each_turn(condition: Callable[[], bool]) -> None:
    """Wait for it, looking in each turn of the event loop: hundreds of frames go between two looks at a clock."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is of no event
            await asyncio.sleep(0)


async def test_a_small_message_overtakes_a_large_one_on_another_label(monkeypatch: pytest.MonkeyPatch) -> None:
    async with joined("large", "small") as ends:
        channel = ends.opener.ports["large"].channel
        assert channel is not None
        frames = 0
        send = channel.send

        def count(data: Any) -> None:
            nonlocal frames
            frames += isinstance(decode(data), Begin | More)
            send(data)

        monkeypatch.setattr(channel, "send", count)
        done = ends.opener.send("large", "large", LARGE)
        waited = []
        for number in range(10):
            await _each_turn(lambda start=frames: frames > start)  # type: ignore[misc]
            before = frames
            taken = ends.opener.send("small", f"small {number}", 100)
            await _each_turn(lambda taken=taken: bool(taken))  # type: ignore[misc]
            waited.append(frames - before)
            if done:
                break
        assert not done
        # What waits in the connection and is on its way there, and what is sent until the confirmation is back.
        assert max(waited) < 64  # of 1024; a dozen, where nothing else keeps the machine busy
        assert ends.taker.names("small") == [f"small {number}" for number in range(len(waited))]
        done_at_last = ends.opener.send("large", "last")
        ends.opener.link.close("large")
        assert done == done_at_last == ["done"]


@pytest.mark.parametrize("moment", ["before any frame", "in the middle", "when all has arrived"])
async def test_a_connection_that_is_replaced_loses_and_repeats_nothing(moment: str) -> None:
    async with joined("a", "b") as ends:
        first = ends.opener.send("a", "first", 10)
        await await_for(lambda: first == ["done"], what="the first one is taken")
        sent = [ends.opener.send("a", f"message {number}", 300_000) for number in range(20)]
        other = [ends.taker.send("b", f"other {number}", 70_000) for number in range(20)]
        if moment != "before any frame":
            enough = 3 if moment == "in the middle" else 20
            await await_for(lambda: len(ends.taker.queues["a"].messages) >= enough, what="some have arrived")
        await ends.connect()
        await await_for(lambda: all(ends == ["done"] for ends in [*sent, *other]), 20, what="all are taken")
        assert ends.taker.names("a") == ["first", *(f"message {number}" for number in range(20))]
        assert ends.opener.names("b") == [f"other {number}" for number in range(20)]
        assert ends.taker.queues["a"].messages[-1][1] == body_of("message 19", 300_000)
        assert ends.opener.faults == ends.taker.faults == []


async def test_a_label_that_is_closed_ends_what_waits_and_may_come_again() -> None:
    async with joined("a") as ends:
        ends.taker.queues["a"].maxsize = 0  # takes one
        first, second = ends.opener.send("a", "1"), ends.opener.send("a", "2")
        await await_for(lambda: first == ["done"], what="the first is taken")
        ends.opener.link.close("a")
        assert second == ["done"]  # nobody waits for it any more
        ends.taker.link.close("a")
        assert not ends.opener.link.needed
        for end in (ends.taker, ends.opener):
            end.open("a")
        await ends.opened("a")
        ends.opener.send("a", "3")
        await await_for(lambda: ends.taker.names("a") == ["3"], what="a new message")


async def test_nothing_is_left_of_a_participant_who_is_gone(soon: None) -> None:
    async with joined("a", "b") as ends:
        done = ends.opener.send("a", "x", LARGE)
        ends.opener.link.dispose()
        assert done == ["done"]
        assert not ends.opener.link.needed
        await await_for(lambda: not ends.taker.ports["a"].is_open, what="the other side sees it")
        ends.opener.link.dispose()
        assert (ends.opener.link._ports, ends.opener.link._reopening, list(ends.opener.link._turns)) == ({}, {}, [])
