"""What waits for a reconnecting participant: bounded, fair, and void when its sender leaves (test process)."""

from __future__ import annotations

from forge_rtc_nb.protocol import Error, Negotiate, Offer, SessionDescription
from tests.unit.test_rooms import World


def test_what_waits_for_a_reconnecting_participant_is_bounded_for_each_sender() -> None:
    world = World(buffer_bytes=8000)
    for number in (1, 2, 3):
        world.join(number)
    world.drop(1)
    offer = Offer(to="p1", id="big", sdp=SessionDescription(type="offer", sdp="v=0" + "x" * 850))
    for _ in range(3):
        world.receive(2, offer)
    refusal = world.sent[2][-1]
    assert isinstance(refusal, Error)
    assert (refusal.code, refusal.reply_to) == ("slow-reader", "big")
    world.receive(3, offer)
    assert not [message for message in world.sent[3] if isinstance(message, Error)]
    world.join(11, participant_id="p1", user="u1")
    assert [message.from_ for message in world.sent[11]] == ["p2", "p2", "p3"]
    world.drop(11)
    world.receive(2, offer)  # what was delivered counts no more
    assert world.sent[2].count(refusal) == 1


def test_what_somebody_sent_who_then_left_waits_no_more() -> None:
    world = World(buffer_bytes=8000)
    world.join(1)
    world.join(2)
    world.drop(1)
    world.receive(2, Negotiate(to="p1", epoch=7))
    for number in range(10, 50):
        world.join(number, user="eve")
        for padding in ("x" * 200, "", "", ""):
            world.receive(number, Negotiate(to="p1", id=padding))
        world.drop(number, left=True)
    world.receive(2, Negotiate(to="p1", epoch=8))
    assert not [message for message in world.sent[2] if isinstance(message, Error)]
    world.join(11, participant_id="p1", user="u1")
    assert [message.epoch for message in world.sent[11]] == [7, 8]
