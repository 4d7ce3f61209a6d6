"""`rtc.join`: finds a way in and keeps this kernel's one `Room` for each room id (runs in the kernel)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from .. import control, protocol
from ..control import Way
from ..errors import Forbidden, RTCError, SignalingError, Unauthorized
from .discovery import WAY_OUT, candidates, default_runtime_dir
from .notebook import in_notebook
from .room import Room

TICKET_TIMEOUT = 10.0


class Joined:
    """The rooms that this kernel is in. Module state, because a kernel has exactly one set of them."""

    def __init__(self) -> None:
        self.forget()

    def join(self, room_id: str, name: str | None, server: str | None, token: str | None, timeout: float) -> Room:
        ways, missing = candidates(server, token, os.environ, default_runtime_dir)
        with self._turn:
            previous = self._previous(room_id, (server, token))
            # Who gave no name keeps the present one: another name would be another participant.
            name = name or (previous.wanted_name if previous is not None else default_name())
            room = Room(room_id, self._left, name)
            try:
                entered = self._enter(room, ways, missing, timeout)
            except RTCError:
                if previous is not None:
                    previous.leave()  # the engine gave its place up, or is gone
                raise
            with self._lock:
                self._rooms[room_id] = (room, (server, token))
        if previous is not None:
            previous.supersede(room)
        if not entered:
            room.wait_for_widget("waiting for the browser to bring this notebook into the room")
        return room

    def _previous(self, room_id: str, where: tuple[str | None, str | None]) -> Room | None:
        """The handle that a new one takes over from."""
        with self._lock:
            room, is_at = self._rooms.get(room_id, (None, where))
        if room is not None and is_at != where:
            room.leave()  # another server's room of that name is another room
            return None
        return room

    def _enter(self, room: Room, ways: list[Way], missing: list[str], timeout: float) -> bool:
        """False where a ticket from the browser is the only way left."""
        try:
            # Without a way, too: an engine that is in the room by a ticket needs none.
            if ways or room.id in {other.id for other in self.rooms() if other.state != "waiting"}:
                room.enter(lambda req: control.Join(req, room.id, room.wanted_name, ways, timeout), timeout)
                return True
        except (SignalingError, Unauthorized, Forbidden) as error:
            missing = [*missing, *str(error).splitlines()]
            if len(ways) == 1 and ways[0].how.startswith("the server="):
                raise
        if not in_notebook():
            raise SignalingError(no_way(missing))
        return False

    def _left(self, room: Room) -> None:
        with self._lock:
            entry = self._rooms.get(room.id)
            if entry is not None and entry[0] is room:
                del self._rooms[room.id]

    def rooms(self) -> list[Room]:
        """The rooms that this kernel is in."""
        with self._lock:
            return [room for room, _ in self._rooms.values()]

    def abandon(self) -> None:
        """In a forked child: it is in none of its parent's rooms."""
        for room, _ in self._rooms.values():
            room.abandon()
        self.forget()

    def forget(self) -> None:
        """Begin with no room, and with locks that nobody holds."""
        # Two locks: the engine's reader thread takes rooms off the list, also while a join waits for that thread.
        self._turn = threading.RLock()
        self._lock = threading.Lock()
        self._rooms: dict[str, tuple[Room, tuple[str | None, str | None]]] = {}


joined = Joined()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=joined.abandon)


def join(
    room_id: str,
    *,
    name: str | None = None,
    server: str | None = None,
    token: str | None = None,
    timeout: float = 10.0,
) -> Room:
    """Make this kernel a participant of a room; the room is created where you may.

    ``room_id`` is 1 to 64 characters out of ``A-Z a-z 0-9 . _ -``. ``name`` is what others see (default: the notebook's name).
    ``server`` is the URL of a Jupyter server with this extension, with ``?token=`` as Jupyter prints it, or with ``token``
    (default: the environment's ``FORGE_RTC_TOKEN``); without it the kernel finds its own server. ``timeout`` in seconds.

    Where the kernel finds no way to its server, the room's ``state`` is ``"waiting"`` until its widget is shown: the browser
    brings it in. Joining a room again keeps this participant and the widget's camera; the earlier `Room` ends.

    Errors: `InvalidRoomId`, `InvalidConfig` (``server`` is no URL), `SignalingError` (no way in; it lists what was tried),
    `Unauthorized` or `Forbidden` (``server`` does not let you in), `RoomFull`, `RoomNotFound`, `RTCTimeout`, `EngineDied`.

    >>> room = rtc.join("meeting-123")
    >>> room.camera.latest().array.shape
    (720, 1280, 3)
    """
    protocol.check_room_id(room_id)
    if not timeout > 0:
        raise ValueError(f"timeout is a number of seconds above 0, not {timeout!r}")
    return joined.join(room_id, name, server, token, timeout)


def enter_by(room: Room, ways: list[Way]) -> None:
    """Complete a ``waiting`` room with what the browser gave."""
    room.enter(lambda req: control.Join(req, room.id, room.wanted_name, ways, TICKET_TIMEOUT), TICKET_TIMEOUT)


def default_name() -> str | None:
    """The notebook's name, where Jupyter tells it (``JPY_SESSION_NAME``); None leaves it to the server."""
    path = os.environ.get("JPY_SESSION_NAME")
    return Path(path).stem or None if path else None


def no_way(tried: list[str]) -> str:
    """What was tried, and what to do."""
    lines = "\n".join(f"  - {line}" for line in tried)
    return f"no way to a Jupyter server with the forge_rtc_nb extension. Tried:\n{lines}\nGive it yourself: {WAY_OUT}"
