"""Messages whose bytes follow from their channel and number, and what of them has to arrive (test process)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

TINY, SMALL, LARGE = 1, 900, 16_000
"""Bytes: less than a packet, about one, many."""


@dataclass(frozen=True)
class Channel:
    """One data channel of a test; ``opener`` is the end that announces it."""

    label: str
    ordered: bool = True
    reliable: bool = True
    protocol: str = ""
    opener: str = "near"

    def wanted(self) -> dict[str, Any]:
        """As JSON for an end."""
        return {**asdict(self), "maxRetransmits": None if self.reliable else 0}


def sixteen() -> list[Channel]:
    """Four of each kind; each end opens half of them."""
    kinds = [(ordered, reliable) for ordered in (True, False) for reliable in (True, False)]
    return [
        Channel(f"{number}", ordered, reliable, opener=("near", "far")[number % 2])
        for number, (ordered, reliable) in enumerate(kind for kind in kinds for _ in range(4))
    ]


def messages(channel: Channel, way: str, count: int) -> list[bytes]:
    """``count`` of different sizes, ``way`` says from which end; the same each time, and each one different."""
    made = []
    for number in range(count):
        chance = random.Random(f"{channel.label} {way} {number}")
        size = chance.randrange(TINY, LARGE if number % 4 == 0 else SMALL)
        made.append(f"{channel.label} {way} {number} ".encode() + chance.randbytes(size))
    return made


def check(channel: Channel, sent: Sequence[bytes], got: Sequence[bytes]) -> None:
    """Each message that came is one that was sent, whole, and came once; in order where that is promised."""
    numbers = {sha256(message).hexdigest(): number for number, message in enumerate(sent)}
    arrived = [numbers.get(sha256(message).hexdigest(), -1) for message in got]
    assert -1 not in arrived, f"{channel}: a message came that was never sent"
    assert len(set(arrived)) == len(arrived), f"{channel}: a message came twice"
    if channel.ordered:
        assert arrived == sorted(arrived), f"{channel}: out of order"
    if channel.reliable:
        assert len(arrived) == len(sent), f"{channel}: {sorted(set(range(len(sent))) - set(arrived))} are missing"
