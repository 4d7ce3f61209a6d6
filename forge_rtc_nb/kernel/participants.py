"""Who is in a room, as the notebook's user sees it (runs in the kernel)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .. import protocol


@dataclass(frozen=True)
class Participant:
    """One browser tab or one kernel in a room, as it was when you asked."""

    id: str
    name: str
    """Unique in the room: the server appends " (2)"."""
    kind: Literal["browser", "kernel"]
    user: str
    """Groups one person's kernels and tabs: the Jupyter username."""
    owner: str | None
    """For a tab: the id of the kernel whose notebook it shows (shown last, if it shows several)."""
    audio: bool
    """Its microphone is on."""
    video: bool
    """Its camera is on."""
    screen: bool
    """It shares a screen or window."""
    joined_at: float
    """Unix seconds."""
    state: Literal["connected", "reconnecting"]
    """``reconnecting``: its signaling connection is lost and may come back within the server's ``resume_seconds``."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class StreamInfo:
    """A stream that a participant offers; `Room.video` reads it."""

    participant: Participant
    id: str
    name: str
    kind: Literal["audio", "video"]
    source: Literal["camera", "microphone", "screen", "other"]
    muted: bool
    stalled: bool = False
    """Of a kernel's: it is too busy to give pictures at the moment, the last one stays."""


def participant_of(record: protocol.Participant) -> Participant:
    """The wire's record as users see it."""
    live = {stream.source for stream in record.streams if not stream.muted}
    return Participant(
        id=record.id,
        name=record.name,
        kind=record.kind,
        user=record.user,
        owner=record.owners[-1] if record.owners else None,
        audio="microphone" in live,
        video="camera" in live,
        screen="screen" in live,
        joined_at=record.joined_at,
        state=record.state,
    )


def streams_of(record: protocol.Participant) -> list[StreamInfo]:
    owner = participant_of(record)
    return [StreamInfo(owner, s.id, s.name, s.kind, s.source, s.muted, s.stalled) for s in record.streams]


def match(records: list[protocol.Participant], who: str) -> list[protocol.Participant]:
    """Those that ``who`` names: an id, else a name, else a user, matched in that order."""
    for field in ("id", "name", "user"):
        found = [record for record in records if getattr(record, field) == who]
        if found:
            return found
    return []
