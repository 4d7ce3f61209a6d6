"""Frames that were changed on their way, into the inlets and the queue of a channel: refused, or harmless (test process)."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest

from forge_rtc_nb import arrays, control
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet, Parcel
from forge_rtc_nb.engine.data.violation import Violation
from forge_rtc_nb.engine.incoming import ChannelQueue, SenderStore
from forge_rtc_nb.frames import FrameError, decode, encode
from forge_rtc_nb.kernel.values import unpack
from forge_rtc_nb.protocol import Channel
from tests.unit.data_channels import Buffer

FUZZ = float(os.environ.get("FORGE_RTC_FUZZ", "1"))
MAXBYTES, LIMIT = 300_000, 400_000


class Counted(Buffer):
    """A memory block that notes how much of it was ever asked for."""

    def __init__(self, bodies: Bodies, size: int) -> None:
        super().__init__(size)
        self._bodies = bodies
        bodies.held += size
        bodies.most = max(bodies.most, bodies.held)

    def __del__(self) -> None:
        self._bodies.held -= len(self.data)


class Bodies:
    def __init__(self) -> None:
        self.held = self.most = 0

    def allocate(self, size: int) -> Counted | None:
        return Counted(self, size) if size > control.INLINE else None

    def lend(self, body: bytes | Buffer) -> bytes:
        return body if isinstance(body, bytes) else bytes(body.memory)


class Receiver:
    """A channel of one sender, whose user reads at once."""

    def __init__(self, **options: Any) -> None:
        self.bodies = Bodies()
        bodies: Any = self.bodies
        self.values = self.refused = 0
        channel = Channel(name="c", maxbytes=MAXBYTES, maxsize=8, **options)
        self.queue = ChannelQueue("room", channel, LIMIT, bodies, self._read, lambda: None)
        kind = Inlet if channel.reliable else LossyInlet
        self.inlet = kind(SenderStore(self.queue, "eve"), channel.ordered)
        self.unread: list[int] = []

    def _read(self, message: control.Control) -> None:
        assert isinstance(message, control.Received)
        assert isinstance(message.body, bytes)
        assert len(message.body) == message.size <= LIMIT
        self.unread.append(message.size)
        try:
            unpack(message.header, message.body)
            self.values += 1
        except (arrays.InvalidValue, ImportError):
            self.refused += 1

    def take(self, data: bytes) -> bool:
        """False where it costs the sender the data channel."""
        try:
            self.inlet.receive(decode(data))
            while self.unread:
                self.queue.taken(1, self.unread.pop())
                if isinstance(self.inlet, Inlet):
                    self.inlet.advance()
            while self.inlet.replies:
                encode(self.inlet.replies.popleft())
        except (FrameError, Violation):
            self.refused += 1
            self.inlet.restart()
            return False
        return True


def stream(chance: random.Random) -> list[bytes]:
    """The frames of a few messages, as an honest sender makes them."""
    outlet = Outlet(reliable=False)
    values: list[Any] = ["text", b"x" * 30_000, {"a": [1, 2.5, None]}, bytearray(150_000), [], "Zoë" * 10]
    values += [np.arange(40_000, dtype="<i4"), np.zeros((0, 3)), np.asfortranarray(np.ones((30, 40), ">f8"))]
    for value in chance.choices(values, k=4):
        packed = arrays.pack(value, 1.5)
        outlet.put(Parcel(packed.header, packed.to_bytes(), lambda: None))
    frames = []
    while (frame := outlet.next_frame()) is not None:
        frames.append(encode(frame))
    return frames


def changed(frame: bytes, chance: random.Random) -> bytes:
    """Some of its bytes are others, or missing, or more; most often in the part that says what it is."""
    data = bytearray(frame)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(data), chance.choice([16, 120, len(data)])) or 1)
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.choice([0, 1, 255, chance.randrange(256)])])
            case 1:
                data[at : at + 1] = bytes([(data[at] if at < len(data) else 0) ^ (1 << chance.randrange(8))])
            case 2:
                del data[at : at + chance.randint(1, 8)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case 4:
                data = data[:at] or bytearray(b"\0")
    return bytes(data)


def attack(count: int, seed: int, **options: Any) -> Receiver:
    chance = random.Random(seed)
    receiver = Receiver(**options)
    fed = 0
    while fed < count:
        frames = stream(chance)
        if chance.random() < 0.3:
            frames.insert(chance.randrange(len(frames)), chance.choice(frames))
        if chance.random() < 0.2:
            chance.shuffle(frames)
        for frame in frames:
            fed += 1
            if not receiver.take(changed(frame, chance) if chance.random() < 0.3 else frame):
                break
        receiver.inlet.restart()
    return receiver


KINDS = [
    {"ordered": ordered, "reliable": reliable, "policy": policy}
    for ordered in (True, False)
    for reliable in (True, False)
    for policy in ("block", "drop_oldest")
]


def check(receiver: Receiver) -> None:
    assert receiver.values > 100
    assert receiver.refused > 100
    assert receiver.bodies.most <= 2 * MAXBYTES + LIMIT
    # What was under way is let go; nothing of it counts any more.
    receiver.inlet.restart()
    assert not receiver.queue._coming
    assert receiver.queue.admit("eve", LIMIT)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_changed_frames_are_refused_or_harmless(options: dict[str, Any]) -> None:
    check(attack(max(2000, int(10_000 * FUZZ / len(KINDS))), seed=7, **options))


@pytest.mark.soak
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_great_many_changed_frames_are_refused_or_harmless(options: dict[str, Any]) -> None:
    check(attack(100_000 // len(KINDS), seed=random.randrange(2**32), **options))
