"""Outgoing streams that begin anew, ours and the peer's: RFC 6525, for RFC 8831 section 6.7; pure (engine process)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from struct import Struct
from typing import Final

from .chunks import MASK, RE_CONFIG, Malformed, chunk, parameter, parameters_of, words
from .congestion import RTO_MAX
from .events import Event, PeerReset, ResetDone
from .inbound import Inbound
from .outbound import Outbound

OUTGOING_RESET: Final = 13
INCOMING_RESET: Final = 14
TSN_RESET: Final = 15
RESPONSE: Final = 16
ADD_OUTGOING: Final = 17
ADD_INCOMING: Final = 18

NOTHING_TO_DO: Final = 0
PERFORMED: Final = 1
DENIED: Final = 2
BAD_SEQUENCE: Final = 5
IN_PROGRESS: Final = 6

MOST_STREAMS: Final = 128
"""Of a request, so that it fits into a packet."""

_REQUEST = Struct("!LLL")
_RESPONSE = Struct("!LL")


@dataclass(frozen=True, slots=True)
class Request:
    """To reset outgoing streams, once everything up to ``last_tsn`` has arrived."""

    sequence: int
    last_tsn: int
    streams: tuple[int, ...]


class Resets:
    """One request of ours at a time; one of the peer's, which waits until its data has come."""

    def __init__(self, own_tsn: int, peer_tsn: int, outbound: Outbound, inbound: Inbound, events: deque[Event]) -> None:
        self._outbound, self._inbound, self._events = outbound, inbound, events
        self.known = True
        """Whether the peer knows RE-CONFIG; without it nothing can be reset."""
        self._next = own_tsn & MASK
        self._wanted: dict[int, None] = {}
        """Streams to be reset once they have nothing to send, in order."""
        self._request: Request | None = None
        self.failures = 0
        self.at: float | None = None
        """When our request is sent again."""
        self._expected = peer_tsn & MASK
        self._result = BAD_SEQUENCE
        """Of the peer's last request."""
        self.deferred: Request | None = None
        """The peer's, for which data is missing."""
        self._said_in_progress = False
        self._may_repeat: Request | None = None
        """It was performed after we had said that it is in progress."""

    def ask(self, streams: list[int]) -> None:
        """Resets them when what was sent on them before has gone out."""
        self._wanted.update(dict.fromkeys(streams))

    @property
    def idle(self) -> bool:
        return not self._wanted and self._request is None

    def request(self, now: float) -> bytes | None:
        """The chunk that asks for what may be asked for now."""
        if self._request is not None or not self._wanted:
            return None
        busy = self._outbound.streams_under_way()
        ready = [each for each in self._wanted if each not in busy and not self._outbound.schedule.buffered(each)]
        if not ready:
            return None
        streams = tuple(ready[:MOST_STREAMS])
        for stream in streams:
            del self._wanted[stream]
        if not self.known:
            self._events.append(ResetDone(streams, performed=False))
            return None
        self._outbound.schedule.hold(streams)
        self._request = Request(self._take_number(), self._outbound.flight.last_tsn & MASK, streams)
        self.failures = 0
        return self._ask_again(now)

    def _take_number(self) -> int:
        number = self._next
        self._next = (number + 1) & MASK
        return number

    def _ask_again(self, now: float) -> bytes:
        assert self._request is not None
        self.at = now + min(RTO_MAX, self._outbound.congestion.round_trip.measured * 2**self.failures)
        request = self._request
        fixed = _REQUEST.pack(request.sequence, (self._expected - 1) & MASK, request.last_tsn)
        streams = b"".join(stream.to_bytes(2, "big") for stream in request.streams)
        return chunk(RE_CONFIG, 0, parameter(OUTGOING_RESET, fixed + streams))

    def time_out(self, now: float) -> bytes | None:
        """The request was not answered, or the answer was that it is in progress."""
        if self._request is None:
            self.at = None
            return None
        self.failures += 1
        return self._ask_again(now)

    def receive(self, value: bytes, now: float) -> list[bytes]:
        """A RE-CONFIG chunk; returns the chunks that answer it."""
        answers = []
        for kind, body in parameters_of(value):
            answer = None
            if kind == OUTGOING_RESET:
                answer = self._receive_request(body)
            elif kind == RESPONSE:
                self._receive_response(body, now)
            elif kind in (INCOMING_RESET, TSN_RESET, ADD_OUTGOING, ADD_INCOMING):
                answer = self._refuse(kind, body)
            if answer is not None:
                answers.append(answer)
        return answers[:2]  # a chunk has two parameters at most (RFC 6525 section 3.1)

    def _answer(self, sequence: int, result: int) -> bytes:
        return chunk(RE_CONFIG, 0, parameter(RESPONSE, words(sequence, result)))

    def _is_new(self, sequence: int) -> bool:
        if sequence != self._expected:
            return False
        self._expected = (sequence + 1) & MASK
        return True

    def _is_repeated(self, sequence: int) -> bool:
        return sequence == (self._expected - 1) & MASK

    def _receive_request(self, body: bytes) -> bytes | None:
        if len(body) < _REQUEST.size or len(body) % 2:
            raise Malformed(f"a reset request of {len(body)} bytes")
        sequence, _, last_tsn = _REQUEST.unpack_from(body)
        if self._is_new(sequence):
            streams = tuple(int.from_bytes(body[at : at + 2], "big") for at in range(_REQUEST.size, len(body), 2))
            self.deferred, self._said_in_progress = Request(sequence, last_tsn, streams), False
            return self.settle()
        if not self._is_repeated(sequence):
            return self._answer(sequence, BAD_SEQUENCE)
        if self.deferred is None:
            return self._answer(sequence, self._result)
        self._said_in_progress = True
        return self._answer(sequence, IN_PROGRESS)

    def settle(self) -> bytes | None:
        """The answer to the peer's request, if all that it sent before is here: until then it is not answered.

        Who asks again is told that it is in progress.
        """
        request = self.deferred
        if request is None or not self._inbound.has_all_until(request.last_tsn):
            return None
        self.deferred, self._result = None, PERFORMED
        if not self._was_performed(request):
            if request.streams:
                self._inbound.delivery.reset(request.streams)
            else:
                self._inbound.delivery.reset_all()
            self._events.append(PeerReset(request.streams))
            self._may_repeat = request if self._said_in_progress else None
        return self._answer(request.sequence, PERFORMED)

    def _was_performed(self, request: Request) -> bool:
        """After "in progress" dcSCTP and others ask the same under a new number: it must not be told twice."""
        done = self._may_repeat
        return done is not None and (done.last_tsn, done.streams) == (request.last_tsn, request.streams)

    def _refuse(self, kind: int, body: bytes) -> bytes | None:
        """WebRTC has no use for the other requests; more outgoing streams cost nothing."""
        if len(body) < 4:
            raise Malformed(f"a request of {len(body)} bytes")
        sequence = int.from_bytes(body[:4], "big")
        if self._is_new(sequence):
            self._result = PERFORMED if kind == ADD_OUTGOING else DENIED
        elif not self._is_repeated(sequence):
            return self._answer(sequence, BAD_SEQUENCE)
        return self._answer(sequence, self._result)

    def _receive_response(self, body: bytes, now: float) -> None:
        if len(body) < _RESPONSE.size:
            raise Malformed(f"a response of {len(body)} bytes")
        sequence, result = _RESPONSE.unpack_from(body)
        request = self._request
        if request is None or sequence != request.sequence:
            return
        if result == IN_PROGRESS:
            self._request = Request(self._take_number(), request.last_tsn, request.streams)
            self.failures = 0
            self.at = now + self._outbound.congestion.round_trip.measured
            return
        performed = result in (NOTHING_TO_DO, PERFORMED)
        self._request = self.at = None
        self._outbound.schedule.release(request.streams, restart=performed)
        self._events.append(ResetDone(request.streams, performed))
