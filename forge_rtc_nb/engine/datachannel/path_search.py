"""How large a packet the path carries: packetization layer path MTU discovery, RFC 8899; pure (engine process).

Only between two ends that have announced that they take larger packets. All sizes that may be of use are probed at once, the
largest that arrives is used. At the first sign of trouble packets are small again: it may be a black hole (section 4.3).
"""

from __future__ import annotations

from typing import Final, Protocol

BASE: Final = 1192
"""What every path carries: with what DTLS, UDP and IPv6 add, less than the 1280 bytes of IPv6 (RFC 8200 section 5)."""
LARGEST: Final = 16_208
"""A DTLS record holds 2^14 bytes (RFC 6347 section 4.1); four of these go in one system call."""
BROWSERS: Final = 2_040
"""Chromium reads a record into 2048 bytes, and ends the connection over more (kMaxDtlsPacketLen of libwebrtc)."""
SIZES: tuple[int, ...] = (LARGEST, 8_880, BROWSERS, 1_392)
"""Loopback and its like; Ethernet's jumbo frames of 9000; a browser; Ethernet's 1500. IPv6, UDP, TURN and DTLS add 89."""

ROUNDS: Final = 3
"""MAX_PROBES of RFC 8899 section 5.1.2."""
PROBE_TIMER: Final = 1.0
"""Seconds that an answer may take. The RFC proposes 15: here nothing waits for it."""
RAISE_TIMER: Final = 600.0
"""Seconds until larger sizes are tried again (section 5.1.1)."""
FIRST_PAUSE: Final = 5.0
"""Seconds until sizes are tried again after a trouble, which may have been another; doubles up to `RAISE_TIMER`."""


class Sized(Protocol):
    """The association."""

    packet_size: int

    def probe(self, size: int) -> None: ...


class Path(Protocol):
    """The socket below it."""

    def never_fragment(self) -> bool:
        """From now on packets arrive whole or not at all; False where the system cannot do that: then there is no search."""

    def fragment_if_known(self) -> None:
        """As ever: the system cuts what is larger than it knows the path to carry."""

    def may_fragment(self) -> None:
        """From now on routers, too, may cut packets."""


class PathSearch:
    """Begins with `begin`; `at` is when `on_timer` must be called."""

    def __init__(self, association: Sized, path: Path) -> None:
        self._association = association
        self._path = path
        self._most = BASE
        self._rounds = 0
        self._pause = FIRST_PAUSE
        self.at: float | None = None

    def begin(self, most: int, now: float) -> None:
        """The peer takes packets of ``most`` bytes; now, or again as the path is another one."""
        self._most = min(most, LARGEST)
        self._pause = FIRST_PAUSE
        self._shrink()
        self._rounds = 0
        self.at = now if self._larger else None

    @property
    def _larger(self) -> list[int]:
        return [size for size in SIZES if self._association.packet_size < size <= self._most]

    def _shrink(self) -> None:
        if self._association.packet_size > BASE:
            self._association.packet_size = BASE
            self._path.may_fragment()  # what was sent in larger packets can only be sent again as it is (RFC 9260 section 6.9)

    def on_timer(self, now: float) -> None:
        """Send the next probes, where it is time."""
        if self.at is None or self.at > now:
            return
        if not self._rounds and not self._path.never_fragment():
            self.at = None
            return
        if self._rounds == ROUNDS:
            self._rounds, self.at = 0, now + RAISE_TIMER
            self._path.fragment_if_known()
            return
        self._rounds += 1
        self.at = now + PROBE_TIMER
        for size in self._larger:
            self._association.probe(size)

    def acknowledged(self, size: int) -> None:
        """A probe has arrived."""
        if self.at is None or size not in self._larger:
            return
        self._association.packet_size = size
        if not self._larger:
            self.at = None
            self._path.fragment_if_known()

    def unanswered(self, now: float) -> None:
        """What was sent is not acknowledged in time (T3 of RFC 9260): perhaps the path does not carry such packets any more."""
        if self._association.packet_size > BASE:
            self._shrink()
            self._rounds, self.at = 0, now + self._pause
            self._pause = min(2 * self._pause, RAISE_TIMER)
