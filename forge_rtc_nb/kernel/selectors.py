"""Which stream a user means by ``room.camera``, ``room.video(who)`` or ``room.audio(who)`` (runs in the kernel; pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..protocol import MediaKind, Participant, Stream
from .participants import match

Found = tuple[Participant, Stream]


BUTTONS = {"camera": "Camera", "microphone": "Microphone", "screen": "Share screen"}
"""What is to be clicked in the widget."""


@dataclass(frozen=True)
class Own:
    """The camera, microphone or screen switched on last in a tab that shows the notebook of the kernel ``me``."""

    source: Literal["camera", "microphone", "screen"]

    def find(self, records: list[Participant], me: Participant | None) -> Found | None:
        found = [
            (record, stream)
            for record in records
            if shows(record, me)
            for stream in record.streams
            if stream.source == self.source
        ]
        return max(found, key=lambda one: one[1].started, default=None)

    def missing(self, records: list[Participant], me: Participant | None) -> str:
        button = BUTTONS[self.source]
        if any(shows(record, me) for record in records):
            return f"no {self.source} is on: click {button} in the room widget"
        if any(record.kind == "browser" for record in records):
            return (
                f"no browser tab shows this room for this notebook yet: run `room` again (after a restart, too), click {button}"
            )
        return f"no browser tab shows this room yet: display it (`room` on the last line of a cell) and click {button} in it"

    def __str__(self) -> str:
        return self.source


FIRST: dict[MediaKind, str] = {"video": "camera", "audio": "microphone"}
"""What is meant where nothing is named."""


@dataclass(frozen=True)
class Theirs:
    """A stream of the participants that ``who`` names: the named one, else the camera or microphone, else the only one."""

    kind: MediaKind
    who: str
    stream: str | None = None

    def find(self, records: list[Participant], me: Participant | None) -> Found | None:
        streams = self._streams(records)
        if self.stream is not None:
            streams = [found for found in streams if self.stream in (found[1].id, found[1].name)]
        first = [found for found in streams if found[1].source == FIRST[self.kind]]
        if first:
            return max(first, key=lambda found: found[1].started)
        return streams[0] if len(streams) == 1 else None

    def missing(self, records: list[Participant], me: Participant | None) -> str:
        people = match(records, self.who)
        if not people:
            names = ", ".join(repr(record.name) for record in records) or "nobody else"
            return f"no participant {self.who!r}; in the room: {names}"
        streams = self._streams(records)
        wanted = f"no {self.kind} stream {self.stream!r}" if self.stream is not None else f"no {FIRST[self.kind]}"
        if not streams:
            return f"{self.who!r} sends {wanted}, and no other {self.kind}"
        listed = ", ".join(repr(stream.name) for _, stream in streams)
        return f"{self.who!r} sends {wanted}; choose one with room.{self.kind}({self.who!r}, stream=...): {listed}"

    def _streams(self, records: list[Participant]) -> list[Found]:
        people = match(records, self.who)
        # A notebook's name stands for the tabs that show it, too: that is the name its owner has chosen.
        kernels = {record.id for record in people if record.kind == "kernel"}
        people += [record for record in records if kernels.intersection(record.owners) and record not in people]
        return [(r, s) for r in people for s in r.streams if s.kind == self.kind]

    def __str__(self) -> str:
        return f"{self.stream or self.kind} of {self.who!r}"


def shows(tab: Participant, me: Participant | None) -> bool:
    """Whether a tab shows this kernel's notebook. Owners are what the tab says; whose tab it is, the server knows."""
    return me is not None and me.id in tab.owners and tab.user == me.user


Selector = Own | Theirs
