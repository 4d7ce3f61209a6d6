"""From the first INIT to the end: the states of an association and the chunks that change them; pure (engine process)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from .chunks import (
    ABORT,
    COOKIE_ACK,
    COOKIE_ECHO,
    ERROR,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    STALE_COOKIE,
    STATE_COOKIE,
    Init,
    chunk,
    error_chunk,
    packet,
    packet_header,
    parameters_of,
    words,
)
from .congestion import RTO_INITIAL
from .events import Closed, Established, Event, Restarted
from .setup import COOKIE_SECONDS, Cookie, Identity, Peer, Retry

MAX_INIT_RETRIES: Final = 8
MAX_FAILURES: Final = 10
"""Association.Max.Retrans of section 16."""
MAX_OVERSIZED: Final = 4
"""The same for packets larger than those that are sent now: some 10 s."""
MAX_WAITING: Final = 16
"""Packets with tags of their own, and control chunks, that wait to be sent; more push out the oldest."""
MAX_STALE: Final = 3
"""How often a cookie may be too old before we give up."""


class State(Enum):
    """RFC 9260 section 4; CLOSED is before, ENDED after."""

    CLOSED = auto()
    COOKIE_WAIT = auto()
    COOKIE_ECHOED = auto()
    ESTABLISHED = auto()
    SHUTDOWN_PENDING = auto()
    SHUTDOWN_SENT = auto()
    SHUTDOWN_RECEIVED = auto()
    SHUTDOWN_ACK_SENT = auto()
    ENDED = auto()


TAKES_DATA: Final = State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT
SENDS_DATA: Final = State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED
SETTING_UP: Final = State.COOKIE_WAIT, State.COOKIE_ECHOED


class Lifecycle:
    """``begin`` is called when the peer is known, again when it is another one: both halves start from nothing."""

    def __init__(self, ports: tuple[int, int], identity: Identity, events: deque[Event], begin: Callable[[Peer], None]) -> None:
        self._ports = ports
        self.identity = identity
        self._events = events
        self._begin = begin
        self.state = State.CLOSED
        self.peer: Peer | None = None
        self.packets: deque[bytes] = deque(maxlen=MAX_WAITING)
        """Those that go out with a tag of their own."""
        self.control: deque[bytes] = deque(maxlen=MAX_WAITING)
        """Chunks for the peer."""
        self._retry: Retry | None = None
        """T1 or T2."""
        self._stale = 0
        self.round_trip: float | None = None
        """Seconds between COOKIE ECHO and COOKIE ACK, if neither was lost."""

    # What we do

    def connect(self, now: float) -> None:
        """Sends INIT, if nothing was begun yet."""
        if self.state is State.CLOSED:
            self._start(self.identity.init_chunk(), MAX_INIT_RETRIES, now)
            self.state = State.COOKIE_WAIT

    def close(self) -> None:
        """In good order: all that was sent is acknowledged first, see `drained`."""
        if self.state is State.ESTABLISHED:
            self.state = State.SHUTDOWN_PENDING
        elif self.state in SETTING_UP or self.state is State.CLOSED:
            self.end(None)

    def drained(self, tsn: int, now: float) -> None:
        """All that was sent is acknowledged; ``tsn`` is the last of the peer's that has come."""
        if self.state is State.SHUTDOWN_PENDING:
            self._start(chunk(SHUTDOWN, 0, words(tsn)), MAX_FAILURES, now)
            self.state = State.SHUTDOWN_SENT
        elif self.state is State.SHUTDOWN_RECEIVED:
            self._acknowledge_shutdown(now)

    def abort(self, cause: int, reason: str) -> None:
        """At once, and the peer is told."""
        if self.peer is not None and self.state is not State.ENDED:
            self.control.clear()
            self.control.append(error_chunk(ABORT, cause, reason.encode()))
        self.end(reason)

    def end(self, reason: str | None) -> None:
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self._retry = None
            self._events.append(Closed(reason))

    # Timers

    @property
    def at(self) -> float | None:
        return self._retry.at if self._retry is not None else None

    def time_out(self, now: float) -> None:
        if self._retry is None:
            return
        if self._retry.again(now):
            self._send(self._retry.chunk)
        else:
            self.end("the peer does not answer")

    def _start(self, first: bytes, most: int, now: float) -> None:
        self._retry = Retry(first, RTO_INITIAL, most, now)
        self._send(first)

    def _send(self, chunk_bytes: bytes) -> None:
        """To the peer, or with tag 0 as long as there is none: only INIT is sent then."""
        if self.peer is None:
            self.packets.append(packet(packet_header(*self._ports, 0), [chunk_bytes]))
        else:
            self.control.append(chunk_bytes)

    # What the peer does

    def receive_init(self, init: Init, now: float) -> None:
        """Answered from what we are, without remembering it (sections 5.1 B, 5.2.1, 5.2.2)."""
        identity, peer = self.identity, self.peer
        if self.state is State.SHUTDOWN_ACK_SENT:
            self.control.append(chunk(SHUTDOWN_ACK))
            return
        tag, tsn, ties = identity.tag, identity.tsn, (0, 0)
        if peer is not None:
            ties = identity.tag, peer.tag
            if self.state is not State.COOKIE_ECHOED:
                tag, tsn = identity.new_number(), identity.new_number()
        cookie = Cookie(now, tag, tsn, Peer.of(init), ties)
        header = packet_header(*self._ports, init.tag)
        self.packets.append(packet(header, [identity.init_ack_chunk(init, cookie)]))

    def receive_init_ack(self, init: Init, now: float) -> None:
        cookie = init.get(STATE_COOKIE)
        if self.state is not State.COOKIE_WAIT or cookie is None:
            return
        self._meet(Peer.of(init))
        self._start(chunk(COOKIE_ECHO, 0, cookie), MAX_INIT_RETRIES, now)
        self.state = State.COOKIE_ECHOED

    def _meet(self, peer: Peer) -> None:
        self.peer = peer
        self._begin(peer)

    def receive_cookie(self, sealed: bytes, tag: int, now: float) -> None:
        """COOKIE ECHO in a packet with that tag, in every state: the table of section 5.2.4."""
        cookie = Cookie.open(sealed, self.identity.key)
        if cookie is None or cookie.tag != tag or self.state is State.ENDED:
            return
        ours = cookie.tag == self.identity.tag
        same = self.peer is not None and cookie.peer.tag == self.peer.tag
        if cookie.age(now) > COOKIE_SECONDS and not (ours and same):
            self._refuse_stale(cookie, now)
        elif self.state is State.CLOSED or self.state in SETTING_UP:
            if ours:
                self._accept(cookie, same)
        elif ours and same:
            self.control.append(chunk(COOKIE_ACK))
        elif not (ours or same) and self.peer is not None and cookie.ties == (self.identity.tag, self.peer.tag):
            self._restart(cookie)

    def _refuse_stale(self, cookie: Cookie, now: float) -> None:
        microseconds = min(0xFFFFFFFF, int(1e6 * (cookie.age(now) - COOKIE_SECONDS)))
        header = packet_header(*self._ports, cookie.peer.tag)
        self.packets.append(packet(header, [error_chunk(ERROR, STALE_COOKIE, words(microseconds))]))

    def _accept(self, cookie: Cookie, same: bool) -> None:
        if not same:
            self._meet(cookie.peer)
        self.control.append(chunk(COOKIE_ACK))
        self._establish()

    def _restart(self, cookie: Cookie) -> None:
        if self.state is State.SHUTDOWN_ACK_SENT:
            self.control.append(chunk(SHUTDOWN_ACK))
            return
        self.identity.tag, self.identity.tsn = cookie.tag, cookie.tsn
        self._meet(cookie.peer)
        self.control.append(chunk(COOKIE_ACK))
        self._retry = None
        self.state = State.ESTABLISHED
        self._events.append(Restarted())

    def _establish(self) -> None:
        self._retry = None
        self.state = State.ESTABLISHED
        self._events.append(Established())

    def receive_cookie_ack(self, now: float) -> None:
        if self.state is State.COOKIE_ECHOED:
            if self._retry is not None and not self._retry.tries:
                self.round_trip = now - self._retry.began
            self._establish()

    def receive_error(self, value: bytes, now: float) -> None:
        """Only that the cookie was too old matters: we begin again (section 5.2.6)."""
        if self.state is not State.COOKIE_ECHOED or STALE_COOKIE not in (cause for cause, _ in parameters_of(value)):
            return
        self._stale += 1
        if self._stale > MAX_STALE:
            self.end("the peer finds our answers too old")
            return
        self.peer, self.state = None, State.COOKIE_WAIT
        self.control.clear()
        self._start(self.identity.init_chunk(), MAX_INIT_RETRIES, now)

    def receive_abort(self, value: bytes) -> None:
        if self.state is State.CLOSED:
            return
        try:
            text = "; ".join(cause[:200].decode("utf-8", "replace") for _, cause in parameters_of(value) if cause)
        except ValueError:
            text = ""
        self.end(f"the peer has aborted: {text}" if text else "the peer has aborted")

    def receive_shutdown(self, now: float) -> None:
        if self.state in (State.ESTABLISHED, State.SHUTDOWN_PENDING):
            self.state = State.SHUTDOWN_RECEIVED
        elif self.state is State.SHUTDOWN_SENT:
            self._acknowledge_shutdown(now)
        elif self.state is State.SHUTDOWN_ACK_SENT:
            self.control.append(chunk(SHUTDOWN_ACK))

    def _acknowledge_shutdown(self, now: float) -> None:
        self._start(chunk(SHUTDOWN_ACK), MAX_FAILURES, now)
        self.state = State.SHUTDOWN_ACK_SENT

    def receive_shutdown_ack(self) -> None:
        if self.state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT, State.ENDED):  # ENDED: the first answer was lost
            self.control.append(chunk(SHUTDOWN_COMPLETE))
            self.end(None)

    def receive_shutdown_complete(self) -> None:
        if self.state is State.SHUTDOWN_ACK_SENT:
            self.end(None)
