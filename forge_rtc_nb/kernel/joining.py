"""`rtc.join`: finds a way in and keeps this kernel's one `Room` for each room id (runs in the kernel)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from .. import control, protocol
from ..control import Way
from ..errors import Forbidden, SignalingError, Unauthorized
from .discovery import WAY_OUT, candidates, default_runtime_dir
from .room import Room

TICKET_TIMEOUT = 10.0


class Joined:
    """The rooms that this kernel is in. Module state, because a kernel has exactly one set of them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rooms: dict[str, tuple[Room, tuple[str | None, str | None]]] = {}

    def join(self, room_id: str, name: str | None, server: str | None, token: str | None, timeout: float) -> Room:
        ways, missing = candidates(server, token, os.environ, default_runtime_dir)
        with self._lock:
            previous = self._rooms.get(room_id)
            if previous is not None and previous[1] != (server, token):
                previous[0].leave()  # another server's room of that name is another room
                previous = None
            room = Room(room_id, self._left)
            self._enter(room, name or default_name(), ways, missing, timeout)
            self._rooms[room_id] = (room, (server, token))
        if previous is not None:
            previous[0].supersede()
        return room

    def _enter(self, room: Room, name: str | None, ways: list[Way], missing: list[str], timeout: float) -> None:
        if ways:
            try:
                room.enter(lambda req: control.Join(req, room.id, name, ways, timeout), timeout)
                return
            except (SignalingError, Unauthorized, Forbidden) as error:
                missing = [*missing, *str(error).splitlines()]
                if len(ways) == 1 and ways[0].how.startswith("the server="):
                    raise
        if not _in_notebook():
            raise SignalingError(no_way(missing))
        room.wait_for_widget("waiting for the browser to bring this notebook into the room")

    def _left(self, room: Room) -> None:
        with self._lock:
            entry = self._rooms.get(room.id)
            if entry is not None and entry[0] is room:
                del self._rooms[room.id]

    def rooms(self) -> list[Room]:
        """The rooms that this kernel is in."""
        with self._lock:
            return [room for room, _ in self._rooms.values()]

    def forget(self) -> None:
        """In a forked child: it is in none of its parent's rooms."""
        self._lock = threading.RLock()
        self._rooms = {}


joined = Joined()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=joined.forget)


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
    `RoomFull`, `RoomNotFound`, `Forbidden`, `RTCTimeout`, `EngineDied`.

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
    room.enter(lambda req: control.Join(req, room.id, default_name(), ways, TICKET_TIMEOUT), TICKET_TIMEOUT)


def default_name() -> str | None:
    """The notebook's name, where Jupyter tells it (``JPY_SESSION_NAME``); None leaves it to the server."""
    path = os.environ.get("JPY_SESSION_NAME")
    return Path(path).stem or None if path else None


def no_way(tried: list[str]) -> str:
    """What was tried, and what to do."""
    lines = "\n".join(f"  - {line}" for line in tried)
    return f"no way to a Jupyter server with the forge_rtc_nb extension. Tried:\n{lines}\nGive it yourself: {WAY_OUT}"


def _in_notebook() -> bool:
    """True where a widget can be shown."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None
