"""Sets of numbers as ranges, against Python's own sets (test process)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.ranges import Ranges

SPANS = st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda span: (span[0], span[0] + span[1]))


def numbers(ranges: Ranges) -> set[int]:
    blocks = ranges.blocks(1000)
    assert all(start <= end for start, end in blocks)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(blocks))
    return {number for start, end in blocks for number in range(start, end + 1)}


@given(st.lists(SPANS), SPANS, st.integers(-1, 70))
@settings(deadline=None)
def test_they_are_the_set_of_what_was_added(spans: list[tuple[int, int]], span: tuple[int, int], through: int) -> None:
    ranges, expected = Ranges(), set[int]()
    for start, end in spans:
        ranges.add(start, end)
        expected |= set(range(start, end + 1))
    assert numbers(ranges) == expected
    assert [number in ranges for number in range(80)] == [number in expected for number in range(80)]
    missing = {number for start, end in ranges.missing(*span) for number in range(start, end + 1)}
    assert missing == set(range(span[0], span[1] + 1)) - expected
    last = through
    while last + 1 in expected or any(number > last and number <= through for number in expected):
        last += 1
    assert ranges.advance(through) == last
    assert numbers(ranges) == {number for number in expected if number > last}
