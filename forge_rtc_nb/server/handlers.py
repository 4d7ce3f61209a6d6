"""REST and WebSocket endpoints: each checks who asks and hands over to the service; Jupyter server process."""

# jupyter_server declares `authorized` as a function that returns a function of an unknown type.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TypeVar

import msgspec
from jupyter_server.auth.decorator import allow_unauthenticated, authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.websocket import WebSocketHandler

from .. import __version__, protocol
from ..errors import InvalidMessage, InvalidRoomId, RoomExists, RoomFull, RoomNotFound, RTCError, Unauthorized
from ..rooms import Room
from ..tickets import KERNEL_KEY
from . import SERVICE_KEY
from .connection import Connection
from .identity import RESOURCE, visitor_of
from .service import WebRTCService

MODULE = Path(__file__).parents[1] / "static" / "forge_rtc.js"
TICKET_SCHEME = "ForgeRTC-Ticket "
STATUS: list[tuple[type[RTCError], HTTPStatus]] = [
    (InvalidRoomId, HTTPStatus.BAD_REQUEST),
    (InvalidMessage, HTTPStatus.BAD_REQUEST),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (RoomNotFound, HTTPStatus.NOT_FOUND),
    (RoomExists, HTTPStatus.CONFLICT),
    (RoomFull, HTTPStatus.SERVICE_UNAVAILABLE),
]
Body = TypeVar("Body")


class RoomRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST rooms."""

    id: str
    max_participants: Annotated[int, msgspec.Meta(ge=1)] | None = None
    lifetime: Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)] | None = None
    """Seconds for which the room stays while nobody is in it."""


class TicketRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST tickets."""

    room: str
    kind: protocol.Kind
    owner: protocol.Id | None = None


class RTCHandler(APIHandler):
    """What the REST endpoints share: the service, JSON in and out, errors as JSON with a code."""

    @property
    def service(self) -> WebRTCService:
        """The service of this server."""
        service: WebRTCService = self.settings[SERVICE_KEY]
        return service

    def reply(self, body: Any, status: int = HTTPStatus.OK) -> None:
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(body))

    def body(self, shape: type[Body]) -> Body:
        """The JSON body of the request, or `InvalidMessage`."""
        try:
            return msgspec.json.decode(self.request.body, type=shape)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidMessage(f"the body of this request is not as it should be: {error}") from None

    def log_exception(self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Errors that we raise on purpose are answers, not incidents."""
        if not isinstance(value, RTCError):
            super().log_exception(typ, value, tb)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Give our own errors their status."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        own = next((int(status) for kind, status in STATUS if isinstance(error, kind)), status_code)
        super().send_error(own, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error is JSON: ``message`` for a person, ``code`` for a program."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        phrase = HTTPStatus(status_code).phrase
        if isinstance(error, RTCError):
            self.reply({"message": str(error), "code": error.code}, status_code)
            return
        message = (isinstance(error, web.HTTPError) and error.log_message) or phrase
        self.reply({"message": message, "code": phrase.lower().replace(" ", "-")}, status_code)


class HealthHandler(RTCHandler):
    """Whether the extension works, and how much it has to do."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        self.reply(
            {
                "status": "ok",
                "version": __version__,
                "protocol": protocol.VERSION,
                "server": self.service.tickets.server_id,
                "rooms": len(await self.service.rooms()),
                "participants": self.service.participants,
            }
        )


class IceServersHandler(RTCHandler):
    """The present ICE servers; clients in a room ask by `ice.request` instead."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    def get(self) -> None:
        self.reply({"servers": msgspec.to_builtins(self.service.ice.current())})


class RoomsHandler(RTCHandler):
    """The open rooms."""

    @allow_unauthenticated
    async def get(self) -> None:
        header = self.request.headers.get("Authorization", "")
        if header.startswith(TICKET_SCHEME):
            await self._list_for_ticket(header.removeprefix(TICKET_SCHEME).strip())
        else:
            await self._list_for_user()  # type: ignore[misc]  # authenticated only wraps, it is still a coroutine

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def _list_for_user(self) -> None:
        self.reply([describe(room) for room in await self.service.rooms()])

    async def _list_for_ticket(self, ticket: str) -> None:
        # Kernels of this machine see every room, the bearer of a ticket only the room it is for.
        claims, kid = self.service.tickets.redeem(ticket, room=None, kind="kernel")
        rooms = await self.service.rooms()
        self.reply([describe(room) for room in rooms if kid == KERNEL_KEY or room.id == claims.room])

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def post(self) -> None:
        request = self.body(RoomRequest)
        most = self.service.settings.max_participants
        if (request.max_participants or 0) > most:
            raise InvalidMessage(f"max_participants is at most {most} on this server")
        room = await self.service.create_room(request.id, max_participants=request.max_participants, lifetime=request.lifetime)
        self.set_header("Location", url_path_join(self.request.path, room.id))
        self.reply(describe(room), HTTPStatus.CREATED)


class RoomHandler(RTCHandler):
    """One room."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, room_id: str) -> None:
        self.reply(describe(await self.service.get_room(room_id)))

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def delete(self, room_id: str) -> None:
        await self.service.delete_room(room_id)
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()


class TicketsHandler(RTCHandler):
    """Tickets for a kernel or page that the asker vouches for and that has no Jupyter credentials of its own."""

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    async def post(self) -> None:
        request = self.body(TicketRequest)
        visitor = await visitor_of(self, self.current_user)
        ticket = self.service.tickets.issue(
            room=protocol.check_room_id(request.room),
            user=visitor.user,
            kind=request.kind,
            grants=sorted(visitor.grants),
            name=visitor.name if request.kind == "browser" else None,
            owner=request.owner,
        )
        url = f"{self.request.protocol}://{self.request.host}{self.base_url}"
        self.reply({"ticket": ticket, "expires_in": self.service.tickets.ticket_seconds, "url": url}, HTTPStatus.CREATED)


class ModuleHandler(RTCHandler):
    """The JavaScript module that authors of pages import: the same for everybody, and no secret in it.

    Nothing here asks for a Referer, as Jupyter's own files do: an import from a module with a blob: URL has none.
    """

    _track_activity = False

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    def get(self) -> None:
        self._send()

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    def head(self) -> None:
        self._send()

    def _send(self) -> None:
        if not MODULE.is_file():
            raise web.HTTPError(404, "the JavaScript module was not built: run `npm run build` in js/")
        self.set_header("Cache-Control", "no-cache")  # asked for again each time; tornado's ETag makes that a 304
        self.finish(MODULE.read_bytes(), set_content_type="text/javascript; charset=UTF-8")


class SignalingHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """The signaling WebSocket; everything happens in `Connection`."""

    connection: Connection | None = None

    # Pings are sent by Connection; a zero keeps those of tornado and of Jupyter's mixin quiet.
    ping_interval = 0

    @property
    def max_message_size(self) -> int:
        """A frame somewhat over the limit gets an error that says so, a huge one is not even read."""
        service: WebRTCService = self.settings[SERVICE_KEY]
        return 4 * service.settings.max_message_bytes

    @allow_unauthenticated
    async def get(self) -> None:
        if self.current_user is None:
            await super().get()  # Connection processes nothing but a hello with a valid ticket
        else:
            await self._get_as_user()

    @ws_authenticated
    @authorized("execute", resource=RESOURCE)
    async def _get_as_user(self) -> None:
        await super().get()

    async def open(self) -> None:
        service: WebRTCService = self.settings[SERVICE_KEY]
        self.connection = await service.handle_signaling(self)

    def on_message(self, message: str | bytes) -> None:
        if self.connection is not None:
            self.connection.on_message(message)

    def on_pong(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.on_pong(data)

    def on_close(self) -> None:
        if self.connection is not None:
            self.connection.on_close()


def describe(room: Room) -> dict[str, Any]:
    """A room as the REST interface shows it."""
    peers = [
        {
            "id": peer.id,
            "name": peer.name,
            "kind": peer.kind,
            "user": peer.user,
            "state": peer.state,
            "owners": peer.owners,
            "joined_at": peer.joined_at,
            "streams": [{"id": s.id, "name": s.name, "kind": s.kind, "source": s.source} for s in peer.streams],
            "channels": [channel.name for channel in peer.channels],
        }
        for peer in room.peers
    ]
    return {"id": room.id, "participants": peers, "created_at": room.created_at}


ROUTES = [
    (r"/forge-rtc/ws/webrtc", SignalingHandler),
    (r"/forge-rtc/api/health", HealthHandler),
    (r"/forge-rtc/api/ice-servers", IceServersHandler),
    (r"/forge-rtc/api/rooms", RoomsHandler),
    (r"/forge-rtc/api/rooms/([^/]+)", RoomHandler),
    (r"/forge-rtc/api/tickets", TicketsHandler),
    (r"/forge-rtc/static/forge_rtc.js", ModuleHandler),
]
