"""How much may be under way, and how fast it may go out: RFC 9260 sections 6.3 and 7.2, and pacing; pure (engine process)."""

from __future__ import annotations

from typing import Final

RTO_INITIAL: Final = 1.0
RTO_MIN: Final = 0.4
"""RFC 9260 proposes 1 s, for peers that may delay a SACK by 500 ms. Those of WebRTC delay it by 200 ms at most (usrsctp,
dcSCTP, this one) or not at all (aiortc); dcSCTP has the same minimum."""
RTO_MAX: Final = 60.0
PROBE_MIN: Final = 0.01
"""Seconds of silence at least before the last packet is sent again: a peer on the same machine has pauses, too."""
SACK_DELAY: Final = 0.2
"""Seconds that a single packet waits for its acknowledgement (section 6.2), here and at others."""

ACKNOWLEDGED_AT_ONCE: Final = 32
"""L of section 7.2.1, RFC 3465: packets by which one SACK opens the window in slow start. A SACK for each batch of up to 32
packets would otherwise open it by one packet a batch."""
INITIAL_BURST: Final = 10
"""Packets that may go out at once where nothing is known about the path: RFC 6928, RFC 9002 section 7.7."""
TIMER: Final = 0.002
"""Seconds that a timer of the layer above may be late: what pacing would send meanwhile goes out at once."""
ROUND_SAMPLES: Final = 8
"""Round trips that must be longer, all of them, before a queue is believed to have grown: RFC 9406."""
IN_GROUPS: Final = 16_000
"""Bytes of packets that only a path within the system carries, as groups: of those a socket's buffer holds nearly its size. A
queue's limit reckons with datagrams that come one by one, each of which may take twice its bytes."""
EPOCH: Final = 10.0
"""The shortest round trip is that of the last one or two of these."""


class RoundTrip:
    """The retransmission time-out from measured round trips (section 6.3.1), with its back-off."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self._variation = 0.0
        self.timeout = self.measured = RTO_INITIAL
        """Seconds, with back-off and without."""
        self.shortest = self._of_epoch = self._previous = float("inf")
        """Of the last one or two epochs, of this one, of the one before."""
        self._epoch = 0.0
        self._next = float("-inf")
        self._of_round: list[float] = []
        self.grows = False
        """Whether every packet of the last round trip took clearly longer than the shortest (RFC 9406 section 4.2)."""

    def measure(self, seconds: float, now: float) -> None:
        """A packet that was sent once was answered after so many ``seconds``."""
        if now - self._epoch > EPOCH:
            self._previous, self._of_epoch, self._epoch = self._of_epoch, seconds, now
            self.shortest = min(self._previous, seconds)
        elif seconds < self._of_epoch:
            self._of_epoch = seconds
            self.shortest = min(self.shortest, seconds)
        self._of_round.append(seconds)
        if now < self._next:
            return  # section 6.3.1 C: once a round trip
        if self.smoothed is None:
            self.smoothed, self._variation = seconds, seconds / 2
            self._of_round.clear()
        else:
            self._variation += (abs(self.smoothed - seconds) - self._variation) / 4
            self.smoothed += (seconds - self.smoothed) / 8
        if len(self._of_round) >= ROUND_SAMPLES:
            self.grows = min(self._of_round) > self.shortest + min(0.016, max(0.004, self.shortest / 8))
            self._of_round.clear()
        self._next = now + self.smoothed
        self.measured = min(RTO_MAX, max(RTO_MIN, self.smoothed + 4 * self._variation))
        self.recover()

    def recover(self) -> None:
        """Something was acknowledged: the time-out is again what the round trips say.

        Section 6.3.3 keeps the back-off until the next measurement, but under much loss what was sent once is rarely answered.
        """
        self.timeout = self.measured

    def probe_after(self, *, may_wait: bool) -> float | None:
        """Seconds of silence after which the end of what was sent is probably lost; None where nothing is known.

        RFC 8985 section 7.2. ``may_wait``: the peer need not acknowledge it at once.
        """
        if self.smoothed is None:
            return None
        return max(2 * self.smoothed, PROBE_MIN) + (SACK_DELAY if may_wait else 0.0)

    def back_off(self) -> None:
        self.timeout = min(RTO_MAX, 2 * self.timeout)


class Congestion:
    """Slow start, congestion avoidance, recovery, and a token bucket.

    Bursts: section 6.1 has them limited, to 4 packets a SACK for example, which is nothing where a SACK is for 32. Here packets
    are paced (as RFC 9002 section 7.7) at 1.25 windows, in slow start 2, in the shortest round trip. No burst is larger than
    `INITIAL_BURST` packets or what `TIMER` seconds of that pace carry. Where the round trip is shorter than a timer can tell,
    only the acknowledgements clock the packets. The shortest round trip is taken because the smoothed one has delayed SACKs
    and our own queue in it; a window that is full of that queue is held back by itself.
    """

    def __init__(self, packet_size: int, queue_limit: int) -> None:
        self.packet_size = packet_size
        self._queue_limit = queue_limit
        self._room = queue_limit
        self.round_trip = RoundTrip()
        self.window = min(4 * packet_size, max(2 * packet_size, 4404))
        self.threshold = 1 << 30
        self._partial = 0
        self._recovery_ends: int | None = None
        self._recovery_began = float("-inf")
        self._tokens = float(INITIAL_BURST * packet_size)
        self._filled_at = float("-inf")

    def resize(self, packet_size: int) -> None:
        """Packets have another size from now on."""
        self.packet_size = packet_size
        self.window = max(self.window, packet_size)
        self._room = self._queue_limit * 5 // 4 if packet_size >= IN_GROUPS else self._queue_limit

    @property
    def limit(self) -> int:
        """Bytes that may be under way: the congestion window, but not more than fills the peer's socket buffer.

        Of what is under way, the part that the shortest round trip does not explain waits in some queue, mostly in that buffer.
        """
        smoothed, shortest = self.round_trip.smoothed, self.round_trip.shortest
        if smoothed is None or smoothed <= shortest:
            return self.window
        return min(self.window, int(self._room * smoothed / (smoothed - shortest)))

    @property
    def recovering(self) -> bool:
        return self._recovery_ends is not None

    def acknowledged(self, size: int, cumulative: int, *, advanced: bool, under_way: int, was_limited: bool) -> None:
        """A SACK for ``size`` bytes more, of those ``under_way``; ``was_limited``: only the window held back more.

        In slow start half a window counts as all of it: the pace may not have filled it yet (as in Linux).
        """
        if self._recovery_ends is not None:
            if cumulative < self._recovery_ends:
                return
            self._recovery_ends = None
        slow_start = self.window <= self.threshold
        is_used = was_limited or (slow_start and 2 * under_way >= self.window)
        if not (advanced and is_used) or self.limit < self.window:
            return
        if slow_start and self.round_trip.grows:
            self.threshold = self.window - 1  # a queue has begun to fill: better to know by time than by loss
        elif slow_start:
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

    @property
    def _rate(self) -> float:
        """Bytes a second."""
        shortest = min(RTO_INITIAL, max(self.round_trip.shortest, 1e-6))
        return (2.0 if self.window <= self.threshold else 1.25) * self.window / shortest

    def allowance(self, now: float) -> int:
        """Bytes that may be sent now."""
        if now > self._filled_at:
            rate = self._rate
            bucket = max(INITIAL_BURST * self.packet_size, rate * TIMER)
            self._tokens = min(bucket, self._tokens + (now - self._filled_at) * rate)
            self._filled_at = now
        return int(self._tokens)

    def spend(self, size: int) -> None:
        self._tokens = max(0.0, self._tokens - size)

    def allowed_at(self, now: float) -> float:
        """When a packet more may be sent; not before a timer could tell the difference."""
        return now + max(TIMER / 2, (self.packet_size - self._tokens) / self._rate)
