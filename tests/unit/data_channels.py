"""Outlets and inlets joined by a data channel that a test drives frame by frame (test process)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from forge_rtc_nb.engine.data.assembly import Memory
from forge_rtc_nb.engine.data.inlet import Inlet
from forge_rtc_nb.engine.data.lossy import LossyInlet
from forge_rtc_nb.engine.data.outlet import Outlet, Parcel
from forge_rtc_nb.frames import Credit, Frame, Taken, decode, encode

INLINE = 4096


class Buffer:
    """A memory block."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)

    @property
    def memory(self) -> memoryview:
        return memoryview(self.data)

    def commit(self, start: int, end: int) -> None:
        assert 0 <= start < end <= len(self.data)


@dataclass
class Queue:
    """A `Store` of so many messages and bytes; headers are the names of messages, and ``bad`` ones are refused."""

    maxsize: int = 64
    maxbytes: int = 1 << 30
    count: int = 0
    size: int = 0
    messages: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Header and body of what was delivered."""
    named: bool = True

    def check(self, header: bytes, size: int) -> str | None:
        if header == b"bad":
            raise ValueError("it is bad")
        return header.decode() if self.named else ""

    def admit(self, size: int) -> bool:
        if self.count and (self.count >= self.maxsize or self.size + size > self.maxbytes):
            return False
        self.count, self.size = self.count + 1, self.size + size
        return True

    def allocate(self, size: int) -> Memory | None:
        return Buffer(size) if size > INLINE else None

    def deliver(self, header: bytes, size: int, body: Memory | bytes) -> None:
        data = body if isinstance(body, bytes) else bytes(body.memory)
        assert len(data) == size
        self.messages.append((header.strip(b'"'), data))

    def give_up(self, size: int, place: Memory | None) -> None:
        self.count, self.size = self.count - 1, self.size - size

    def read(self) -> None:
        """Somebody reads the oldest message that was not read: its room is free."""
        self.give_up(len(self.messages[-1][1]), None)


class Line:
    """What is under way between an outlet and an inlet. Every frame passes the codec."""

    def __init__(self, outlet: Outlet, inlet: Inlet | LossyInlet) -> None:
        self.outlet = outlet
        self.inlet = inlet
        self.forth: deque[bytes] = deque()
        self.back: deque[bytes] = deque()

    def send(self) -> bool:
        frame = self.outlet.next_frame()
        if frame is not None:
            self.forth.append(encode(frame))
        return frame is not None

    def deliver(self, index: int = 0) -> None:
        """The frame at ``index`` of those under way arrives next."""
        frame = decode(self.forth[index])
        del self.forth[index]
        self.inlet.receive(frame)
        self.collect()

    def collect(self) -> None:
        while self.inlet.replies:
            self.back.append(encode(self.inlet.replies.popleft()))

    def room(self) -> None:
        """Somebody has read: the inlet looks whether what waits has its room now."""
        assert isinstance(self.inlet, Inlet)
        self.inlet.advance()
        self.collect()

    def answer(self) -> None:
        frame = decode(self.back.popleft())
        assert isinstance(frame, Taken | Credit)
        self.outlet.receive(frame)

    def reconnect(self) -> None:
        """The data channel is gone with all that was under way, and a new one is there."""
        self.forth.clear()
        self.back.clear()
        self.outlet.restart()
        self.inlet.restart()

    def flow(self) -> None:
        """Everything that can move does."""
        moved = True
        while moved:
            moved = self.send()
            while self.forth:
                self.deliver()
                moved = True
            while self.back:
                self.answer()
                moved = True


def parcel(name: str, size: int = 0) -> tuple[Parcel, list[str]]:
    """A message of that name, with a body that no other has, and the list that its end is noted in."""
    ends: list[str] = []
    return Parcel(f'"{name}"'.encode(), body_of(name, size), lambda: ends.append("done")), ends


def body_of(name: str, size: int) -> bytes:
    pattern = (name + ":").encode()
    return (pattern * (size // len(pattern) + 1))[:size]


def frames_of(*frames: Frame) -> list[Frame]:
    """As they come out of the codec."""
    return [decode(encode(frame)) for frame in frames]
