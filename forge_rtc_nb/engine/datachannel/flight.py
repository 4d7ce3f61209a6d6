"""DATA chunks that were sent and may have to be sent again: under way, lost, given up; pure (engine process)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from .chunks import unwrap
from .outgoing import Outgoing
from .ranges import Ranges

FLYING: Final = 0
LOST: Final = 1
"""To be sent again; not under way."""
ACKNOWLEDGED: Final = 2
"""By a gap block: the peer has it, and may still throw it away."""
ABANDONED: Final = 3
"""Will not be sent again, which FORWARD TSN tells."""

MISSES: Final = 3
"""Section 7.2.4: so many acknowledgements of later ones make a chunk lost."""


class Fragment:
    """A DATA chunk that was sent."""

    __slots__ = ("message", "misses", "sends", "sent_at", "size", "start", "state", "tsn")

    def __init__(self, tsn: int, message: Outgoing, start: int, size: int, sent_at: float) -> None:
        self.tsn = tsn
        self.message = message
        self.start = start
        self.size = size
        self.sent_at = sent_at
        self.sends = 1
        self.misses = 0
        self.state = FLYING


@dataclass(slots=True)
class Report:
    """What a SACK has changed."""

    advanced: bool
    size: int = 0
    """Bytes that are acknowledged now and were not before."""
    newest: Fragment | None = None
    """Of those that were under way the one sent last: it tells the round trip if it was sent once."""
    lost: list[Fragment] = field(default_factory=list)


class Flight:
    """TSNs are unwrapped numbers, and those of the fragments here are in sequence: a SACK pops them from the left."""

    def __init__(self, first_tsn: int) -> None:
        self.next_tsn = first_tsn
        self.acknowledged = first_tsn - 1
        """All up to here."""
        self._sent: deque[Fragment] = deque()
        self.size = 0
        """Bytes under way."""
        self.lost: deque[Fragment] = deque()
        """In the order of their TSNs, with some that are not lost any more."""
        self._known = Ranges()
        """What gap blocks have acknowledged, ever."""
        self._latest: list[tuple[int, int]] = []
        """What the last ones did."""
        self.abandoned = 0
        """Fragments that were given up and that the peer waits for yet."""
        self.probe: Fragment | None = None
        """Sent again after a silence; what became of it is not known yet."""

    def __bool__(self) -> bool:
        return bool(self._sent)

    @property
    def last_tsn(self) -> int:
        return self.next_tsn - 1

    @property
    def first(self) -> Fragment | None:
        """The oldest that is not acknowledged for good."""
        return self._sent[0] if self._sent else None

    def is_first(self, fragment: Fragment) -> bool:
        return self._sent[0] is fragment

    def add(self, message: Outgoing, start: int, size: int, now: float) -> int:
        """A fragment is sent for the first time; returns its TSN."""
        tsn = self.next_tsn
        if not start:
            message.tsn = tsn
        self._sent.append(Fragment(tsn, message, start, size, now))
        self.next_tsn = tsn + 1
        self.size += size
        return tsn

    def add_run(self, fragments: list[Fragment], size: int) -> None:
        """Several, with TSNs from `next_tsn` on."""
        self._sent.extend(fragments)
        self.next_tsn += len(fragments)
        self.size += size

    def resend(self, fragment: Fragment, now: float) -> None:
        fragment.state = FLYING
        fragment.sends += 1
        fragment.misses = 0
        fragment.sent_at = now
        self.size += fragment.size

    def resend_last(self, now: float) -> Fragment | None:
        """The last that is under way goes out once more, although nothing says that it is lost."""
        fragment = self.last
        if fragment is not None:
            fragment.sends += 1
            fragment.sent_at = now
        self.probe = fragment
        return fragment

    @property
    def last(self) -> Fragment | None:
        """That is under way."""
        return next((fragment for fragment in reversed(self._sent) if fragment.state == FLYING), None)

    def acknowledge(self, raw: int, gaps: list[tuple[int, int]], packet_size: int) -> Report | None:
        """A SACK; None where it is older than another, or tells of what was never sent."""
        cumulative = unwrap(raw, self.acknowledged)
        if not self.acknowledged <= cumulative < self.next_tsn:
            return None
        if gaps and not self._are_possible(gaps, self.next_tsn - 1 - cumulative):
            return None
        report = Report(cumulative > self.acknowledged)
        if report.advanced:
            self._pop(cumulative - self.acknowledged, report)
            self.acknowledged = cumulative
            if self._known:
                self._known.advance(cumulative)
        self._latest = [(cumulative + start, cumulative + end) for start, end in gaps]
        if gaps:
            self._acknowledge_ahead(report, packet_size)
        return report

    @staticmethod
    def _are_possible(gaps: list[tuple[int, int]], most: int) -> bool:
        """Whether they are in order and tell of nothing that was never sent."""
        before = 0
        for start, end in gaps:
            if not before < start <= end <= most:
                return False
            before = end
        return True

    def _pop(self, count: int, report: Report) -> None:
        """The first fragments are acknowledged for good."""
        popleft = self._sent.popleft
        flown = again = 0
        for _ in range(count):
            fragment = popleft()
            if fragment.state == FLYING:
                flown += fragment.size
                report.newest = fragment
            elif fragment.state == LOST:
                fragment.state = ACKNOWLEDGED
                again += fragment.size
            elif fragment.state == ABANDONED:
                self.abandoned -= 1
        self.size -= flown
        report.size = flown + again

    def _between(self, first: int, last: int) -> Iterator[Fragment]:
        offset = self.acknowledged + 1
        return islice(self._sent, first - offset, last - offset + 1)

    def _acknowledge_ahead(self, report: Report, packet_size: int) -> None:
        """Gap blocks: only what no block before has told is looked at."""
        fresh: list[tuple[int, int, int]] = []
        for start, end in self._latest:
            for first, last in self._known.missing(start, end):
                fresh.append((first, last, self._receive(first, last, report)))
        if fresh:
            for first, last, _ in fresh:
                self._known.add(first, last)
            self._strike(fresh, report, packet_size)

    def _receive(self, first: int, last: int, report: Report) -> int:
        size = 0
        for fragment in self._between(first, last):
            if fragment.state == FLYING:
                self.size -= fragment.size
                if report.newest is None or fragment.sent_at >= report.newest.sent_at:
                    report.newest = fragment
            elif fragment.state != LOST:
                continue
            fragment.state = ACKNOWLEDGED
            size += fragment.size
        report.size += size
        return size

    def _strike(self, fresh: list[tuple[int, int, int]], report: Report, packet_size: int) -> None:
        """Those missing before what has just been acknowledged have missed it: once, and once more for each full packet.

        Section 7.2.4 counts SACKs because it has one sent for each packet where there are gaps; ours come once a batch. And it
        lets a chunk be lost once before T3; here what was sent again and is overtaken again is lost again (as RFC 8985). And
        what is missing when the probe after a silence has arrived is lost: it had two round trips more than that.
        """
        newest = report.newest.sent_at if report.newest is not None else float("-inf")
        above, at = 0, len(fresh) - 1
        if report.newest is not None and report.newest is self.probe:
            above = MISSES * packet_size
        for first, last in reversed(self._known.missing(self.acknowledged + 1, fresh[-1][1])):
            while at >= 0 and fresh[at][0] > last:
                above += fresh[at][2]
                at -= 1
            for fragment in self._between(first, last):
                if fragment.state == FLYING and (fragment.sends == 1 or fragment.sent_at < newest):
                    fragment.misses += 1 + above // packet_size
                    if fragment.misses >= MISSES:
                        report.lost.append(fragment)
        for fragment in report.lost:
            fragment.state = LOST
            self.size -= fragment.size
        if report.lost:
            self._queue_lost(report.lost)

    def _queue_lost(self, fragments: list[Fragment]) -> None:
        lost = {each.tsn: each for each in (*self.lost, *fragments) if each.state == LOST}
        self.lost = deque(lost[tsn] for tsn in sorted(lost))

    def lose_all(self) -> None:
        """T3 has expired: what the last SACK did not acknowledge is lost, also what the peer has taken back (section 6.2.1)."""
        self._known.clear()
        self.probe = None
        for first, last in self._latest:
            if last > self.acknowledged:
                self._known.add(max(first, self.acknowledged + 1), last)
        for fragment in self._sent:
            if fragment.state == FLYING or (fragment.state == ACKNOWLEDGED and fragment.tsn not in self._known):
                fragment.state = LOST
                fragment.misses = 0
        self.size = 0
        self.lost = deque(fragment for fragment in self._sent if fragment.state == LOST)

    def abandon(self, message: Outgoing, now: float) -> None:
        """Gives a message up, with what was not sent of it: that has one TSN, so that there is something to go forward to.

        RFC 3758 section 3.5 A3.
        """
        if message.sent < message.size:
            self.add(message, message.sent, 0, now)
        for at in range(max(0, message.tsn - self.acknowledged - 1), len(self._sent)):
            fragment = self._sent[at]
            if fragment.message is not message:
                break
            if fragment.state != ABANDONED:
                if fragment.state == FLYING:
                    self.size -= fragment.size
                fragment.state = ABANDONED
                self.abandoned += 1
        message.data = b""

    def forward_point(self, streams: int) -> tuple[int, dict[int, int]]:
        """Up to where the peer need not wait, and the last sequence number that it will not see of so many streams."""
        point = self.acknowledged
        skipped: dict[int, int] = {}
        if self.abandoned:
            for fragment in self._sent:
                message = fragment.message
                if fragment.state != ABANDONED or (len(skipped) == streams and message.queue.stream not in skipped):
                    break
                point = fragment.tsn
                if not message.flags:
                    skipped[message.queue.stream] = message.sequence
        return point, skipped
