"""What a room's participants and streams are right now, and what each message of the engine changed (runs in the kernel)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .. import control, protocol
from ..control_stream import Message
from ..errors import PeerNotFound
from .participants import Participant, match, participant_of, streams_of

Event = tuple[str, Any]
"""An event's name and its argument, as `Room.on` hands it out."""


ENDS = ("left", "closed")
"""States that nothing follows."""


class Directory:
    """Thread-safe mirror of the room; `wait` blocks until something in it is as you want it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state = "joining"
        self.me: protocol.Participant | None = None
        self.server_id = ""
        """Public id of the server; empty while it is not known."""
        self._others: dict[str, protocol.Participant] = {}
        self._limits: protocol.Limits | None = None

    @property
    def state(self) -> str:
        return self._state

    def set_state(self, state: str) -> list[Event]:
        with self._changed:
            before = self._state
            if before not in ENDS:  # an answer of the engine may still be on its way
                self._state = state
            # Also where it was that already: who waits looks at more than the state.
            self._changed.notify_all()
        return [("state", state)] if self._state != before else []

    def others(self) -> list[protocol.Participant]:
        with self._changed:
            return list(self._others.values())

    def everybody(self) -> list[protocol.Participant]:
        """Me first, where I am in."""
        with self._changed:
            return ([self.me] if self.me is not None else []) + list(self._others.values())

    @property
    def limits(self) -> protocol.Limits:
        """What the server allows. Only for who is in the room, or was."""
        assert self._limits is not None
        return self._limits

    def find(self, participant_id: str) -> protocol.Participant | None:
        """One of the others, by id."""
        with self._changed:
            return self._others.get(participant_id)

    def named(self, who: object, channel: str) -> list[protocol.Participant]:
        """Those of the others that ``who`` means (a participant, an id, a name or a user) who have that channel open.

        `PeerNotFound` where there is none, with what to do.
        """
        name = who.id if isinstance(who, Participant) else who
        if not isinstance(name, str):
            raise TypeError(f"to names participants by id, name or user, not {who!r}")
        others = self.others()
        found = match(others, name)
        opened = [record for record in found if any(c.name == channel for c in record.channels)]
        if not opened:
            there = ", ".join(repr(r.name) for r in others if any(c.name == channel for c in r.channels)) or "nobody"
            what = f"has not opened channel {channel!r}" if found else "is not in the room"
            raise PeerNotFound(f"{name!r} {what}; who has it open: {there}")
        return opened

    def wait(self, ready: Callable[[], Any], timeout: float | None) -> Any:
        """Block until ``ready()`` is true, and return what it gave; false after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(ready, timeout)

    def apply(self, message: Message) -> list[Event]:
        """Take over what the engine tells; returns the events that it means."""
        with self._changed:
            events = self._apply(message)
            self._changed.notify_all()
        return events

    def _apply(self, message: Message) -> list[Event]:
        match message:
            case control.Welcomed(me=me, participants=participants, server=server, limits=limits):
                self.me, self.server_id, self._limits = me, server, limits
                return [event for record in participants for event in self._put(record)]
            case control.ParticipantJoined(participant=record) | control.ParticipantUpdated(participant=record):
                return self._put(record)
            case control.ParticipantLeft(participant_id=participant_id):
                return self._remove(participant_id)
            case control.RoomState(state=state):
                return self.set_state(state)
        return []

    def _put(self, record: protocol.Participant) -> list[Event]:
        before = self._others.get(record.id)
        self._others[record.id] = record
        new_streams = {stream.id: stream for stream in streams_of(record)}
        old_streams = {stream.id: stream for stream in streams_of(before)} if before is not None else {}
        events: list[Event] = [("updated" if before is not None else "joined", participant_of(record))]
        events += [("stream", new_streams[key]) for key in new_streams if key not in old_streams]
        events += [("stream-ended", old_streams[key]) for key in old_streams if key not in new_streams]
        return [] if before == record else events

    def _remove(self, participant_id: str) -> list[Event]:
        record = self._others.pop(participant_id, None)
        if record is None:
            return []
        ended: list[Event] = [("stream-ended", stream) for stream in streams_of(record)]
        return [*ended, ("left", participant_of(record))]
