"""Offers and candidates of one participant that wait for the engine: the newest offer, and bounded."""

from __future__ import annotations

import asyncio

from forge_rtc_nb.engine.inbox import BURST, MAX_CANDIDATES, Inbox
from forge_rtc_nb.protocol import IceCandidate, Offer, SessionDescription


def offer(epoch: int) -> Offer:
    return Offer(epoch=epoch, sdp=SessionDescription(type="offer", sdp="v=0\r\n"))


async def test_only_the_newest_offer_waits_and_it_comes_before_the_candidates() -> None:
    inbox = Inbox()
    for epoch in range(10):
        assert inbox.put(offer(epoch))
        assert inbox.put(IceCandidate(epoch=epoch))
    first, second = await inbox.get(), await inbox.get()
    assert (first, second) == (offer(9), IceCandidate(epoch=0))


async def test_candidates_are_bounded() -> None:
    inbox = Inbox()
    kept = [inbox.put(IceCandidate(epoch=1)) for _ in range(MAX_CANDIDATES + 5)]
    assert kept.count(True) == MAX_CANDIDATES
    for _ in range(MAX_CANDIDATES):
        await inbox.get()
    assert inbox.put(IceCandidate(epoch=1))


async def test_many_offers_wait_for_their_time_and_none_is_forgotten() -> None:
    inbox = Inbox()
    for epoch in range(BURST):
        inbox.put(offer(epoch))
        assert await inbox.get() == offer(epoch)
    inbox.put(offer(BURST))
    waiting = asyncio.ensure_future(inbox.get())
    done, _ = await asyncio.wait([waiting], timeout=0.01)
    assert not done
    inbox.put(offer(BURST + 1))
    assert await asyncio.wait_for(waiting, 5) == offer(BURST + 1)
