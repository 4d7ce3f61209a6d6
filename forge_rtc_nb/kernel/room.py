"""The room as the notebook's user holds it (runs in the kernel)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import control
from ..control_stream import Message
from ..errors import ConnectionFailed, EngineDied, NotInRoom, RTCError, RTCTimeout
from .callbacks import Callbacks
from .channels import Channel
from .directory import Directory, Event
from .engine_client import ANSWER, FORKED, EngineClient, engines
from .participants import Participant, StreamInfo, match, participant_of, streams_of
from .publishing.publications import Publications
from .room_data import RoomData, options_of
from .room_media import RoomMedia
from .room_streams import RoomStreams
from .shared import SharedMapping

if TYPE_CHECKING:
    from ..widget import RoomWidget

LEAVE_TIMEOUT = 5.0


class Room(RoomMedia):
    """A room that this kernel is in; made by `join`. Showing it at the end of a cell shows the room widget.

    Joining the same room again makes a new `Room`, and this one raises `NotInRoom` from then on.

    >>> room = rtc.join("meeting-123")
    >>> room                                    # the widget: click Camera
    >>> room.camera.latest()                    # the newest frame of the camera in this notebook's tab
    >>> room.participants                       # who is here
    >>> room.video("their name").latest()       # somebody else's camera
    >>> room.on("joined", print)                # call a function when somebody comes
    >>> room.wait_for(2)                        # until two participants are here
    >>> room.leave()
    """

    def __init__(self, room_id: str, left: Callable[[Room], None], name: str | None = None) -> None:
        self._id = room_id
        self.wanted_name = name
        """What `join` was asked for; the server may have added " (2)"."""
        self._left = left
        self._end_lock = threading.Lock()
        self._directory = Directory()
        self._callbacks = Callbacks()
        self._client: EngineClient | None = None
        self._data = RoomData(room_id, self._directory, self._callbacks, self._entered)
        self._over: RTCError | None = None
        self._streams = RoomStreams(room_id, self._directory, self._entered, lambda: self._over, self._data.report)
        self._publications = Publications(room_id, self._entered, self._data.report)
        self._widget: RoomWidget | None = None

    @property
    def id(self) -> str:
        """The room's id, as in ``join``."""
        return self._id

    @property
    def state(self) -> str:
        """``joined``; ``reconnecting`` while the server is away (media flows on); ``waiting`` until the widget brings us in;
        ``left`` after `leave` or a later `join`; ``closed`` where the server or the engine ended it."""
        return self._directory.state

    @property
    def me(self) -> Participant:
        """This kernel as the others see it. `NotInRoom` while ``waiting``."""
        self._check()
        if self._directory.me is None:
            raise NotInRoom("this kernel is not in the room yet: show the room's widget, it brings it in")
        return participant_of(self._directory.me)

    @property
    def participants(self) -> list[Participant]:
        """Everybody in the room, this kernel first."""
        self._check()
        return [participant_of(record) for record in self._directory.everybody()]

    @property
    def streams(self) -> list[StreamInfo]:
        """What the others send, or would send to whoever reads it."""
        self._check()
        return [stream for record in self._directory.others() for stream in streams_of(record)]

    def channel(
        self,
        name: str,
        *,
        ordered: bool = True,
        reliable: bool = True,
        maxsize: int = 64,
        maxbytes: int = 256 * 1024 * 1024,
        policy: str = "block",
    ) -> Channel:
        """Open a channel: who opens one of the same name gets what you send, and you what they send.

        ``maxsize`` messages and ``maxbytes`` bytes may wait at each receiver; what a full queue does is its ``policy``:
        ``"block"`` lets `Channel.send` wait, ``"drop_oldest"`` drops the oldest there. With ``reliable=False`` what the network
        loses is not sent again, and of each sender only the newest message waits; with ``ordered=False`` nothing waits for
        what is late (W3C WebRTC 1.0, RTCDataChannelInit). Everybody opens a channel with the same options.

        Errors: `ChannelOptions` (others have it open with other options), `ValueError`, `NotInRoom`, `RTCTimeout`.
        """
        options = options_of(name, ordered=ordered, reliable=reliable, maxsize=maxsize, maxbytes=maxbytes, policy=policy)
        return self._data.open(options)

    @property
    def channels(self) -> list[Channel]:
        """The channels that are open here."""
        self._check()
        return self._data.channels

    @property
    def shared(self) -> SharedMapping:
        """Values that everybody in the room sees: ``room.shared["w"] = array``. Errors: `NotInRoom`, `RTCTimeout`."""
        self._check()
        return self._data.shared

    def wait_for(self, who: str | int, timeout: float | None = 10.0) -> list[Participant]:
        """Block until they are there, and return them: a participant's id, name or user, or a number of participants
        (this kernel counts). `RTCTimeout` after ``timeout`` seconds, `NotInRoom` where the room ends meanwhile."""
        self._check()
        if who == "":
            raise ValueError("who is the id, the name or the user of somebody, or a number of participants; '' is nobody's")
        found = self._directory.wait(lambda: self._over or self._present(who), timeout)
        if self._over is not None:
            raise self._over.again()
        if not found:
            names = ", ".join(repr(p.name) for p in self.participants)
            raise RTCTimeout(f"waited {timeout:g} s for {who!r}; in the room: {names}")
        return [participant_of(record) for record in found]

    def on(self, event: str, function: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Call ``function`` at each ``event``; also a decorator, ``@room.on("joined")``.

        Events and their argument: ``joined``, ``left``, ``updated`` (`Participant`), ``stream``, ``stream-ended``
        (`StreamInfo`), ``state`` (the new state), ``error`` (the exception). All run in one thread, in order, and may call
        anything.
        """
        if function is None:
            return lambda f: self.on(event, f)
        self._check()
        self._callbacks.on(event, function)
        return function

    def leave(self) -> None:
        """Leave the room: streams end, the widget's tab leaves too, and the engine ends with its last room. Idempotent."""
        if self._over is not None:
            return
        client = self._client
        # First, as the engine may use their memory again once we are out.
        self._publications.end(NotInRoom(f"you left room {self._id!r}; join it again"))
        if client is not None and client.alive:
            with contextlib.suppress(RTCError):  # this handle is of no use below either way
                client.request(lambda req: control.Leave(req, self._id), LEAVE_TIMEOUT)
        self._finish(NotInRoom(f"you left room {self._id!r}; join it again"), "left")
        self._callbacks.join()

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def __repr__(self) -> str:
        count = len(self._directory.everybody())
        return f"<Room {self._id!r}: {self.state}, {count} participant{'' if count == 1 else 's'}>"

    @property
    def widget(self) -> RoomWidget:
        """The anywidget that shows this room."""
        if self._widget is None:
            from ..widget import RoomWidget

            self._widget = RoomWidget(self)
        return self._widget

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)

    # What follows is for the kernel's other parts.

    @property
    def server_id(self) -> str:
        """Which server the room is on; empty while it is not known."""
        return self._directory.server_id

    def enter(self, message: Callable[[int], control.Join], timeout: float) -> None:
        """Go in, by the engine; raises what the server said. An older handle's place is taken over."""
        client = engines.acquire()
        before = client.listen(self._id, self)
        try:
            client.request(message, timeout + ANSWER)
        except BaseException:
            client.unlisten(self._id, self, before)
            if before is None:
                self._withdraw(client)
            client.release()
            raise
        with self._end_lock:
            if self._over is None:
                self._client = client
                return
        # Left while a ticket was being taken, or closed by the server at once.
        self._withdraw(client)
        client.release()
        raise self._over.again()

    def _withdraw(self, client: EngineClient) -> None:
        """Nobody holds what the engine may just be entering (a join that was interrupted): it must not stay there."""
        client.unlisten(self._id, self)
        if client.alive:
            with contextlib.suppress(RTCError):
                client.send(control.Leave(0, self._id))

    def wait_for_widget(self, detail: str) -> None:
        """No way in but a ticket from the browser."""
        self._emit(self._directory.set_state("waiting"))
        self.widget.show_state("waiting", detail)

    def supersede(self, successor: Room) -> None:
        """A later `join` of the same room takes over, also what is shown of it: those cells go on with ``successor``."""
        widget, self._widget = self._widget, None
        self._finish(
            NotInRoom(
                f"room {self._id!r} was joined again: use the new Room, and take your streams from it anew (cam = room.camera)"
            ),
            "left",
        )
        self._callbacks.join()
        if widget is not None:
            successor._widget = widget
            widget.follow(successor)

    def abandon(self) -> None:
        """In a forked child of the kernel: the parent's room goes on without this copy of it."""
        self._over = RTCError(FORKED)
        self._data.abandon(self._over)
        self._publications.abandon(self._over)

    def ticket(self) -> dict[str, str]:
        """A ticket for a tab that has no way of its own to the server."""
        self._check()
        ticket = self._entered().request(lambda req: control.TicketRequest(req, self._id, self.me.id), 6.0)
        return dict(ticket)

    def on_engine(self, message: Message) -> None:
        """An event of the engine, in its reader thread."""
        self._emit(self._directory.apply(message))
        self._data.on_engine(message)
        self._publications.on_engine(message)
        if isinstance(message, control.PeerFault):
            self._failed(message)
        elif isinstance(message, control.RoomState):
            if message.state == "closed":
                self._finish(NotInRoom(f"room {self._id!r} is closed: {message.detail}"), "closed", detail=message.detail)
            elif self._widget is not None and self._over is None:
                self._widget.show_state(message.state, message.detail)

    def on_data(self, message: control.Received | control.SharedChanged, body: bytes | memoryview) -> None:
        """A message of a channel, or a shared value, in the engine's reader thread."""
        self._data.on_data(message, body)

    def on_engine_died(self, error: EngineDied) -> None:
        self._callbacks.emit("error", error)
        self._finish(error, "closed", detail=str(error))

    def _failed(self, fault: control.PeerFault) -> None:
        names = {record.id: record.name for record in self._directory.others()}
        name = names.get(fault.participant_id, fault.participant_id)
        text = f"no connection to {name!r} ({fault.message}); trying again. Across networks this needs a TURN server."
        error = ConnectionFailed(text)
        if self._client is not None:
            self._client.blame(self._id, fault.participant_id, error)
        self._callbacks.emit("error", error)

    @property
    def _my_id(self) -> str:
        return self._directory.me.id if self._directory.me is not None else ""

    def _present(self, who: str | int) -> Any:
        everybody = self._directory.everybody()
        if isinstance(who, int):
            return everybody if len(everybody) >= who else None
        return match(everybody, who)

    def _entered(self) -> EngineClient:
        self._check()
        if self._client is None:
            raise NotInRoom("this kernel is not in the room yet: show the room's widget, it brings it in")
        return self._client

    def _check(self) -> None:
        if self._over is not None:
            raise self._over.again()

    def _emit(self, events: list[Event]) -> None:
        for event, argument in events:
            self._callbacks.emit(event, argument)

    def _finish(self, over: RTCError, state: str, detail: str = "") -> None:
        """This handle is of no use any more; everything that it holds is let go. Once, in whatever thread comes first."""
        with self._end_lock:
            if self._over is not None:
                return
            self._over = over
            client, self._client = self._client, None
        self._publications.end(over)
        self._data.end(over, client)
        self._emit(self._directory.set_state(state))
        self._streams.stop()
        self._callbacks.close()
        if self._widget is not None:
            self._widget.show_state(state, detail)
        self._left(self)
        if client is not None:
            client.unlisten(self._id, self)
            client.release()
