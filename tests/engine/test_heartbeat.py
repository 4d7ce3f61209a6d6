"""The control channel's heartbeat: pings, pongs, the other clock, and the moment at which a peer counts as dead."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from forge_rtc_nb.engine import heartbeat
from forge_rtc_nb.engine.heartbeat import ClockOffset, Heartbeat
from tests.support import await_for


class Ends:
    """A heartbeat and what it did."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []
        self.offsets: list[float] = []
        self.deaths = 0
        self.beat = Heartbeat(
            lambda text: self.sent.append(json.loads(text)), self._die, lambda trip, offset: self.offsets.append(offset)
        )

    def _die(self) -> None:
        self.deaths += 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.02)
    monkeypatch.setattr(heartbeat, "DEAD_AFTER", 0.2)


# ---- the clock ----


def test_the_exchange_with_the_shortest_round_trip_counts() -> None:
    clock = ClockOffset()
    assert clock.add(sent=100.0, theirs=205.4, received=101.0) == pytest.approx((1.0, 104.9))
    assert clock.add(sent=200.0, theirs=305.0, received=200.01) == pytest.approx((0.01, 104.995))
    assert clock.add(sent=300.0, theirs=405.9, received=302.0) == pytest.approx((0.01, 104.995))


def test_old_exchanges_are_forgotten_so_that_a_drifting_clock_is_followed() -> None:
    clock = ClockOffset()
    clock.add(0.0, 10.0, 0.001)
    for second in range(1, ClockOffset.WINDOW + 1):
        _, offset = clock.add(second, second + 20.05, second + 0.1)
    assert offset == pytest.approx(20.0)


# ---- answering ----


def test_a_ping_is_answered_with_our_time() -> None:
    ends = Ends()
    before = time.time() * 1000
    ends.beat.receive('{"t":"ping","n":7}')
    (pong,) = ends.sent
    assert (pong["t"], pong["n"]) == ("pong", 7)
    now = pong["now"]
    assert isinstance(now, float)
    assert before <= now <= time.time() * 1000


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "7",
        "{",
        '{"t":"ping"}',
        '{"t":"ping","n":"7"}',
        '{"t":"ping","n":null}',
        '{"t":["ping"],"n":1}',
        '{"t":"nonsense","n":1}',
        '{"t":"pong","n":1}',
        '{"t":"pong","n":1,"now":"late"}',
        '{"t":"pong","n":99,"now":1}',
        '{"t":"pong","n":0,"now":NaN}',
        '{"t":"pong","n":0,"now":1e999}',
        "[" * 100_000,
        b"\xff\xfe",
        b"\x00" * 10,
        "1" * 10_000,
        '{"t":"pong","n":0,"now":1' + "0" * 400 + "}",
    ],
)
def test_frames_that_say_nothing_do_nothing(frame: str | bytes) -> None:
    ends = Ends()
    ends.beat.receive(frame)
    assert ends.sent == []
    assert ends.offsets == []


# ---- living and dying ----


async def test_pings_go_out_and_pongs_measure_the_other_clock(quick: None) -> None:
    ends = Ends()
    running = asyncio.create_task(ends.beat.run())

    def answer() -> bool:
        ping = ends.sent[-1] if ends.sent else None
        if ping is not None:
            ends.beat.receive(json.dumps({"t": "pong", "n": ping["n"], "now": (time.time() + 50) * 1000}))
        return len(ends.offsets) >= 3

    await await_for(answer, what="three offsets")
    assert ends.offsets[-1] == pytest.approx(50, abs=0.5)
    assert [ping["n"] for ping in ends.sent] == list(range(1, len(ends.sent) + 1))
    assert ends.deaths == 0
    running.cancel()


async def test_silence_is_death_and_is_told_once(quick: None) -> None:
    ends = Ends()
    start = time.monotonic()
    await asyncio.wait_for(ends.beat.run(), 5)
    assert time.monotonic() - start >= 0.2
    assert ends.deaths == 1


@pytest.mark.parametrize("sign", ['{"t":"ping","n":1}', "whatever", '{"t":"pong","n":-1,"now":0}'])
async def test_any_frame_is_a_sign_of_life(quick: None, sign: str) -> None:
    ends = Ends()
    running = asyncio.create_task(ends.beat.run())

    def outlived() -> bool:
        ends.beat.receive(sign)
        return len([ping for ping in ends.sent if ping["t"] == "ping"]) > 20  # twice the time to die

    await await_for(outlived, what="twenty pings")
    assert ends.deaths == 0
    await asyncio.wait_for(running, 5)
    assert ends.deaths == 1


async def test_time_before_the_channel_opened_does_not_count(quick: None) -> None:
    ends = Ends()
    ends.beat._heard -= 1000
    running = asyncio.create_task(ends.beat.run())
    await await_for(lambda: len(ends.sent) > 2, what="three pings")
    assert ends.deaths == 0
    running.cancel()
