"""The room widget's kernel side: what it shows, and the tickets it exchanges with the page (runs in the kernel)."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from .control import Way
from .errors import RTCError

if TYPE_CHECKING:
    from .kernel.room import Room

logger = logging.getLogger("forge_rtc_nb")
STATIC = Path(__file__).parent / "static"


class RoomWidget(anywidget.AnyWidget):
    """Shows a room: tiles, people, camera and microphone. Made by ``room.widget``; no trait holds a secret."""

    _esm = STATIC / "widget.js"
    _css = STATIC / "widget.css"

    room_id = traitlets.Unicode().tag(sync=True)
    kernel_id = traitlets.Unicode().tag(sync=True)
    server_id = traitlets.Unicode().tag(sync=True)
    """The room's server: a page of another server must not take its own room of that name for this one."""
    status = traitlets.Unicode("joined").tag(sync=True)
    detail = traitlets.Unicode().tag(sync=True)

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taking = threading.Lock()
        super().__init__(room_id=room.id, status=_status(room.state), **_identity(room))
        self.on_msg(self._received)

    def follow(self, room: Room) -> None:
        """Show this handle of the same room from now on, in every cell where the widget stands already."""
        self._room = room
        self.show_state(room.state)

    def show_state(self, state: str, detail: str = "") -> None:
        """Tell the page how the kernel's side of the room is, as `Room.state` has it; called in any thread."""
        with self.hold_sync():
            for name, value in _identity(self._room).items():
                setattr(self, name, value)
            self.status, self.detail = _status(state), detail

    def _received(self, _widget: Any, content: Any, _buffers: Any) -> None:
        kind = content.get("type") if isinstance(content, dict) else None
        if kind == "ticket.request":
            self._in_background(self._give_ticket)
        elif kind == "ticket.offer" and self.status == "waiting":
            ways = _ways(content)
            self._in_background(lambda: self._take_ticket(ways))

    def _in_background(self, work: Any) -> None:
        # A message handler that waits would hold up every other message to this kernel.
        threading.Thread(target=work, name="forge-rtc-ticket", daemon=True).start()

    def _give_ticket(self) -> None:
        try:
            self.send({"type": "ticket", **self._room.ticket()})
        except Exception as error:
            self.send({"type": "ticket.refused", "message": _words(error)})

    def _take_ticket(self, ways: list[Way]) -> None:
        # Each cell that shows the room offers one, and each that went in would be a participant.
        if self._taking.acquire(blocking=False):
            try:
                self._enter_by(ways)
            finally:
                self._taking.release()

    def _enter_by(self, ways: list[Way]) -> None:
        from .kernel.joining import enter_by

        if self._room.state != "waiting":
            return
        try:
            enter_by(self._room, ways)
        except Exception as error:
            who = "the server refused this notebook" if isinstance(error, RTCError) else "this notebook could not enter"
            words = _words(error)
            if self._room.state == "waiting":
                self.show_state("waiting", f"{who}: {words}")
                self.send({"type": "offer.refused"})  # the page offers another one, after a while


def _words(error: Exception) -> str:
    """What the page shows of a failure; one that we did not foresee (no memory, no process) is logged as well."""
    if isinstance(error, RTCError):
        return str(error)
    logger.error("a ticket could not be exchanged with the page", exc_info=error)
    return f"{type(error).__name__}: {error}"


def _ways(offer: dict[str, Any]) -> list[Way]:
    """The server as the page reaches it, then as it calls itself: behind a proxy only the page knows the right address.

    A ticket that came over https is not sent in clear text.
    """
    urls = dict.fromkeys(str(offer[key]) for key in ("browser_url", "url") if offer.get(key))
    if any(url.startswith("https:") for url in urls):
        urls = dict.fromkeys(url for url in urls if url.startswith("https:"))
    return [Way("a ticket from the browser", url, ticket=str(offer.get("ticket"))) for url in urls]


def _status(state: str) -> str:
    """The page's word for a `Room.state`."""
    return {"closed": "error", "joining": "waiting"}.get(state, state)


def _identity(room: Room) -> dict[str, str]:
    """The kernel as a participant, and of which server; empty while it is none."""
    try:
        return {"kernel_id": room.me.id, "server_id": room.server_id}
    except RTCError:
        return {}
