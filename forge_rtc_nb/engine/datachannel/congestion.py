"""How much may be under way, and how fast it may go out: RFC 9260 sections 6.3 and 7.2, and pacing; pure (engine process)."""

from __future__ import annotations

from typing import Final

RTO_INITIAL: Final = 1.0
RTO_MIN: Final = 0.4
"""RFC 9260 proposes 1 s, for peers that may delay a SACK by 500 ms. Those of WebRTC delay it by 200 ms at most (usrsctp,
dcSCTP, this one) or not at all (aiortc); dcSCTP has the same minimum."""
RTO_MAX: Final = 60.0

ACKNOWLEDGED_AT_ONCE: Final = 32
"""L of section 7.2.1, RFC 3465: packets by which one SACK opens the window in slow start. A SACK for each batch of up to 32
packets would otherwise open it by one packet a batch."""
INITIAL_BURST: Final = 10
"""Packets that may go out at once where nothing is known about the path: RFC 6928, RFC 9002 section 7.7."""
TIMER: Final = 0.002
"""Seconds that a timer of the layer above may be late: what pacing would send meanwhile goes out at once."""
EPOCH: Final = 10.0
"""The shortest round trip is that of the last one or two of these."""


class RoundTrip:
    """The retransmission time-out from measured round trips (section 6.3.1), with its back-off."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self._variation = 0.0
        self.timeout = RTO_INITIAL
        self._shortest = self._previous = float("inf")
        self._epoch = 0.0
        self._next = float("-inf")

    @property
    def shortest(self) -> float:
        return min(self._shortest, self._previous)

    def measure(self, seconds: float, now: float) -> None:
        """A packet that was sent once was answered after so many ``seconds``."""
        if now - self._epoch > EPOCH:
            self._previous, self._shortest, self._epoch = self._shortest, seconds, now
        self._shortest = min(self._shortest, seconds)
        if now < self._next:
            return  # section 6.3.1 C: once a round trip
        if self.smoothed is None:
            self.smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(self.smoothed - seconds) - self._variation) / 4
            self.smoothed += (seconds - self.smoothed) / 8
        self._next = now + self.smoothed
        self.recover()

    def recover(self) -> None:
        """Something was acknowledged: the time-out is again what the round trips say.

        Section 6.3.3 keeps the back-off until the next measurement, but under much loss what was sent once is rarely answered.
        """
        self.timeout = self.measured

    @property
    def measured(self) -> float:
        """The time-out without back-off."""
        if self.smoothed is None:
            return RTO_INITIAL
        return min(RTO_MAX, max(RTO_MIN, self.smoothed + 4 * self._variation))

    def back_off(self) -> None:
        self.timeout = min(RTO_MAX, 2 * self.timeout)


class Congestion:
    """Slow start, congestion avoidance, recovery, and a token bucket.

    Bursts: section 6.1 lets a sender limit them in ways of its own choice. Here what a SACK says has left the network may be
    replaced at once (in slow start twice that), so the acknowledgements clock the packets; beyond that they are paced at 1.25
    (slow start: 2) windows a round trip, with a bucket for `INITIAL_BURST` packets or `TIMER` seconds.
    """

    def __init__(self, packet_size: int, queue_limit: int) -> None:
        self.packet_size = packet_size
        self._queue_limit = queue_limit
        self.round_trip = RoundTrip()
        self.window = min(4 * packet_size, max(2 * packet_size, 4404))
        self.threshold = 1 << 30
        self._partial = 0
        self._recovery_ends: int | None = None
        self._recovery_began = float("-inf")
        self._tokens = float(INITIAL_BURST * packet_size)
        self._filled_at = float("-inf")

    @property
    def limit(self) -> int:
        """Bytes that may be under way: the congestion window, but not more than fills the peer's socket buffer.

        Of what is under way, the part that the shortest round trip does not explain waits in some queue, mostly in that buffer.
        """
        smoothed, shortest = self.round_trip.smoothed, self.round_trip.shortest
        if smoothed is None or smoothed <= shortest:
            return self.window
        return min(self.window, int(self._queue_limit * smoothed / (smoothed - shortest)))

    @property
    def recovering(self) -> bool:
        return self._recovery_ends is not None

    def acknowledged(self, size: int, cumulative: int, *, advanced: bool, was_limited: bool) -> None:
        """A SACK for ``size`` bytes more; ``was_limited``: only the window had kept more from being sent."""
        if self._recovery_ends is not None:
            if cumulative < self._recovery_ends:
                self._earn(size)
                return
            self._recovery_ends = None
        slow_start = self.window <= self.threshold
        self._earn(2 * size if slow_start else size)
        if not (advanced and was_limited) or self.limit < self.window:
            return
        if slow_start:
            self.window += min(size, ACKNOWLEDGED_AT_ONCE * self.packet_size)
            return
        self._partial += size
        if self._partial >= self.window:
            self._partial -= self.window
            self.window += self.packet_size

    def lost(self, sent_at: float, last_tsn: int, now: float) -> None:
        """A packet of that time was lost: the window is halved, once a round trip (section 7.2.4).

        A retransmission that is lost again is a new sign of congestion (RFC 9002 section 7.3.2).
        """
        if self._recovery_ends is not None and sent_at <= self._recovery_began:
            return
        self.threshold = max(self.window // 2, 4 * self.packet_size)
        self.window = self.threshold
        self._partial = 0
        self._recovery_ends, self._recovery_began = last_tsn, now

    def timed_out(self) -> None:
        """Section 7.2.3."""
        self.threshold = max(self.window // 2, 4 * self.packet_size)
        self.window = self.packet_size
        self._partial = 0
        self._recovery_ends = None

    def _earn(self, size: int) -> None:
        self._tokens += size

    @property
    def _rate(self) -> float:
        """Bytes a second."""
        smoothed = self.round_trip.smoothed or RTO_INITIAL
        return (2.0 if self.window <= self.threshold else 1.25) * self.window / max(smoothed, 1e-6)

    def allowance(self, now: float) -> int:
        """Bytes that may be sent now."""
        rate = self._rate
        most = max(INITIAL_BURST * self.packet_size, rate * TIMER)
        if self._tokens < most:
            self._tokens = min(most, self._tokens + max(0.0, now - self._filled_at) * rate)
        self._filled_at = now
        return int(self._tokens)

    def spend(self, size: int) -> None:
        self._tokens = max(0.0, self._tokens - size)

    def settle(self) -> None:
        """All is sent: what was earned by acknowledgements is not saved for later bursts."""
        self._tokens = min(self._tokens, max(INITIAL_BURST * self.packet_size, self._rate * TIMER))

    def allowed_at(self, now: float) -> float:
        """When a packet more may be sent; not before a timer could tell the difference."""
        return now + max(TIMER / 2, (self.packet_size - self._tokens) / self._rate)
