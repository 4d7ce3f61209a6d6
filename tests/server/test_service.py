"""The service that other extensions use, in a server inside the test process, with identity providers of its own."""

# jupyter_server's extension manager and tornado's add_handlers carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import json
import math
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

import forge_rtc_nb as rtc
from forge_rtc_nb import protocol
from forge_rtc_nb.errors import InvalidConfig, InvalidRoomId, RoomExists, RoomFull, RoomNotFound
from forge_rtc_nb.server.connection import Connection


class NamedUsers(IdentityProvider):
    """Knows people by a header, as a hub's provider knows them by a cookie."""

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get("X-User")
        return User(name, display_name=name.title()) if name else None


class Rules(Authorizer):
    """Teachers may do everything, pupils only come into rooms that exist, guests only look."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        assert resource == "forge_rtc"
        allowed = {"teacher": ("read", "write", "execute"), "pupil": ("execute",), "guest": ("read",)}
        return action in allowed.get(user.username, ())


class ForeignHandler(WebSocketHandler):
    """A WebSocket of somebody else's application, with its own idea of who may come in."""

    connection: Connection | None = None

    def initialize(self, serverapp: Any, user: str | None) -> None:
        self.serverapp, self.user = serverapp, user

    async def open(self, *args: str, **kwargs: str) -> None:
        service = rtc.get_webrtc(self.serverapp)
        self.connection = await service.handle_signaling(self, room="foreign", user=self.user)

    def on_message(self, message: str | bytes) -> None:
        assert self.connection is not None
        self.connection.on_message(message)

    def on_close(self) -> None:
        assert self.connection is not None
        self.connection.on_close()


class Running:
    """A server in this process and the port on which it listens."""

    def __init__(self, app: ServerApp, port: int) -> None:
        self.app = app
        self.port = port
        self.service = rtc.get_webrtc(app)

    async def connect(self, path: str, user: str | None = None) -> WebSocketClientConnection:
        headers = {"X-User": user} if user else {}
        return await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{self.port}/{path}", headers=headers))

    async def fetch(self, method: str, path: str, user: str, body: Any = None) -> tuple[int, Any]:
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}/forge-rtc/api/{path}",
            method=method,
            headers={"X-User": user},
            body=None if body is None else json.dumps(body),
        )
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
        return response.code, json.loads(response.body) if response.body else None


async def join(ws: WebSocketClientConnection, **hello: Any) -> dict[str, Any]:
    """Say hello; the answer, or the code of the close."""
    await ws.write_message(json.dumps({"type": "room.hello", "version": 1, "kind": "browser", **hello}))
    return await receive(ws)


async def receive(ws: WebSocketClientConnection) -> dict[str, Any]:
    frame = await asyncio.wait_for(ws.read_message(), 10)
    assert isinstance(frame, str), ws.close_code
    message: dict[str, Any] = json.loads(frame)
    return message


@asynccontextmanager
async def running(folder: Path, **config: Any) -> AsyncIterator[Running]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    app = ServerApp(
        jpserver_extensions={"forge_rtc_nb": True},
        runtime_dir=str(folder / "runtime"),
        root_dir=str(folder),
        disable_check_xsrf=True,
        **config,
    )
    try:
        app.initialize(argv=[], find_extensions=False, new_httpserver=False)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    sock, app.port = bind_unused_port()
    http = HTTPServer(app.web_app)
    http.add_socket(sock)
    await app.extension_manager.start_all_extensions()
    try:
        yield Running(app, app.port)
    finally:
        await app.extension_manager.stop_all_extensions()
        http.stop()
        await http.close_all_connections()


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[Running]:
    config = {"identity_provider_class": NamedUsers, "authorizer_class": Rules, "allow_unauthenticated_access": False}
    async with running(tmp_path, **config) as server:
        yield server


async def test_the_calls_for_other_extensions(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        service = server.service
        room = await service.create_room("meeting", max_participants=2, lifetime=math.inf)
        assert (room.id, room.peers) == ("meeting", [])
        assert await service.get_room("meeting") is room
        assert await service.rooms() == [room]
        with pytest.raises(RoomExists):
            await service.create_room("meeting")
        with pytest.raises(InvalidRoomId):
            await service.create_room("no room")
        await service.delete_room("meeting")
        for call in (service.get_room, service.delete_room):
            with pytest.raises(RoomNotFound):
                await call("meeting")


async def test_too_many_rooms(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        service = server.service
        object.__setattr__(service._rooms.limits, "rooms", 1)
        await service.create_room("one")
        with pytest.raises(RoomFull):
            await service.create_room("two")


def test_a_server_without_the_extension_is_named() -> None:
    bare = SimpleNamespace(web_app=SimpleNamespace(settings={}))
    with pytest.raises(InvalidConfig, match="not loaded"):
        rtc.get_webrtc(bare)


async def test_a_handler_of_another_application(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        for path, user in (("known", "ann"), ("unknown", None)):
            arguments = {"serverapp": server.app, "user": user}
            server.app.web_app.add_handlers(".*$", [(f"/{path}", ForeignHandler, arguments)])
        ann, bob = await server.connect("known"), await server.connect("unknown")
        welcome = await join(ann)
        assert (welcome["room"], welcome["participant"]["user"]) == ("foreign", "ann")
        service = server.service
        ticket = service.tickets.issue(room="foreign", user="bob", kind="browser", grants=["join"], name="Bob", owner=None)
        assert (await join(bob, ticket=ticket))["participant"]["name"] == "Bob"
        joined = (await receive(ann))["participant"]
        assert [peer.id for peer in (await service.get_room("foreign")).peers][1] == joined["id"]
        bob.close(1000)
        assert (await receive(ann))["type"] == "room.left"
        stranger = await server.connect("unknown")
        await stranger.write_message('{"type":"room.hello","version":1,"kind":"browser"}')
        assert await stranger.read_message() is None
        assert stranger.close_code == protocol.CLOSE_UNAUTHORIZED


async def test_people_whom_the_provider_knows_go_by_their_own_names(named: Running) -> None:
    teacher = await named.connect("forge-rtc/ws/webrtc?room=class", "teacher")
    welcome = await join(teacher)
    assert (welcome["participant"]["user"], welcome["participant"]["name"]) == ("teacher", "Teacher")
    assert "class" in {room.id for room in await named.service.rooms()}
    pupil = await named.connect("forge-rtc/ws/webrtc?room=class", "pupil")
    assert (await join(pupil, name="Kim"))["participant"]["name"] == "Kim"


async def test_a_resume_token_of_somebody_else_opens_nothing(named: Running) -> None:
    teacher = await named.connect("forge-rtc/ws/webrtc?room=class", "teacher")
    resume = (await join(teacher))["resume"]
    pupil = await named.connect("forge-rtc/ws/webrtc?room=class", "pupil")
    assert (await join(pupil, resume=resume))["code"] == "unauthorized"
    assert await pupil.read_message() is None
    assert pupil.close_code == protocol.CLOSE_UNAUTHORIZED


async def test_a_guest_comes_back_for_12_hours_and_who_is_logged_in_for_ever(named: Running, monkeypatch: Any) -> None:
    office = named.service.tickets
    now = time.time()
    monkeypatch.setattr(office, "_clock", lambda: now)
    path = "forge-rtc/ws/webrtc?room=class"
    ticket = office.issue(room="class", user="guest", kind="browser", grants=["join", "create"], name=None, owner=None)
    guest = await join(await named.connect(path), ticket=ticket)
    teacher = await join(await named.connect(path, "teacher"))
    for _ in range(2):
        now += 5 * 3600
        guest = await join(await named.connect(path), resume=guest["resume"])
        teacher = await join(await named.connect(path, "teacher"), resume=teacher["resume"])
        assert guest["resumed"]
        assert teacher["resumed"]
    now += 3 * 3600
    assert (await join(await named.connect(path), resume=guest["resume"]))["code"] == "unauthorized"
    assert (await join(await named.connect(path), resume=teacher["resume"]))["resumed"]


async def test_who_may_not_create_cannot_tell_a_missing_room(named: Running) -> None:
    pupil = await named.connect("forge-rtc/ws/webrtc?room=secret", "pupil")
    assert (await join(pupil))["code"] == "room-not-found"
    assert await pupil.read_message() is None
    assert pupil.close_code == protocol.CLOSE_ROOM_NOT_FOUND


@pytest.mark.parametrize(
    ("user", "read", "create", "ticket", "upgrade"),
    [("teacher", 200, 201, 201, True), ("pupil", 403, 403, 201, True), ("guest", 200, 403, 403, False)],
)
async def test_actions_are_authorized(named: Running, user: str, read: int, create: int, ticket: int, upgrade: bool) -> None:
    await named.service.create_room("there")
    for path in ("health", "rooms", "ice-servers", "rooms/there"):
        assert (await named.fetch("GET", path, user))[0] == read
    # Whoever may not look gets one answer, whether the room is there or not.
    missing = (await named.fetch("GET", "rooms/missing", user))[0]
    assert missing == (404 if read == 200 else 403)
    assert (await named.fetch("POST", "rooms", user, {"id": "new"}))[0] == create
    assert (await named.fetch("DELETE", "rooms/there", user))[0] == (204 if create == 201 else 403)
    status, answer = await named.fetch("POST", "tickets", user, {"room": "r", "kind": "kernel"})
    assert status == ticket
    if status == 201:
        claims, _ = named.service.tickets.redeem(answer["ticket"], room="r", kind="kernel")
        assert claims.grants == (["create", "join"] if user == "teacher" else ["join"])
        assert claims.user == user
    try:
        ws = await named.connect("forge-rtc/ws/webrtc?room=r", user)
    except Exception as refused:  # tornado's HTTP error
        assert "403" in str(refused)
        assert not upgrade
    else:
        assert upgrade
        ws.close()


async def test_a_server_counts_as_active_while_somebody_is_in_a_room(named: Running) -> None:
    extension = named.app.extension_manager.extension_points["forge_rtc_nb"].app
    assert extension.current_activity() is None
    ws = await named.connect("forge-rtc/ws/webrtc?room=r", "teacher")
    await join(ws)
    assert extension.current_activity() == {"participants": 1}


async def test_nothing_is_left_after_the_stop(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with running(tmp_path) as server:
        await server.service.create_room("one")
        service = server.service
    assert service._timer is None or service._timer.cancelled()
    assert service._connections == {}
    assert asyncio.all_tasks() == before
