"""The sending half of an association: messages become DATA chunks, kept until a SACK takes them; pure (engine process)."""

from __future__ import annotations

from google_crc32c import extend

from .chunks import (
    AT_ONCE,
    CHECKSUM,
    CHUNK_HEADER,
    COMMON_HEADER,
    DATA,
    DATA_CHUNK,
    DATA_HEADER,
    FIRST,
    LARGE,
    LAST,
    MASK,
    NO_CHECKSUM,
    PAD,
    chunk,
    forward_tsn_chunk,
    unwrap,
)
from .congestion import Congestion
from .flight import LOST, Flight, Fragment
from .outgoing import Outgoing, Schedule
from .packer import Packer

MOST_FILLING = 256
"""Bytes that are sent for nothing at most, so that a packet is as long as those before and after it."""
OVERHEAD = COMMON_HEADER + DATA_HEADER


class Outbound:
    """Sends as far as the congestion window, the peer's window and the pace let it."""

    def __init__(self, first_tsn: int, schedule: Schedule, packet_size: int, queue_limit: int) -> None:
        self.schedule = schedule
        self.flight = Flight(first_tsn)
        self.congestion = Congestion(packet_size, queue_limit)
        self.peer_window = 0
        self.forwards = False
        """Whether the peer knows FORWARD TSN; without it every message is reliable."""
        self.fills = False
        """Whether packets may be filled up: the peer reads them as fast as others."""
        self.failures = 0
        """Expiries of T3 in a row."""
        self.t3: float | None = None
        self._silent_since: float | None = None
        """When something was sent, or acknowledged; None where silence has no meaning."""
        self._probe_due = False
        self._asked = False
        """Whether the last packet asks for its acknowledgement at once."""
        self.resume_at: float | None = None
        """When the pace lets the next packet go, None where it is not that what holds it up."""
        self._current: Outgoing | None = None
        self._limited = False
        self._free = False
        """Whether one packet may ignore the window: the first of a fast retransmission (section 7.2.4)."""
        self._forwarded = first_tsn - 1
        self._gave_up = False
        """Whether a message was, since it was last looked what FORWARD TSN has to tell."""
        self._forward_due = False
        self._forwarded_at = 0.0

    @property
    def idle(self) -> bool:
        """Whether all that was ever sent is acknowledged."""
        return not (self.flight or self.schedule or self._current)

    @property
    def has_work(self) -> bool:
        return bool(self._forward_due or self.flight.lost or self._current or self.schedule)

    @property
    def is_oversized(self) -> bool:
        """Whether the first that waits for its acknowledgement is larger than packets are now."""
        first = self.flight.first
        return first is not None and first.size + OVERHEAD > self.congestion.packet_size

    def streams_under_way(self) -> set[int]:
        """Those of which a message is half sent."""
        return {self._current.queue.stream} if self._current is not None else set()

    def set_packet_size(self, size: int) -> None:
        self.congestion.resize(size)

    # What comes from the peer

    def acknowledge(self, raw: int, window: int, gaps: list[tuple[int, int]], now: float) -> None:
        """A SACK."""
        under_way = self.flight.size
        report = self.flight.acknowledge(raw, gaps, self.congestion.packet_size)
        if report is None:
            return
        self.peer_window = window
        if report.newest is not None and report.newest.sends == 1:
            self.congestion.round_trip.measure(now - report.newest.sent_at, now)
        if report.size:
            self.congestion.acknowledged(
                report.size,
                self.flight.acknowledged,
                advanced=report.advanced,
                under_way=under_way,
                was_limited=self._limited,
            )
        if report.lost:
            self.congestion.lost(max(each.sent_at for each in report.lost), self.flight.last_tsn, now)
            self._free = True
        if report.size:
            self._silent_since = now
        if report.advanced or not window:
            self.failures = 0  # a peer whose window is shut answers, so it lives (section 6.1 A)
        if report.advanced:
            self.congestion.round_trip.recover()
            self.t3 = now + self.congestion.round_trip.timeout if self.flight else None
        if self.flight.abandoned:
            self._look_forward(now)

    def time_out(self, now: float) -> None:
        """T3 has expired (section 6.3.3)."""
        self.failures += 1
        self.congestion.timed_out()
        self.congestion.round_trip.back_off()
        self.flight.lose_all()
        self.t3 = now + self.congestion.round_trip.timeout
        self._silent_since = None
        self._forward_due = self._forwarded > self.flight.acknowledged

    # The end of what is under way: nothing comes after it whose acknowledgement would tell that it is lost

    @property
    def probe_at(self) -> float | None:
        """When that is sent again, unless something is acknowledged before."""
        if self._silent_since is None or not self.flight.size:
            return None
        alone = self.flight.size <= self.congestion.packet_size
        wait = self.congestion.round_trip.probe_after(may_wait=alone and not self._asked)
        return self._silent_since + wait if wait is not None else None

    def probe(self) -> None:
        """It is silent: the next packet is the last one again (RFC 8985 section 7.3).

        RFC 9260 knows only T3, 0.4 s or more, for the end of a message; this is a packet more, T3 goes on as it was. What the
        acknowledgement tells is treated as any other loss.
        """
        self._silent_since = None
        self._probe_due = True

    def _send_probe(self, packer: Packer, now: float) -> None:
        """Once: not while an earlier one is not acknowledged, nor where it is known what is lost, nor into a shut window.

        Nor a message that may be sent again only so often: it would have one time less, if nothing was lost.
        """
        self._probe_due = False
        flight, before, last = self.flight, self.flight.probe, self.flight.last
        is_pending = before is not None and before.tsn > flight.acknowledged
        if flight.lost or is_pending or not self.peer_window or last is None:
            return
        if last.message.limit is not None or self._has_expired(last.message, now):
            return
        flight.resend_last(now)
        self.congestion.spend(last.size)
        packer.add(self._chunk(last.message, last.tsn, last.start, last.size, AT_ONCE))

    def judge_probe(self, raw: int, duplicates: list[int], now: float) -> None:
        """A SACK, before it is taken: without the probe something would be missing, if nobody has it twice (section 7.4)."""
        probe = self.flight.probe
        assert probe is not None
        if probe.tsn & MASK in duplicates:
            self.flight.probe = None
        elif self.flight.last_tsn >= unwrap(raw, self.flight.acknowledged) > probe.tsn:
            self.flight.probe = None
            self.congestion.lost(float("-inf"), self.flight.last_tsn, now)

    def _look_forward(self, now: float) -> None:
        """Whether FORWARD TSN is due: for the first time, or because the peer does not know after a round trip."""
        point, _ = self.flight.forward_point(self._most_skipped)
        if point <= self.flight.acknowledged:
            return
        if point > self._forwarded:
            self._forward_due = True
        else:
            smoothed = self.congestion.round_trip.smoothed
            self._forward_due |= smoothed is not None and now - self._forwarded_at > smoothed

    @property
    def _most_skipped(self) -> int:
        return (self.congestion.packet_size - COMMON_HEADER - 8) // 4

    # What goes to the peer

    def fill(self, packer: Packer, most: int, now: float) -> None:
        """Adds packets until there are ``most``, or nothing more may be sent now."""
        self.resume_at = None
        self._limited = False
        next_tsn = self.flight.next_tsn
        if self._probe_due:
            self._send_probe(packer, now)
        if self._current is not None and self._has_expired(self._current, now):
            self._abandon(self._current, now)
        if not self.flight.lost or self._retransmit(packer, most, now):
            self._send_new(packer, most, now)
        if self._gave_up:
            self._gave_up = False
            self._look_forward(now)
        if self._forward_due:
            self._forward(packer, now)
        if self.flight.next_tsn > next_tsn:
            self._silent_since = now
        if self.flight and self.t3 is None:
            self.t3 = now + self.congestion.round_trip.timeout

    def _has_expired(self, message: Outgoing, now: float) -> bool:
        return self.forwards and message.expires is not None and message.expires < now

    def _is_given_up(self, fragment: Fragment, now: float) -> bool:
        limit = fragment.message.limit
        return self._has_expired(fragment.message, now) or (self.forwards and limit is not None and fragment.sends > limit)

    def _abandon(self, message: Outgoing, now: float) -> None:
        rest = message.size - message.sent
        self.flight.abandon(message, now)
        if message is self._current:
            self._current = None
        if rest:
            self.schedule.sent(message.queue, rest)
        self._gave_up = True

    def _forward(self, packer: Packer, now: float) -> None:
        point, skipped = self.flight.forward_point(self._most_skipped)
        self._forward_due = False
        if point > self.flight.acknowledged:
            packer.add(forward_tsn_chunk(point, skipped.items()))
            self._forwarded, self._forwarded_at = point, now

    def _allowance(self, packer: Packer, now: float) -> int:
        """Bytes that may be sent now. The last packet may exceed it (section 6.1 B), but not almost all of that packet."""
        room = self.congestion.limit - self.flight.size
        if 4 * room < self.congestion.packet_size:
            self._limited = True
            return 0
        paced = self.congestion.allowance(now)
        if paced <= 0:
            self.resume_at = self.congestion.allowed_at(now)
        return min(room, paced)

    def _retransmit(self, packer: Packer, most: int, now: float) -> bool:
        """What is lost goes first; returns whether all of it went."""
        lost = self.flight.lost
        while lost:
            fragment = lost[0]
            if fragment.state != LOST:
                lost.popleft()
            elif self._is_given_up(fragment, now):
                self._abandon(fragment.message, now)
            elif packer.count >= most and not packer.room_for(fragment.size + DATA_HEADER + 3):
                return False
            elif self._free or self._allowance(packer, now) > 0:
                self._free = False
                lost.popleft()
                self._resend(fragment, packer, now)
            else:
                return False
        return True

    def _resend(self, fragment: Fragment, packer: Packer, now: float) -> None:
        self.flight.resend(fragment, now)
        self.congestion.spend(fragment.size)
        if self.flight.is_first(fragment):
            self.t3 = now + self.congestion.round_trip.timeout  # section 7.2.4, step 4
        packer.add(self._chunk(fragment.message, fragment.tsn, fragment.start, fragment.size))

    @staticmethod
    def _chunk(message: Outgoing, tsn: int, start: int, size: int, more: int = 0) -> bytes:
        """A DATA chunk with its padding, and ``more`` flags."""
        flags = message.flags | more | (0 if start else FIRST) | (LAST if start + size == message.size else 0)
        header = DATA_CHUNK.pack(
            DATA, flags, size + DATA_HEADER, tsn & MASK, message.queue.stream, message.sequence, message.ppid
        )
        return b"".join((header, message.data[start : start + size], bytes(-size % 4)))

    def _send_new(self, packer: Packer, most: int, now: float) -> None:
        while (message := self._current or self.schedule.next(now)) is not None:
            self._current = message
            allowance = self._allowance(packer, now)
            if allowance <= 0:
                return
            step = self._step(message)
            rest = message.size - message.sent
            peer = self.peer_window - self.flight.size
            if min(step, rest) > peer and self.flight.size:
                return  # one chunk may always be under way: it asks a shut window (section 6.1 A)
            pieces = _pieces(rest, step) if message.sent or rest > step else 0
            if not pieces:
                if packer.count >= most and not packer.room_for(rest + DATA_HEADER + 3):
                    return
                self._send_last(message, packer, now)
                continue
            packer.flush()
            count = min(pieces, -(-allowance // step), max(1, peer // step), most - packer.count)
            if count <= 0:
                return
            self._send_run(message, step, count, packer, now)

    def _step(self, message: Outgoing) -> int:
        """Bytes of a fragment: a message is cut into equal ones, as packets of equal size go out together."""
        most = (self.congestion.packet_size - OVERHEAD) & ~3
        if not 0 < message.step <= most:
            rest = message.size - message.sent
            count = -(-rest // most)
            message.step = (-(-rest // count) + 3) & ~3
        return message.step

    def _send_last(self, message: Outgoing, packer: Packer, now: float) -> None:
        """The last fragment, or the only one, in a packet with others."""
        start, size = message.sent, message.size - message.sent
        tsn = self.flight.add(message, start, size, now)
        packer.add(self._chunk(message, tsn, start, size, self._last_flags(start)))
        message.sent = message.size
        self._current = None
        self.congestion.spend(size)
        self.schedule.sent(message.queue, size)

    def _send_run(self, message: Outgoing, step: int, count: int, packer: Packer, now: float) -> None:
        """Fragments, each in a packet of its own. This is where the time goes."""
        start = at = message.sent
        end = min(start + count * step, message.size)
        data, shift = message.data, 0
        if step >= LARGE and packer.unchecked:
            data = memoryview(data)
        elif not isinstance(data, bytes):  # a slice of it costs more than one of bytes
            data, shift = data[start:end].tobytes(), start
        tsn = self.flight.next_tsn
        if not start:
            message.tsn = tsn
        flags = message.flags | (0 if start else FIRST)
        stream, sequence, ppid = message.queue.stream, message.sequence, message.ppid
        header, seed, length = packer.header, packer.seed, step + DATA_HEADER
        unchecked = header + NO_CHECKSUM if packer.unchecked else b""
        fragments: list[Fragment] = []
        self._asked = False
        while at < end:
            place = at - shift
            part = data[place : place + step]
            if at + step >= message.size:
                length = len(part) + DATA_HEADER
                part = b"".join((part, self._filling(step - len(part))))
                step = length - DATA_HEADER
                flags |= self._last_flags(at)
            head = DATA_CHUNK.pack(DATA, flags, length, tsn & MASK, stream, sequence, ppid)
            if unchecked:
                packer.packets.append(b"".join((unchecked, head, part)))
            else:
                packer.packets.append(b"".join((header, CHECKSUM.pack(extend(extend(seed, head), part)), head, part)))
            fragments.append(Fragment(tsn, message, at, step, now))
            flags = message.flags
            tsn += 1
            at += step
        self.flight.add_run(fragments, end - start)
        message.sent = end
        if end == message.size:
            self._current = None
        self.congestion.spend(end - start)
        self.schedule.sent(message.queue, end - start)

    def _filling(self, missing: int) -> bytes:
        """What follows the last fragment, which has so many bytes less than the others: its padding, and where more packets of
        the same kind follow, and the peer is one of ours, a chunk to make it as long as those: they go out together."""
        padding = missing % 4
        if self.fills and self.schedule and 4 <= missing <= MOST_FILLING:
            return bytes(padding) + chunk(PAD, 0, bytes(missing - padding - CHUNK_HEADER))
        return bytes(padding)

    def _last_flags(self, start: int) -> int:
        """Those of the fragment that begins there and ends its message; from now on it is known what that asks for."""
        self._asked = start > 0 and not self.schedule  # else an answer takes it along, or the next packet brings it about
        return LAST | (AT_ONCE if self._asked else 0)


def _pieces(rest: int, step: int) -> int:
    """Fragments that get a packet of their own: all but a last one that leaves room for what comes after it."""
    whole, last = divmod(rest, step)
    return whole + (2 * last > step)
