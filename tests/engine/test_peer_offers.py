"""Two engines and the connection between them: one of the two offers, whatever is lost on the way (test process)."""

from __future__ import annotations

import msgspec
import pytest

from forge_rtc_nb.engine import peer as peer_module
from forge_rtc_nb.protocol import Answer, Negotiate, Offer
from tests.engine.two_engines import Side, two
from tests.support import await_for


async def talk(low: Side, high: Side, word: str) -> None:
    """Both hear each other."""
    low.say(f"{word} of a")
    high.say(f"{word} of b")
    await await_for(lambda: f"{word} of b" in low.heard and f"{word} of a" in high.heard, 20, f"both hear {word!r}")


@pytest.mark.parametrize("first", ["a", "b"])
async def test_the_lower_id_offers_whoever_wants_to_talk_first(first: str) -> None:
    async with two() as (low, high):
        (low if first == "a" else high).want()
        (high if first == "a" else low).want()
        await talk(low, high, "hello")
        assert len(low.of(Offer)) == 1
        assert high.of(Offer) == []
        assert low.of(Offer)[0].epoch == high.of(Answer)[0].epoch
        assert low.faults == high.faults == []


async def test_a_lost_offer_is_said_again_when_signaling_is_back() -> None:
    async with two() as (low, high):
        low.lose = lambda message: len(low.of(Offer)) == 1
        high.want()
        low.want()
        await await_for(lambda: low.of(Offer), what="an offer, which is lost")
        low.peer.resubscribe()
        await talk(low, high, "hello")
        assert low.of(Offer)[0] == low.of(Offer)[1]
        low.peer.resubscribe()
        assert len(low.of(Offer)) == 2, "it was answered"


async def test_a_lost_answer_is_given_again() -> None:
    async with two() as (low, high):
        high.lose = lambda message: len(high.of(Answer)) == 1
        high.want()
        low.want()
        await await_for(lambda: high.of(Answer), what="an answer, which is lost")
        low.peer.resubscribe()
        await talk(low, high, "hello")
        assert len(high.of(Answer)) == 2


async def test_without_an_answer_another_offer_is_made_with_a_higher_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_LIMIT", 0.5)
    async with two() as (low, high):
        low.lose = lambda message: len(low.of(Offer)) == 1
        high.want()
        low.want()
        await talk(low, high, "hello")
        first, second = low.of(Offer)[:2]
        assert second.epoch > first.epoch
        assert "no connection" in low.faults[0]


async def test_a_lost_connection_is_replaced_and_everything_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "RETRY_FIRST", 0.05)
    async with two() as (low, high):
        low.want()
        high.want()
        await talk(low, high, "before")
        high.peer._lost("a test took it away")
        # Either the other side notices by itself, or it is asked.
        await await_for(lambda: high.of(Negotiate) or len(low.of(Offer)) > 1, what="it asks, or has another offer")
        asked = Negotiate(to="a", epoch=low.of(Offer)[0].epoch, restart=True)
        assert all(message == asked for message in high.of(Negotiate))
        await talk(low, high, "after")
        assert low.heard == ["before of b", "after of b"]
        assert high.heard == ["before of a", "after of a"]
        assert len(low.of(Offer)) == 2


async def test_a_request_that_is_older_than_the_connection_changes_nothing() -> None:
    async with two() as (low, high):
        low.want()
        high.want()
        await talk(low, high, "before")
        epoch = low.of(Offer)[0].epoch
        low.peer.negotiate(Negotiate(from_="b", epoch=epoch - 1, restart=True))
        high.peer.negotiate(Negotiate(from_="a", epoch=epoch, restart=True))  # who answers is not asked
        await talk(low, high, "after")
        assert len(low.of(Offer)) == 1


async def test_offers_of_the_higher_id_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async with two() as (low, high):
        low.want()
        high.want()
        await talk(low, high, "before")
        low.peer.receive(msgspec.structs.replace(low.of(Offer)[0], from_="b", epoch=low.of(Offer)[0].epoch + 1))
        await await_for(lambda: "that is dropped" in caplog.text, what="it is logged")
        await talk(low, high, "after")
        assert low.of(Answer) == []
