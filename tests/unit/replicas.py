"""Participants with replicas of the shared mapping, and what is under way between them, driven by a test (test process)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from itertools import permutations
from typing import Any

from forge_rtc_nb.engine.data.replica import Change, Replica
from forge_rtc_nb.engine.data.replica_peer import Body
from forge_rtc_nb.engine.data.replica_wire import Version

LIMIT = 1 << 30
BYTES = b'{"kind":"bytes","time":1.0}'

Shown = dict[str, tuple[bytes, str]]
"""Key -> body and writer."""


class Participant:
    """Holds a replica and follows its changes, as a kernel does."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self.changes: list[Change] = []
        self.shown: Shown = {}
        self.replica = Replica(name, limit, self._changed)

    def _changed(self, change: Change) -> None:
        self.changes.append(change)
        if change.header is None:
            del self.shown[change.key]
        else:
            self.shown[change.key] = (data_of(change.body), change.writer)

    def write(self, key: str, body: bytes = b"") -> None:
        self.replica.write(key, BYTES, len(body), body, 1.0)

    @property
    def entries(self) -> Shown:
        return {change.key: (data_of(change.body), change.writer) for change in self.replica.entries()}

    @property
    def versions(self) -> dict[str, tuple[Version, bytes | None]]:
        """Everything that is here, deleted keys too."""
        return {key: (held.version, None if held.deleted else data_of(held.body)) for key, held in self.replica._held.items()}


class Room:
    """Messages of one pair arrive in order; a value's begins before it is whole, and other things may happen in between."""

    def __init__(self, *names: str, limit: int = LIMIT) -> None:
        self.limit = limit
        self.participants: dict[str, Participant] = {}
        self.links: dict[tuple[str, str], deque[tuple[bytes, Body]]] = {}
        self.begun: dict[tuple[str, str], bool] = {}
        """Whether the body of the message that has begun to arrive is needed."""
        for name in names:
            self.join(name)
        self.heal()

    def __getitem__(self, name: str) -> Participant:
        return self.participants[name]

    def join(self, name: str) -> None:
        self.participants[name] = Participant(name, self.limit)

    def leave(self, name: str) -> None:
        for other in list(self.participants):
            self.cut(name, other)
        del self.participants[name]

    def link(self, one: str, other: str) -> None:
        self.cut(one, other)
        for a, b in permutations((one, other)):
            self.links[a, b] = deque()
            self[a].replica.connect(b)

    def cut(self, one: str, other: str) -> None:
        for a, b in permutations((one, other)):
            if self.links.pop((a, b), None) is not None:
                self.begun.pop((a, b), None)
                self[a].replica.disconnect(b)

    def heal(self) -> None:
        for pair in permutations(self.participants, 2):
            if pair not in self.links:
                self.link(*pair)

    def send(self, one: str, other: str) -> bool:
        message = self[one].replica.next_message(other)
        if message is not None:
            self.links[one, other].append(message)
        return message is not None

    def begin(self, one: str, other: str) -> None:
        link = self.links[one, other]
        if link and (one, other) not in self.begun:
            header, body = link[0]
            self.begun[one, other] = self[other].replica.check(one, header, len(data_of(body)))

    def deliver(self, one: str, other: str) -> None:
        self.begin(one, other)
        link = self.links[one, other]
        if link:
            header, body = link.popleft()
            needed = self.begun.pop((one, other))
            self[other].replica.receive(one, header, len(data_of(body)), body if needed else b"")

    def flow(self) -> None:
        """Everything that can move does."""
        moved = True
        while moved:
            moved = False
            for one, other in list(self.links):
                moved = self.send(one, other) or moved
                while self.links[one, other]:
                    self.deliver(one, other)
                    moved = True


def data_of(body: Body) -> bytes:
    return bytes(body if isinstance(body, bytes | memoryview) else body.memory)


def say(kind: str, **fields: Any) -> bytes:
    """The header of a message."""
    return json.dumps({"kind": kind, **fields}).encode()


def entry(key: str, clock: int, writer: str, size: int | None = None) -> dict[str, Any]:
    """An entry of a value of so many bytes; None: the key was deleted."""
    fields: dict[str, Any] = {"key": key, "clock": clock, "writer": writer, "time": 1.0}
    return fields if size is None else {**fields, "value": json.loads(BYTES), "size": size}


def have(entries: Iterable[dict[str, Any]], last: bool = False) -> bytes:
    return say("have", entries=list(entries), last=last)


def want(key: str, clock: int, writer: str) -> bytes:
    return say("want", key=key, clock=clock, writer=writer)


def value(key: str, clock: int, writer: str) -> bytes:
    return say("value", key=key, clock=clock, writer=writer, value=json.loads(BYTES))


def gone(key: str, clock: int, writer: str) -> bytes:
    return say("gone", key=key, clock=clock, writer=writer)


def want_of(replica: Replica, peer: str) -> str | None:
    """The key that is asked of a peer next."""
    while (message := replica.next_message(peer)) is not None:
        header = json.loads(message[0])
        if header["kind"] == "want":
            return str(header["key"])
    return None


def kinds(room: Room, one: str, other: str) -> list[str]:
    """What the one sends to the other until there is nothing more; all of it arrives."""
    kinds = []
    while room.send(one, other):
        kinds.append(json.loads(room.links[one, other][-1][0])["kind"])
        room.deliver(one, other)
    return kinds
