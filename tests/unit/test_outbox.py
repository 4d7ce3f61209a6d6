"""What waits for a slow reader: who is refused, who is never held up, and what the reader knows in the end (test process)."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_rtc_nb import protocol
from forge_rtc_nb.protocol import Joined, Left, Message, Offer, Participant, SessionDescription, Stream, Updated
from forge_rtc_nb.server.outbox import News, Outbox
from forge_rtc_nb.shares import Shares

LIMIT = 64 * 1024


class Reader:
    """A client that reads when it is told to, and believes what it is told."""

    def __init__(self) -> None:
        self.outbox = Outbox(LIMIT, lambda text, left: self.pipe.append((text, left)))
        self.pipe: list[tuple[str, Callable[[], None]]] = []
        self.heard: list[Message] = []
        self.roster: dict[str, Participant] = {}

    @property
    def waiting(self) -> int:
        return sum(len(text.encode()) for text, _ in self.pipe)

    def tell(self, news: News) -> None:
        self.outbox.tell(news, protocol.encode(news))

    def pass_on(self, sender: str, size: int) -> bool:
        sdp = SessionDescription(type="offer", sdp="v=0" + "x" * size)
        return self.outbox.pass_on(sender, protocol.encode(Offer(to="me", from_=sender, sdp=sdp)))

    def read(self, count: int | None = None) -> None:
        """Read so many frames; None: all there are, and those that come of it."""
        while self.pipe and count != 0:
            text, left = self.pipe.pop(0)
            left()
            message = protocol.decode_server(text)
            self.heard.append(message)
            self.hear(message)
            count = None if count is None else count - 1

    def hear(self, message: Message) -> None:
        if isinstance(message, Joined):
            assert message.participant.id not in self.roster
            self.roster[message.participant.id] = message.participant
        elif isinstance(message, Updated):
            assert message.participant is not None
            assert message.participant.id in self.roster
            self.roster[message.participant.id] = message.participant
        elif isinstance(message, Left):
            del self.roster[message.participant_id]
        elif message.routed:
            assert message.from_ in self.roster


def person(number: int, version: int = 0, streams: int = 0) -> Participant:
    listed = [Stream(id=f"{i:0>64}", name="\U0001f600" * 64, kind="video", source="camera") for i in range(streams)]
    return Participant(id=f"p{number}", name=f"version {version}", kind="browser", user="u", streams=listed)


def test_one_sender_has_a_quarter_and_the_others_what_they_had_before() -> None:
    shares = Shares(LIMIT)
    while shares.take("eve", 1000):
        pass
    assert not shares.take("eve", 1000)
    assert shares.take("ann", LIMIT // 8 - 1000)


def test_however_many_fill_their_share_something_is_left_for_the_next() -> None:
    shares = Shares(LIMIT)
    for number in range(16):
        for size in (10_000, 1000, 100, 10, 1):
            while shares.take(f"eve-{number}", size):
                pass
    assert shares.take("ann", LIMIT // 1024)
    assert shares._total < LIMIT // 2


def test_what_is_refused_leaves_no_trace() -> None:
    shares = Shares(LIMIT)
    assert not shares.take("eve", LIMIT)
    assert (shares.of("eve"), dict(shares._of)) == (0, {})


def test_what_was_read_makes_room() -> None:
    shares = Shares(LIMIT)
    for _ in range(10):
        assert shares.take("eve", LIMIT // 4)
        assert not shares.take("eve", 1)
        shares.give_back("eve", LIMIT // 4)
    assert not shares._of


def test_others_cannot_use_up_what_the_readers_own_answers_need() -> None:
    reader = Reader()
    for number in range(1000):
        reader.pass_on(f"p{number % 50}", 700)
        reader.tell(Joined(participant=person(number, streams=32)))
    assert reader.waiting <= LIMIT * 3 // 4
    answers = 0
    while reader.outbox.answer("x" * 100):
        answers += 1
    assert answers == LIMIT // 4 // 100
    reader.pipe.pop()[1]()
    assert reader.outbox.answer("x" * 100)


def test_of_a_flood_of_updates_the_newest_arrives_and_memory_stays_bounded() -> None:
    reader = Reader()
    reader.tell(Joined(participant=person(1)))
    for version in range(1000):
        reader.tell(Updated(participant=person(1, version, streams=32)))
    assert reader.waiting <= LIMIT // 4
    reader.read()
    assert len(reader.heard) < 5
    assert reader.roster == {"p1": person(1, 999, streams=32)}


def test_who_left_meanwhile_is_told_as_left_and_nothing_follows() -> None:
    reader = Reader()
    reader.tell(Joined(participant=person(1)))
    for version in range(10):
        reader.tell(Updated(participant=person(1, version, streams=32)))
    reader.tell(Left(participant_id="p1"))
    reader.read()
    assert reader.heard[-1] == Left(participant_id="p1")
    assert reader.roster == {}


def test_who_came_and_went_meanwhile_is_not_mentioned() -> None:
    reader = Reader()
    for number in range(1000):
        reader.tell(Joined(participant=person(number, streams=32)))
        reader.tell(Left(participant_id=f"p{number}"))
    assert len(reader.outbox._owed) < 10
    reader.read()
    assert len(reader.heard) < 10
    assert reader.roster == {}


def test_small_news_do_not_overtake_those_that_are_owed() -> None:
    reader = Reader()
    number = 0

    def churn() -> None:
        """Somebody joins and leaves again and again, until nothing more of it is written."""
        nonlocal number
        before = -1
        while before != len(reader.pipe):
            before, number = len(reader.pipe), number + 1
            reader.tell(Joined(participant=person(number)))
            reader.tell(Left(participant_id=f"p{number}"))

    churn()
    reader.tell(Joined(participant=person(0, streams=8)))
    full = len(reader.pipe)
    while "p0" not in reader.roster and len(reader.heard) < 2 * full:
        reader.read(1)
        churn()
    assert "p0" in reader.roster


def test_news_of_a_sender_come_before_what_it_sends() -> None:
    reader = Reader()
    reader.tell(Joined(participant=person(1, streams=32)))
    reader.tell(Joined(participant=person(2, streams=32)))  # is owed
    assert not reader.pass_on("p2", 10_000)  # more than its share, with the news
    reader.tell(Updated(participant=person(2, version=7)))
    assert reader.pass_on("p2", 100)
    assert not reader.outbox._owed
    reader.read()
    assert [type(message) for message in reader.heard] == [Joined, Joined, Offer]
    assert reader.roster["p2"] == person(2, version=7)


STEPS = st.tuples(
    st.sampled_from(["join", "update", "update", "leave", "send", "read"]), st.integers(0, 5), st.sampled_from([0, 3, 32])
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=120))
def test_in_any_order_the_reader_ends_with_what_is_true(steps: list[tuple[str, int, int]]) -> None:
    reader, truth = Reader(), dict[str, Participant]()
    for version, (step, number, streams) in enumerate(steps):
        there = f"p{number}" in truth
        if step == "read":
            reader.read(number)
        elif step == "send" and there:
            reader.pass_on(f"p{number}", 100 + 300 * streams)
        elif step == "leave" and there:
            del truth[f"p{number}"]
            reader.tell(Left(participant_id=f"p{number}"))
        elif (step == "join" and not there) or (step == "update" and there):
            truth[f"p{number}"] = person(number, version, streams)
            news = Updated if there else Joined
            reader.tell(news(participant=truth[f"p{number}"]))
        assert reader.waiting <= LIMIT * 3 // 4
    reader.read()
    assert reader.roster == truth
    assert not reader.outbox._owed
