"""One signaling WebSocket: first frame, limits, heartbeat, outbound queue; Jupyter server process.

The tornado handler only forwards its events here, so that a handler of another application can do the same.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from tornado.websocket import WebSocketClosedError

from .. import protocol
from ..errors import (
    Forbidden,
    InvalidMessage,
    InvalidRoomId,
    RoomFull,
    RoomNotFound,
    RTCError,
    SignalingError,
    Unauthorized,
)
from .identity import Visitor
from .limits import Pace, RateLimited
from .outbox import News, Outbox

if TYPE_CHECKING:
    from .service import WebRTCService

CLOSE_TRY_AGAIN = 1013
"""Registered close code (IANA): the server is busy; a client reconnects later."""
LEAVING_CODES = (1000, 1001, None)
"""A client that closes with one of these has left; None is a close frame without a status (RFC 6455 7.1.5)."""

CLOSE_CODES: list[tuple[type[RTCError], int]] = [
    (Unauthorized, protocol.CLOSE_UNAUTHORIZED),
    (Forbidden, protocol.CLOSE_FORBIDDEN),
    (RoomNotFound, protocol.CLOSE_ROOM_NOT_FOUND),
    (RoomFull, protocol.CLOSE_FULL),
    (InvalidRoomId, protocol.CLOSE_BAD_HELLO),
    (RateLimited, CLOSE_TRY_AGAIN),
]
"""How a refused hello closes; every other error closes with CLOSE_BAD_HELLO."""

CLIENT_TYPES = frozenset(str(struct.__struct_config__.tag) for struct in protocol.ClientMessage.__args__)


class BadVersion(SignalingError):
    """The client speaks another version of the protocol."""

    code = "bad-version"


class NoCredentials(Unauthorized):
    """A client without Jupyter credentials said hello with neither a ticket nor a resume token."""


class _Head(msgspec.Struct):
    type: str | None = None
    id: str | None = None


class Connection:
    """A client's signaling connection, from the upgrade to the close.

    Forward `on_message`, `on_close` and, where possible, `on_pong` of the tornado handler. What a slow client is to
    read is bounded (`Outbox`): too much from others is refused, too many answers to its own doing close it with 4008.
    """

    def __init__(
        self, service: WebRTCService, ws: Any, number: int, room_id: str, visitor: Visitor | None, address: str
    ) -> None:
        self.number = number
        self.room_id = room_id
        self.visitor = visitor
        """Whom Jupyter's credentials named; None where only a ticket can let this client in."""
        self.address = address
        self.participant_id: str | None = None
        self.closed = False
        self._service = service
        self._settings = service.settings
        self._ws = ws
        self._loop = asyncio.get_running_loop()
        self._seen = self._loop.time()
        self._outbox = Outbox(self._settings.outbound_bytes, self._write)
        self._got_close_frame = False
        self._hello_timer = self._loop.call_later(self._settings.hello_seconds, self._no_hello)
        self._ping_timer = self._loop.call_later(self._settings.ping_seconds, self._ping)
        self._watch_close_frame()
        ws.set_nodelay(True)

    # What the tornado handler forwards

    def on_message(self, frame: str | bytes) -> None:
        """One frame of the client."""
        if self.closed:
            return
        self._seen = self._loop.time()
        if self.participant_id is None:
            self._first_frame(frame)
            return
        pace = self._service.limiter.pace(self.participant_id, self._seen)
        if pace.messages.take(self._seen):
            self._next_frame(frame, pace)
        else:
            self._refuse_rate(frame, pace)

    def on_pong(self, data: bytes = b"") -> None:
        """The answer to a WebSocket ping."""
        self._seen = self._loop.time()

    def on_close(self) -> None:
        """The socket is gone, however that happened."""
        code = self._ws.close_code
        self._end(left=self._got_close_frame and code in LEAVING_CODES)

    # What the service calls

    def send(self, text: str) -> None:
        """Queue an answer; a client that lets too many of them pile up is closed with 4008."""
        if not self.closed and not self._outbox.answer(text):
            self.close(protocol.CLOSE_SLOW_READER, "too much is waiting to be read")

    def deliver(self, message: protocol.Message, text: str) -> bool:
        """Queue an action of the room, ``text`` being its frame; False where there is no room for a participant's message."""
        if self.closed:
            return True
        if message.routed:
            return self._outbox.pass_on(message.from_ or "", text)
        if isinstance(message, News):
            self._outbox.tell(message, text)
        else:
            self.send(text)
        return True

    def send_error(self, code: str, message: str, reply_to: str | None = None) -> None:
        """Tell the client what was wrong with something that it sent."""
        self.send(protocol.encode(protocol.Error(code=code, message=message[:512], reply_to=reply_to)))

    def close(self, code: int, reason: str) -> None:
        """Close the socket; its participant may come back unless the room forgot it already."""
        if self.closed:
            return
        self._ws.close(code, reason[:120])
        self._end(left=False)

    def seated(self, participant_id: str) -> None:
        """The hello was accepted."""
        self.participant_id = participant_id
        self._hello_timer.cancel()

    # Inside

    def _first_frame(self, frame: str | bytes) -> None:
        try:
            message = self._decode(frame)
            if not isinstance(message, protocol.Hello):
                raise InvalidMessage("the first message is room.hello")
            self._service.admit(self, message)
        except RTCError as error:
            self._turn_away(error, frame)

    def _turn_away(self, error: RTCError, frame: str | bytes) -> None:
        if self.visitor is None and isinstance(error, InvalidMessage | NoCredentials):
            # Who shows no credentials at all gets no answer.
            self.close(protocol.CLOSE_UNAUTHORIZED, "no valid credentials")
            return
        code = next((code for kind, code in CLOSE_CODES if isinstance(error, kind)), protocol.CLOSE_BAD_HELLO)
        self.send_error(error.code, str(error), _head(frame).id)
        self.close(code, error.code)

    def _next_frame(self, frame: str | bytes, pace: Pace) -> None:
        try:
            message = self._decode(frame)
        except RTCError as error:
            self._answer_malformed(error, frame, pace)
            return
        try:
            self._service.receive(self, message)
        except RTCError as error:
            self.send_error(error.code, str(error), message.id)

    def _decode(self, frame: str | bytes) -> protocol.ClientMessage:
        if isinstance(frame, bytes):
            raise InvalidMessage("signaling messages are text frames")
        limit = self._settings.max_message_bytes
        if len(frame.encode()) > limit:
            raise InvalidMessage(f"a signaling message may have {limit} bytes, this one has {len(frame.encode())}")
        return protocol.decode_client(frame)

    def _answer_malformed(self, error: RTCError, frame: str | bytes, pace: Pace) -> None:
        head = _head(frame)
        if isinstance(error, InvalidMessage) and head.type is not None and head.type not in CLIENT_TYPES:
            self.send_error("unknown-type", f"{head.type[:64]!r} is not a message that a client sends", head.id)
            return
        self.send_error(error.code, str(error), head.id)
        if pace.malformed.add(self._seen):
            self.close(protocol.CLOSE_ABUSE, "too many malformed messages")

    def _refuse_rate(self, frame: str | bytes, pace: Pace) -> None:
        limits = self._settings
        text = f"not passed on: more than {limits.burst} messages at once or {limits.messages_per_second:g} a second"
        self.send_error("rate-limited", text, _head(frame).id)
        if pace.refused.add(self._seen):
            self.close(protocol.CLOSE_ABUSE, "too many messages")

    def _no_hello(self) -> None:
        if self.visitor is None:
            self.close(protocol.CLOSE_UNAUTHORIZED, "no valid credentials")
        else:
            self.close(protocol.CLOSE_BAD_HELLO, "no room.hello in time")

    def _ping(self) -> None:
        silent = self._loop.time() - self._seen
        if silent >= self._settings.dead_seconds:
            self.close(1001, "no answer to pings")
            return
        self._ping_timer = self._loop.call_later(self._settings.ping_seconds, self._ping)
        try:
            self._ws.ping(b"")
        except WebSocketClosedError:
            return  # on_close follows

    def _write(self, text: str, left: Callable[[], None]) -> None:
        try:
            written = self._ws.write_message(text)
        except WebSocketClosedError:
            return  # on_close follows
        written.add_done_callback(functools.partial(self._written, left))

    def _written(self, left: Callable[[], None], written: asyncio.Future[None]) -> None:
        if not written.cancelled():
            written.exception()  # a closed socket is on_close's matter
        if not self.closed:
            left()

    def _end(self, *, left: bool) -> None:
        if self.closed:
            return
        self.closed = True
        self._hello_timer.cancel()
        self._ping_timer.cancel()
        self._service.ended(self, left=left)

    def _watch_close_frame(self) -> None:
        # tornado reports a close frame without a status and a torn connection alike (close_code None), but only
        # answers the former while its stream is still open.
        tornado_protocol = self._ws.ws_connection
        close = tornado_protocol.close

        def watched(code: int | None = None, reason: str | None = None) -> None:
            if tornado_protocol.client_terminated and not tornado_protocol.stream.closed():
                self._got_close_frame = True
            close(code, reason)

        tornado_protocol.close = watched


def _head(frame: str | bytes) -> _Head:
    """Type and id of a frame that could not be read, as far as they can be."""
    try:
        head = msgspec.json.decode(frame, type=_Head)
        return head if len(head.id or "") <= 256 else _Head(head.type)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _Head()
