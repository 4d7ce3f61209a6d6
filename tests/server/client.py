"""A signaling client that says exactly what a test wants it to say (test process)."""

from __future__ import annotations

import itertools
import json
import socket
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support import JupyterProcess

WAIT = 15.0
"""Seconds that a test waits for something that has to come."""
SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


class Client:
    """One WebSocket; a context manager that leaves the room at its end."""

    def __init__(
        self,
        server: JupyterProcess,
        room: str = "r",
        *,
        credentials: dict[str, str] | None = None,
        origin: str | None = None,
        host: str | None = None,
        slow: bool = False,
    ) -> None:
        """``credentials``: request headers, by default the server's token. ``host``: the Host header.

        ``slow``: read from the socket only what `receive` asks for, and keep little of it in the system's buffers.
        """
        headers = {"Authorization": f"token {server.token}"} if credentials is None else credentials
        address = urlsplit(server.url)
        sock = socket.socket()
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(WAIT)
        sock.connect(("127.0.0.1", server.port))
        self._ids = itertools.count(1)
        self.socket = sock
        connecting = connect(
            f"ws://{host or address.netloc}{address.path}forge-rtc/ws/webrtc?room={room}",
            sock=sock,
            additional_headers=headers,
            origin=origin,  # type: ignore[arg-type]
            proxy=None,
            compression=None,
            open_timeout=WAIT,
            close_timeout=1,
            max_size=None,
            max_queue=1 if slow else None,
        )
        # Entered by hand, for a test decides itself how the connection ends.
        self.ws: ClientConnection = connecting.__enter__()

    def send(self, type: str, **fields: Any) -> None:
        """One message; ``to``, ``streams`` and so on as keywords."""
        self.ws.send(json.dumps({"type": type, **fields}, ensure_ascii=False))  # as browsers and kernels write it

    def hello(self, kind: str = "browser", **fields: Any) -> dict[str, Any]:
        """Say hello and return the welcome."""
        self.send("room.hello", **{"version": 1, "kind": kind, **fields})
        welcome = self.receive()
        assert welcome["type"] == "room.welcome", welcome
        return welcome

    def receive(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(self.ws.recv(timeout=WAIT))
        return message

    def wait_for(self, type: str) -> dict[str, Any]:
        """The next message of that type; earlier ones are skipped."""
        while (message := self.receive())["type"] != type:
            pass
        return message

    def sync(self) -> list[dict[str, Any]]:
        """Everything that the server sent before it answered a ping of now."""
        mark = f"sync-{next(self._ids)}"
        self.send("ping", id=mark)
        messages = []
        while (message := self.receive()) != {"type": "pong", "id": mark}:
            messages.append(message)
        return messages

    def until_closed(self) -> tuple[list[dict[str, Any]], int | None]:
        """What still comes, and the code of the close."""
        messages = []
        try:
            while True:
                messages.append(self.receive())
        except ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd else None

    def drop(self) -> None:
        """Break the connection without a close frame."""
        self.socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ws.close()


def eventually_listed(server: JupyterProcess, room: str, count: int) -> list[dict[str, Any]]:
    """The participants of a room once there are ``count`` of them."""
    deadline = time.monotonic() + WAIT
    while True:
        rooms = {entry["id"]: entry["participants"] for entry in server.request("GET", "forge-rtc/api/rooms")}
        if len(rooms.get(room, [])) == count:
            participants: list[dict[str, Any]] = rooms.get(room, [])
            return participants
        assert time.monotonic() < deadline, rooms
        time.sleep(0.05)
