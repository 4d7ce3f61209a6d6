"""The pace of participants and the joins of users, with a clock that only moves when told (test process)."""

from __future__ import annotations

import pytest

from forge_rtc_nb.server.limits import Limiter, RateLimited
from forge_rtc_nb.server.settings import Settings


def joins(limiter: Limiter, user: str, now: float) -> int:
    """How many new participants of a user may come at that moment."""
    for number in range(1000):
        try:
            limiter.hello(f"{user}-{now}-{number}", user, now, back=False)
        except RateLimited:
            return number
    raise AssertionError("there is no limit")


def test_a_participant_has_one_pace_whatever_connection_it_uses() -> None:
    limiter = Limiter(Settings())
    limiter.hello("p", "ann", 0.0, back=False)
    assert sum(limiter.pace("p", 0.0).messages.take(0.0) for _ in range(200)) == 99
    with pytest.raises(RateLimited):
        limiter.hello("p", "ann", 0.01, back=True)
    limiter.hello("p", "ann", 0.1, back=True)
    assert sum(limiter.pace("p", 0.1).messages.take(0.1) for _ in range(200)) == 4


def test_joins_are_counted_for_each_user_and_coming_back_is_none() -> None:
    limiter = Limiter(Settings(max_connections_per_user=16))
    assert joins(limiter, "eve", 0.0) == 32
    assert joins(limiter, "eve", 3.0) == 6
    assert joins(limiter, "ann", 3.0) == 32
    for number in range(100):
        limiter.hello(f"p{number}", "eve", 3.0, back=True)
    assert joins(limiter, "eve", 1000.0) == 32


def test_who_was_not_heard_of_for_long_is_forgotten_and_nobody_else() -> None:
    limiter = Limiter(Settings())
    pace = limiter.pace("busy", 0.0)
    for second in range(1000):
        limiter.pace(f"p{second}", float(second))
        assert limiter.pace("busy", float(second)) is pace
    assert len(limiter._paces._kept) <= 13
