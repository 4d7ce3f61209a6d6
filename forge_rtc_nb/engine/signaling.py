"""The engine's signaling socket: finds a way into the server, keeps it, and comes back when it breaks (engine process)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from .. import protocol
from ..control import Way
from ..errors import Forbidden, InvalidMessage, RTCError, SignalingError, Unauthorized
from ..protocol import Channel, Hello, Message, ServerMessage, Stream, Welcome
from ..rest import HOW_TO_ENABLE, NOTHING_LISTENS, tls_context
from ..tickets import mint_ticket
from .outbox import Outbox

logger = logging.getLogger(__name__)

PING_INTERVAL = 10.0
SILENCE_LIMIT = 30.0
BACKOFF_FIRST, BACKOFF_LAST = 0.25, 5.0


class Refused(RTCError):
    """The server said no; ``code`` as in its ``error`` message. ``final`` where trying again is of no use."""

    def __init__(self, code: str, message: str, final: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.final = final


@dataclass
class Entry:
    """Who enters which room, and what they say of themselves."""

    room: str
    name: str | None
    channels: dict[str, Channel] = field(default_factory=dict)
    """Open ones, by name."""
    streams: dict[str, Stream] = field(default_factory=dict)
    """Those that are published, by id."""
    shared: bool = False
    introduced: frozenset[str] = frozenset()
    """The names of the channels that the newest hello said."""


Receive = Callable[[ServerMessage], None]


class SignalingClient:
    """One participant's place in one room.

    `enter` makes the first connection or raises; `run` then reads until `close`, reconnecting as often as needed.
    Messages sent while it is away are dropped: each of them is repeated, or void, after the next welcome.
    """

    def __init__(self, entry: Entry, ways: list[Way], receive: Receive, on_state: Callable[[str, str], None]) -> None:
        self._entry = entry
        self._ways = ways
        self._way: Way | None = None
        self._receive = receive
        self._on_state = on_state
        self._socket: ClientConnection | None = None
        self._resume: str | None = None
        self._outbox = Outbox()
        self._closing = False

    @property
    def way(self) -> Way | None:
        """The way that let us in."""
        return self._way

    async def enter(self) -> Welcome:
        """Try each way in turn.

        Raises what the server said if it refused; `SignalingError` naming all that was tried, or a single way's own error.
        """
        failures: list[RTCError] = []
        for way in self._ways:
            where = f"{way.how} ({way.url})"
            try:
                welcome = await self._connect(way)
            except Refused as error:
                if error.code not in _NEXT_WAY:
                    raise
                failures.append(_NEXT_WAY[error.code](f"{where}: {error}"))
            except SignalingError as error:
                failures.append(SignalingError(f"{where}: {error}"))
            else:
                self._way = way
                return welcome
        if len(failures) == 1:
            raise failures[0]
        raise SignalingError("\n".join(map(str, failures)))

    async def run(self) -> None:
        """Read and write until closed; ends for good after a final close code, with state ``closed``."""
        while not self._closing:
            try:
                await self._pump()
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd else None
                reason = error.rcvd.reason if error.rcvd else ""
                if self._closing:
                    return
                if code in protocol.FINAL_CLOSE_CODES:
                    self._on_state("closed", _closed_words(code, reason))
                    return
            if not self._closing and not await self._reconnect():
                return

    def send(self, message: Message) -> None:
        """Queue a message for the present connection. `InvalidMessage` or `InvalidSDP` for what the server would refuse."""
        if self._socket is not None and not self._outbox.put(message):
            logger.warning("too much waits for %s; a %s is dropped", message.to or "the server", type(message).__name__)

    async def close(self) -> None:
        """Leave the room: a close with code 1000 tells the server that we do not come back."""
        self._closing = True
        if self._socket is not None:
            await self._socket.close(1000, "left")
            self._socket = None

    async def _reconnect(self) -> bool:
        self._socket = None
        self._on_state("reconnecting", "the connection to the Jupyter server was lost")
        delay = BACKOFF_FIRST
        while not self._closing:
            # Full jitter: many clients of one restarted server must not come back in step.
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, BACKOFF_LAST)
            try:
                assert self._way is not None
                self._hand_on(await self._connect(self._way))
                return True
            except Refused as error:
                if error.code == "unauthorized" and error.final and self._resume is not None:
                    self._resume = None  # too old, or the server has a new key: enter afresh
                elif error.final:
                    self._on_state("closed", str(error))
                    return False
            except SignalingError as error:
                logger.info("still away: %s", error)
        return False

    async def _connect(self, way: Way) -> Welcome:
        url = "ws" + way.url.removeprefix("http") + "forge-rtc/ws/webrtc?" + urlencode({"room": self._entry.room})
        headers = {"Authorization": f"token {way.token}"} if way.token else {}
        try:
            socket = await connect(
                url,
                additional_headers=headers,
                max_size=4 * protocol.MAX_MESSAGE * 64,
                ping_interval=PING_INTERVAL,
                ping_timeout=SILENCE_LIMIT - PING_INTERVAL,
                close_timeout=1,
                open_timeout=5,
                proxy=None,
                ssl=tls_context(way),
            )
        except (InvalidStatus, InvalidHandshake, InvalidURI, OSError, TimeoutError) as error:
            raise _handshake_error(error) from None
        try:
            welcome = await self._greet(socket, way)
        except BaseException:
            await socket.close()
            raise
        self._socket = socket
        self._resume = welcome.resume
        self._outbox.obey(welcome.limits)
        return welcome

    async def _greet(self, socket: ClientConnection, way: Way) -> Welcome:
        # The server shortens names, but refuses a message with one that is longer than this.
        name = self._entry.name[:256] if self._entry.name is not None else None
        ticket = way.ticket
        if way.secret is not None and self._resume is None:
            ticket = mint_ticket(way.secret, room=self._entry.room, user="kernel", kind="kernel", name=name)
        hello = Hello(
            version=protocol.VERSION,
            kind="kernel",
            name=name,
            channels=list(self._entry.channels.values()),
            streams=list(self._entry.streams.values()),
            shared=self._entry.shared,
            resume=self._resume,
            ticket=ticket if self._resume is None else None,
        )
        self._entry.introduced = frozenset(self._entry.channels)
        try:
            await socket.send(protocol.encode(hello))
            answer = protocol.decode_server(await asyncio.wait_for(socket.recv(), 10))
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            words = _closed_words(code, error.rcvd.reason if error.rcvd else "")
            raise Refused(_code_name(code), words, final=code in protocol.FINAL_CLOSE_CODES) from None
        except (InvalidMessage, TimeoutError) as error:
            raise SignalingError(f"the server does not answer as a forge_rtc_nb server would: {error}") from None
        if isinstance(answer, protocol.Error):
            raise Refused(answer.code, answer.message, final=answer.code != "rate-limited")
        if not isinstance(answer, Welcome):
            raise SignalingError(f"the server greeted with {type(answer).__name__}")
        return answer

    async def _pump(self) -> None:
        assert self._socket is not None
        socket = self._socket
        writer = asyncio.create_task(self._write(socket))
        try:
            while True:
                self._take(await socket.recv())
        finally:
            writer.cancel()

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            try:
                await socket.send(await self._outbox.get())
            except ConnectionClosed:
                return

    def _take(self, frame: str | bytes) -> None:
        try:
            message = protocol.decode_server(frame)
        except RTCError as error:
            logger.warning("a message from the server is dropped: %s", error)
            return
        if isinstance(message, protocol.Ping):
            self.send(protocol.Pong(id=message.id))
            return
        self._hand_on(message)

    def _hand_on(self, message: ServerMessage) -> None:
        try:
            self._receive(message)
        except Exception:
            logger.exception("a %s could not be handled", type(message).__name__)  # the next one still can


_CLOSED = {
    protocol.CLOSE_REPLACED: "the same participant joined from elsewhere",
    protocol.CLOSE_ROOM_DELETED: "the room was deleted",
    protocol.CLOSE_UNAUTHORIZED: "the server does not accept these credentials (`jupyter server list` prints its token)",
    protocol.CLOSE_FORBIDDEN: "you may not enter this room",
    protocol.CLOSE_ROOM_NOT_FOUND: "there is no such room, or you may not see it",
    protocol.CLOSE_FULL: "the room, or your share of connections, is full",
    protocol.CLOSE_BAD_HELLO: "the server speaks another version of the protocol",
    protocol.CLOSE_ABUSE: "the server closed the connection for too many bad messages",
}
_NEXT_WAY: dict[str, type[RTCError]] = {"unauthorized": Unauthorized, "forbidden": Forbidden}
"""Refusals that concern these credentials only: the next way may have better ones."""
_CODES = {
    protocol.CLOSE_UNAUTHORIZED: "unauthorized",
    protocol.CLOSE_FORBIDDEN: "forbidden",
    protocol.CLOSE_ROOM_NOT_FOUND: "room-not-found",
    protocol.CLOSE_FULL: "room-full",
}


def _closed_words(code: int | None, reason: str) -> str:
    words = _CLOSED.get(code or 0, f"the server closed the connection (code {code})")
    return f"{words}: {reason}" if reason and reason not in words else words


def _code_name(code: int | None) -> str:
    return _CODES.get(code or 0, "signaling")


def _handshake_error(error: Exception) -> RTCError:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status in (401, 403):
            # Not final: to somebody who was in already, a proxy says this while the server behind it restarts.
            code = "unauthorized" if status == 401 else "forbidden"
            return Refused(code, f"HTTP {status}: it does not accept the token, or its user may not join rooms", final=False)
        words = {404: f"no forge_rtc_nb extension there ({HOW_TO_ENABLE})"}
        return SignalingError(f"HTTP {status}: {words.get(status, 'not a Jupyter server with this extension')}")
    if isinstance(error, TimeoutError):
        return SignalingError("no answer within 5 s")
    if isinstance(error, ConnectionRefusedError):
        return SignalingError(NOTHING_LISTENS)
    return SignalingError(str(error) or type(error).__name__)
