"""Offers that cannot be used: each ends its own connection, nobody else's, and the next one works."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.protocol import Answer, Negotiate
from tests.engine.browser import browser, camera_of, seen
from tests.engine.pairs import HandTrack, MemorySink
from tests.support import await_for

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))


def mutate(sdp: str, chance: random.Random) -> str:
    """The text with a few things wrong."""
    lines = sdp.split("\r\n")
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines))
        line = lines[place]
        match chance.randrange(7):
            case 0:
                lines[place] = ""
            case 1:
                lines.insert(place, line)
            case 2:
                other = chance.randrange(len(lines))
                lines[place], lines[other] = lines[other], line
            case 3:
                cut = chance.randrange(len(line) + 1)
                lines[place] = line[:cut]
            case 4:
                words = line.split(" ")
                words[chance.randrange(len(words))] = chance.choice(["", "0", "-1", "99999", "é", "x" * 300])
                lines[place] = " ".join(words)
            case 5:
                del lines[place:]
                lines.append("")
            case 6:
                lines[place] = line.replace(":", chance.choice(["", "=", "::", ": "]), 1)
    return "\r\n".join(lines)


BAD: dict[str, Callable[[str], str]] = {
    "empty": lambda sdp: "",
    "only a version": lambda sdp: "v=0",
    "no session": lambda sdp: sdp[sdp.index("m=") :],
    "no media": lambda sdp: sdp[: sdp.index("m=")],
    "cut in the middle": lambda sdp: sdp[: len(sdp) // 2],
    "no fingerprint": lambda sdp: "\r\n".join(line for line in sdp.split("\r\n") if "fingerprint" not in line),
    "no ice": lambda sdp: "\r\n".join(line for line in sdp.split("\r\n") if "ice-" not in line),
    "no mid": lambda sdp: "\r\n".join(line for line in sdp.split("\r\n") if "a=mid" not in line),
    "no codec of ours": lambda sdp: sdp.replace("VP8/", "VP9/").replace("H264/", "AV1/"),
    "a line of nothing": lambda sdp: sdp.replace("a=rtpmap", "a="),
    "numbers that are none": lambda sdp: sdp.replace("90000", "x").replace(" 96", " ninety-six"),
    "fmtp without a value": lambda sdp: sdp.replace("apt=", "apt"),
    "many m-lines": lambda sdp: sdp + sdp[sdp.index("m=") :] * 10,
}


@pytest.mark.parametrize("how", BAD)
async def test_an_offer_that_cannot_be_used_ends_only_its_own_connection(how: str) -> None:
    async with browser("bad") as bad, browser("good") as good:
        track, sink = await camera_of(good)
        bad.connect()
        await bad.offer({"camera-1": HandTrack()}, edit=BAD[how], answered=False)
        # What comes next is worked on after it.
        await camera_of(bad)
        await seen(track.show, sink, 200)
        assert good.faults == []


async def test_a_bad_offer_behind_a_good_connection_is_recovered_from() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        await tab.offer({"camera-1": track}, edit=BAD["cut in the middle"], answered=False)
        await await_for(lambda: tab.sent(Negotiate), what="a new offer is asked for")
        assert tab.sent(Negotiate) == [Negotiate(to="tab-1", epoch=tab.epoch, restart=True)]
        assert "cannot be used" in tab.faults[0]
        again = HandTrack()
        tab.connect()
        await tab.offer({"camera-1": again})
        await seen(again.show, sink, 200)


async def test_a_good_offer_right_behind_a_bad_one_is_answered() -> None:
    async with browser() as tab:
        sink, track = MemorySink(), HandTrack()
        tab.peer.subscribe("camera-1", sink)
        tab.connect()
        await tab.offer({"camera-1": HandTrack()}, edit=BAD["cut in the middle"], answered=False)
        tab.connect()
        await tab.offer({"camera-1": track})
        await seen(track.show, sink, 200)


async def test_a_bad_offer_ends_its_connection_before_the_next_is_looked_at() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        await tab.offer({"camera-1": track}, edit=BAD["cut in the middle"], answered=False)
        await tab.offer({"camera-1": track}, answered=False)  # of the connection that has just been closed
        await await_for(lambda: tab.sent(Negotiate), what="a new offer is asked for")
        assert len(tab.sent(Answer)) == 1
        again = HandTrack()
        tab.connect()
        await tab.offer({"camera-1": again})
        await seen(again.show, sink, 200)
        assert len(tab.sent(Negotiate)) == 1


def udp_sockets() -> int:
    return len(psutil.Process().net_connections("udp"))


async def mutated_offer_then_a_good_one(chance: random.Random) -> None:
    before = udp_sockets()
    async with browser() as tab:
        tab.connect()
        await tab.offer({"camera-1": HandTrack()}, edit=lambda sdp: mutate(sdp, chance), answered=False)
        tab.connect()
        await tab.offer({"camera-1": HandTrack()})
    await await_for(lambda: udp_sockets() == before, what="all sockets are closed")


@settings(max_examples=int(40 * FUZZ), deadline=None)
@given(st.randoms(use_true_random=False))
def test_after_any_mutated_offer_the_next_one_is_answered(chance: random.Random) -> None:
    asyncio.run(mutated_offer_then_a_good_one(chance))
