"""The search for the largest packet that a path carries, with associations on simulated paths (test process)."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.chunks import CAPACITY, INIT, INIT_ACK, Init
from forge_rtc_nb.engine.datachannel.events import ProbeAcknowledged, Unanswered
from forge_rtc_nb.engine.datachannel.path_search import (
    BASE,
    BROWSERS,
    FIRST_PAUSE,
    LARGEST,
    PROBE_TIMER,
    RAISE_TIMER,
    ROUNDS,
    SIZES,
    PathSearch,
)
from forge_rtc_nb.engine.datachannel.setup import MOST_ROOM, Capacity, Cookie, Peer, unrecognized
from tests.unit.sctp_network import DELAY, End, Network, answers

LARGE = Capacity(LARGEST)


class Path:
    """Packets larger than ``mtu`` do not pass whole; in fragments they do where ``fragments`` is true."""

    def __init__(self, mtu: int, loss: float = 0.0, fragments: bool = True, able: bool = True) -> None:
        self.mtu = mtu
        self.loss = loss
        self.fragments = fragments
        self._able = able
        self._whole = False
        self._random = Random(1)

    def never_fragment(self) -> bool:
        self._whole = self._able
        return self._able

    def fragment_if_known(self) -> None:
        """Of what a router drops nothing is known: no message comes back."""

    def may_fragment(self) -> None:
        self._whole = False

    def fate(self, data: bytes) -> Iterable[float]:
        passes = len(data) <= self.mtu or (self.fragments and not self._whole)
        return (DELAY,) if passes and self._random.random() >= self.loss else ()


class Searching(Network):
    """The client searches, as the transport above it would have it do."""

    def __init__(self, path: Path, theirs: Capacity = LARGE) -> None:
        super().__init__(capacity=LARGE, packet_size=BASE)
        self.server.association = Association(capacity=theirs, random=Random(2).randbytes)
        self._told = 0
        self.path = path
        self.search = PathSearch(self.client.association, path)
        self.establish()
        self.client.fate = path.fate
        self.search.begin(self.client.association.largest_packet, self.now)

    @property
    def size(self) -> int:
        return self.client.association.packet_size

    def flush(self, end: End) -> None:
        super().flush(end)
        if end is self.client:
            self._tell()

    def _tell(self) -> None:
        for event in self.client.events[self._told :]:
            if isinstance(event, ProbeAcknowledged):
                self.search.acknowledged(event.size)
            elif isinstance(event, Unanswered):
                self.search.unanswered(self.now)
        self._told = len(self.client.events)

    def pass_time(self, seconds: float) -> None:
        """With the search's own timers."""
        until = self.now + seconds
        while (at := self.search.at) is not None and at <= until:
            self.run(seconds=max(0.0, at - self.now))
            self.now = max(self.now, at)
            self.search.on_timer(self.now)
        self.run(seconds=until - self.now)
        self.now = until

    def transfer(self, size: int) -> None:
        """A message from client to server."""
        before = len(self.server.messages)
        self.client.association.send(0, 53, bytes(size), now=self.now)
        self.run(lambda: len(self.server.messages) > before, seconds=300)
        assert self.server.messages[-1][2] == bytes(size)

    @property
    def largest_sent(self) -> int:
        return max(map(len, self.client.sent))


@pytest.mark.parametrize("mtu", [1_192, 1_391, 1_392, 2_040, 5_000, 8_880, 16_207, 16_208, 65_536])
def test_the_largest_size_that_the_path_carries_is_used(mtu: int) -> None:
    network = Searching(Path(mtu, fragments=False))
    network.pass_time(ROUNDS * PROBE_TIMER + 1)
    assert network.size == max(size for size in (BASE, *SIZES) if size <= mtu)
    network.transfer(200_000)


@given(st.integers(0, 2**16), st.sampled_from([0.1, 0.3]))
@settings(max_examples=40, deadline=None)
def test_probes_that_are_lost_by_chance_are_repeated_and_no_sign_of_congestion(seed: int, loss: float) -> None:
    path = Path(65_536, loss)
    path._random = Random(seed)
    network = Searching(path)
    window = network.client.outbound.congestion.window
    network.pass_time(ROUNDS * PROBE_TIMER + 1)
    assert network.size in (BASE, *SIZES)
    assert network.client.outbound.congestion.window >= window
    network.path.loss = 0.0
    network.pass_time(RAISE_TIMER + ROUNDS * PROBE_TIMER)
    assert network.size == LARGEST


@pytest.mark.parametrize(
    ("theirs", "most"),
    [
        (Capacity(), BASE),
        (Capacity(1000), BASE),
        (Capacity(BROWSERS), BROWSERS),
        (Capacity(9000), 8_880),
        (Capacity(2**32 - 1), LARGEST),
    ],
)
def test_nothing_is_larger_than_what_the_peer_takes(theirs: Capacity, most: int) -> None:
    network = Searching(Path(65_536), theirs)
    network.pass_time(2 * RAISE_TIMER)
    network.transfer(200_000)
    assert network.size == most
    assert network.largest_sent <= most


def test_where_the_system_cannot_help_there_is_no_search() -> None:
    network = Searching(Path(65_536, able=False))
    network.pass_time(2 * RAISE_TIMER)
    network.transfer(200_000)
    assert network.largest_sent <= BASE


def test_a_path_that_carries_less_from_some_moment_on_loses_nothing() -> None:
    network = Searching(Path(65_536))
    network.pass_time(1)
    assert network.size == LARGEST
    network.client.association.send(0, 53, bytes(250_000), now=network.now)
    network.flush(network.client)
    network.path.mtu = 1_500
    network.run(lambda: bool(network.server.messages), seconds=60)
    assert network.server.messages == [(0, 53, bytes(250_000))]
    assert network.size == BASE
    network.pass_time(FIRST_PAUSE + ROUNDS * PROBE_TIMER)
    assert network.size == 1_392
    network.transfer(100_000)


def test_a_path_that_lets_no_fragments_through_either_ends_it() -> None:
    """Whoever has the connection makes another one."""
    network = Searching(Path(65_536, fragments=False))
    network.pass_time(1)
    network.client.association.send(0, 53, bytes(250_000), now=network.now)
    network.flush(network.client)
    network.path.mtu = 1_500
    network.run(lambda: bool(network.client.closed), seconds=20)
    assert network.client.closed == ["the path does not carry packets that were sent when it did"]


def test_a_path_that_carries_more_after_a_while_is_found_out() -> None:
    network = Searching(Path(1_500, fragments=False))
    network.pass_time(ROUNDS * PROBE_TIMER + 1)
    assert network.size == 1_392
    network.path.mtu = 65_536
    network.pass_time(RAISE_TIMER + 1)
    assert network.size == LARGEST


def test_trouble_after_trouble_is_tried_again_less_and_less_often() -> None:
    network = Searching(Path(65_536))
    pauses = []
    for _ in range(10):
        network.pass_time(1)
        assert network.size == LARGEST
        network.search.unanswered(network.now)
        assert network.size == BASE
        assert network.search.at is not None
        pauses.append(network.search.at - network.now)
        network.pass_time(pauses[-1])
    assert pauses[:3] == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])
    assert pauses[-1] == pytest.approx(RAISE_TIMER)


def test_another_path_is_searched_anew() -> None:
    network = Searching(Path(65_536))
    network.pass_time(1)
    network.path.mtu = BASE
    network.search.begin(network.client.association.largest_packet, network.now)
    assert network.size == BASE
    network.pass_time(ROUNDS * PROBE_TIMER + 1)
    assert network.size == BASE


# ---- what is announced ----


def inits(end: End, kind: int) -> list[Init]:
    return [Init.parse(value) for value in answers(end.sent, kind)]


def test_both_tell_what_they_take() -> None:
    network = Network(capacity=Capacity(9000, 300_000)).establish()
    said = [*inits(network.client, INIT), *inits(network.server, INIT_ACK)]
    assert [Capacity.of(init) for init in said] == [Capacity(9000, 300_000)] * 2
    for end in (network.client, network.server):
        assert end.association.largest_packet == 9000
        assert end.outbound.congestion._queue_limit == 300_000


def test_it_is_of_the_kind_that_others_skip() -> None:
    assert CAPACITY >> 14 == 0b10
    init = Init(1, 2, 3, 4, 5, ((CAPACITY, bytes(8)),))
    assert unrecognized(init) == []


@pytest.mark.parametrize("value", [b"", bytes(4), bytes(12)])
def test_what_has_another_length_says_nothing(value: bytes) -> None:
    assert Capacity.of(Init(1, 2, 3, 4, 5, ((CAPACITY, value),))) == Capacity()


def test_nobody_is_believed_to_have_much_room() -> None:
    init = Init(1, 2, 3, 4, 5, Capacity(1200, 2**32 - 1).parameters())
    assert Capacity.of(init).room == MOST_ROOM


@given(st.builds(Capacity, st.integers(0, 2**32 - 1), st.integers(0, MOST_ROOM)))
@settings(deadline=None)
def test_the_cookie_keeps_it(capacity: Capacity) -> None:
    cookie = Cookie(1.5, 2, 3, Peer(4, 5, 6, 7, True, False, capacity), (7, 8))
    assert Cookie.open(cookie.seal(b"key"), b"key") == cookie
