"""Who gets in: every kind of credentials from every kind of origin, on a real server (test process)."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from forge_rtc_nb import protocol
from forge_rtc_nb.server.tickets import KEY_FILE
from forge_rtc_nb.tickets import mint_ticket
from tests.server.client import Client
from tests.support import JupyterProcess
from tests.unit.test_tickets import changed_payload, unsigned

ORIGINS = {
    "absent": None,
    "same": "http://127.0.0.1:{port}",
    "cross": "http://evil.example",
    "null": "null",
    "look-alike": "http://127.0.0.1:{port}.evil.example",
    "look-alike-user": "http://127.0.0.1:{port}@evil.example",
    "other-port": "http://127.0.0.1:1",
}
OURS = ("absent", "same")
JOINED = 101


def call(
    server: JupyterProcess, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, http.client.HTTPMessage, Any]:
    """Status, headers and parsed body of one request in which nothing is added but the Host."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    try:
        connection.request(method, f"/forge-rtc/{path}", None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        return response.status, response.headers, json.loads(content) if content[:1] in b"{[" and content else content
    finally:
        connection.close()


@pytest.fixture(scope="module")
def cookies(server: JupyterProcess) -> dict[str, str]:
    """The cookies of a browser that logged in with the token."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    connection.request("GET", f"/lab?token={server.token}")
    headers = connection.getresponse().headers
    connection.close()
    jar: SimpleCookie = SimpleCookie()
    for value in headers.get_all("Set-Cookie") or []:
        jar.load(value)
    return {name: morsel.value for name, morsel in jar.items()}


@pytest.fixture
def present(server: JupyterProcess, cookies: dict[str, str], room: str) -> Callable[[str], dict[str, str]]:
    """The request headers that stand for a kind of credentials."""

    def headers(kind: str) -> dict[str, str]:
        cookie = "; ".join(f'{name}="{value}"' for name, value in cookies.items())
        if kind == "token":
            return {"Authorization": f"token {server.token}"}
        if kind == "cookie":
            return {"Cookie": cookie}
        if kind == "cookie+xsrf":
            return {"Cookie": cookie, "X-XSRFToken": cookies["_xsrf"]}
        return {}

    return headers


def new_ticket(server: JupyterProcess, room: str, **wanted: Any) -> str:
    body = {"room": room, "kind": "browser", **wanted}
    ticket: str = server.request("POST", "forge-rtc/api/tickets", body)["ticket"]
    return ticket


def origin_of(server: JupyterProcess, origin: str) -> str | None:
    value = ORIGINS[origin]
    return value and value.format(port=server.port)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(
    ("credentials", "from_ours", "from_others"),
    [
        ("cookie", JOINED, 403),
        # Jupyter's rule: whoever sends the token itself is no victim of another page.
        ("token", JOINED, JOINED),
        ("ticket", JOINED, 403),
        ("none", protocol.CLOSE_UNAUTHORIZED, 403),
    ],
)
def test_websocket(
    server: JupyterProcess,
    room: str,
    present: Callable[[str], dict[str, str]],
    credentials: str,
    origin: str,
    from_ours: int,
    from_others: int,
) -> None:
    expected = from_ours if origin in OURS else from_others
    ticket = {"ticket": new_ticket(server, room)} if credentials == "ticket" else {}
    try:
        client = Client(server, room, credentials=present(credentials), origin=origin_of(server, origin))
    except InvalidStatus as refused:
        assert refused.response.status_code == expected
        return
    with client:
        client.send("room.hello", version=1, kind="browser", **ticket)
        if expected == JOINED:
            assert client.receive()["type"] == "room.welcome"
        else:
            assert client.until_closed() == ([], expected)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(
    ("method", "path", "credentials", "from_ours", "from_others"),
    [
        ("GET", "api/rooms", "cookie", 200, 404),
        ("GET", "api/rooms", "token", 200, 200),
        ("GET", "api/rooms", "ticket", 200, 404),
        ("GET", "api/rooms", "none", 403, 404),
        ("GET", "api/health", "cookie", 200, 404),
        ("GET", "api/health", "token", 200, 200),
        ("GET", "api/health", "none", 403, 404),
        ("GET", "api/ice-servers", "cookie", 200, 404),
        ("GET", "api/ice-servers", "none", 403, 404),
        ("POST", "api/tickets", "cookie", 403, 404),
        ("POST", "api/tickets", "cookie+xsrf", 201, 404),
        ("POST", "api/tickets", "token", 201, 201),
        ("POST", "api/tickets", "none", 403, 404),
        ("POST", "api/rooms", "cookie", 403, 404),
        ("POST", "api/rooms", "cookie+xsrf", 201, 404),
        ("POST", "api/rooms", "token", 201, 201),
        ("POST", "api/rooms", "ticket", 403, 404),
        ("POST", "api/rooms", "none", 403, 404),
        ("DELETE", "api/rooms/none", "cookie", 403, 404),
        ("DELETE", "api/rooms/none", "none", 403, 404),
    ],
)
def test_rest(
    server: JupyterProcess,
    room: str,
    present: Callable[[str], dict[str, str]],
    method: str,
    path: str,
    credentials: str,
    origin: str,
    from_ours: int,
    from_others: int,
) -> None:
    headers = present(credentials)
    if credentials == "ticket":
        headers["Authorization"] = "ForgeRTC-Ticket " + new_ticket(server, room, kind="kernel")
    if ORIGINS[origin]:
        headers["Origin"] = str(origin_of(server, origin))
    body = {"room": room, "kind": "kernel"} if path == "api/tickets" else {"id": room}
    status, _, answer = call(server, method, path, headers, body if method == "POST" else None)
    assert status == (from_ours if origin in OURS else from_others)
    if status >= 400:
        assert set(answer) == {"message", "code"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8888", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("credentials", ["cookie", "token", "none"])
def test_a_foreign_host_is_refused_everywhere(
    server: JupyterProcess, room: str, present: Callable[[str], dict[str, str]], credentials: str, host: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Client(server, room, credentials=present(credentials), host=host)
    assert refused.value.response.status_code == 403
    for method, path in (("GET", "health"), ("GET", "rooms"), ("POST", "tickets"), ("DELETE", "rooms/x")):
        headers = {**present(credentials), "Host": host}
        assert call(server, method, f"api/{path}", headers)[0] == 403
    ticket = mint_ticket(secrets.token_hex(32), room=room, user="x", kind="kernel")
    assert call(server, "GET", "api/rooms", {"Host": host, "Authorization": f"ForgeRTC-Ticket {ticket}"})[0] == 403


def server_ticket(process: JupyterProcess, room: str, **changes: Any) -> str:
    """A ticket signed with the server's own key, as far as one gets by reading its file."""
    key = (process.runtime_dir / KEY_FILE).read_bytes()
    fields: dict[str, Any] = {"room": room, "user": "root", "kind": "browser", "kid": "server"}
    return mint_ticket(key, **{**fields, "server": str(process.port), **changes})


BAD_TICKETS: dict[str, Callable[[JupyterProcess, str], str]] = {
    "expired": lambda server, room: server_ticket(server, room, lifetime=0.001, now=time.time() - 0.1),
    "for another room": lambda server, room: new_ticket(server, room + "-2"),
    "tampered": lambda server, room: changed_payload(new_ticket(server, room)),
    "alg none": lambda server, room: unsigned(new_ticket(server, room)),
    "wrong kind": lambda server, room: new_ticket(server, room, kind="kernel"),
    "from before the start": lambda server, room: server_ticket(server, room, now=time.time() - 3600, lifetime=60),
    "before the start, still valid": lambda server, room: server_ticket(server, room, now=0, lifetime=1e12),
    "too long": lambda server, room: server_ticket(server, room, lifetime=3600),
    "of another server": lambda server, room: server_ticket(server, room, server="1"),
    "of an unknown signer": lambda server, room: server_ticket(server, room, kid="somebody"),
    "of the kernels' key without knowing it": lambda server, room: server_ticket(server, room, kid="kernel"),
    "signed by chance": lambda server, room: mint_ticket(
        secrets.token_hex(32), room=room, user="root", kind="browser", kid="server"
    ),
    "no token at all": lambda server, room: "ticket",
}


def test_the_forged_tickets_of_these_tests_would_be_good_otherwise(server: JupyterProcess, room: str) -> None:
    with Client(server, room, credentials={}) as client:
        assert client.hello(ticket=server_ticket(server, room))


@pytest.mark.parametrize("flaw", BAD_TICKETS)
def test_a_bad_ticket_opens_nothing(server: JupyterProcess, room: str, flaw: str) -> None:
    with Client(server, room) as ann:
        ann.hello()
        with Client(server, room, credentials={}) as eve:
            eve.send("room.hello", version=1, kind="browser", ticket=BAD_TICKETS[flaw](server, room))
            messages, code = eve.until_closed()
        assert [message["code"] for message in messages] == ["unauthorized"]
        assert code == protocol.CLOSE_UNAUTHORIZED
        assert ann.sync() == []
    header = {"Authorization": f"ForgeRTC-Ticket {BAD_TICKETS[flaw](server, room)}"}
    status = call(server, "GET", "api/rooms", header)[0]
    # For the list a kernel's ticket is what is wanted.
    assert status == (200 if flaw == "wrong kind" else 401)


def test_a_used_ticket_opens_nothing_anywhere(server: JupyterProcess, room: str) -> None:
    ticket = new_ticket(server, room, kind="kernel")
    with Client(server, room, credentials={}) as first, Client(server, room, credentials={}) as second:
        first.hello("kernel", ticket=ticket)
        second.send("room.hello", version=1, kind="kernel", ticket=ticket)
        messages, code = second.until_closed()
        assert "used already" in messages[0]["message"]
        assert code == protocol.CLOSE_UNAUTHORIZED
    status, _, answer = call(server, "GET", "api/rooms", {"Authorization": f"ForgeRTC-Ticket {ticket}"})
    assert (status, answer["code"]) == (401, "unauthorized")


def test_the_bearer_of_a_ticket_sees_its_room_only(server: JupyterProcess, fresh_room: Callable[[], str]) -> None:
    seen, unseen = fresh_room(), fresh_room()
    for name in (seen, unseen):
        server.request("POST", "forge-rtc/api/rooms", {"id": name})
    ticket = new_ticket(server, seen, kind="kernel")
    status, _, rooms = call(server, "GET", "api/rooms", {"Authorization": f"ForgeRTC-Ticket {ticket}"})
    assert status == 200
    assert [room["id"] for room in rooms] == [seen]


@pytest.mark.parametrize(
    ("grants", "exists", "outcome"),
    [
        (["join", "create"], True, JOINED),
        (["join", "create"], False, JOINED),
        (["join"], True, JOINED),
        (["join"], False, protocol.CLOSE_ROOM_NOT_FOUND),
        ([], True, protocol.CLOSE_ROOM_NOT_FOUND),
        ([], False, protocol.CLOSE_ROOM_NOT_FOUND),
        (["create"], True, protocol.CLOSE_FORBIDDEN),
        (["create"], False, protocol.CLOSE_FORBIDDEN),
    ],
)
def test_grants(server: JupyterProcess, room: str, grants: list[str], exists: bool, outcome: int) -> None:
    if exists:
        server.request("POST", "forge-rtc/api/rooms", {"id": room})
    with Client(server, room, credentials={}) as client:
        client.send("room.hello", version=1, kind="browser", ticket=server_ticket(server, room, grants=grants))
        if outcome == JOINED:
            assert client.receive()["type"] == "room.welcome"
            return
        messages, code = client.until_closed()
        assert code == outcome
        name = {protocol.CLOSE_FORBIDDEN: "forbidden", protocol.CLOSE_ROOM_NOT_FOUND: "room-not-found"}
        assert [message["code"] for message in messages] == [name[outcome]]


@pytest.mark.parametrize("first", ["", "{}", '{"type":"ping"}', "\x00", '{"type":"room.updated","streams":[]}'])
def test_without_credentials_nothing_but_a_hello_is_processed(server: JupyterProcess, room: str, first: str) -> None:
    with Client(server, room, credentials={}) as client:
        client.ws.send(first)
        assert client.until_closed() == ([], protocol.CLOSE_UNAUTHORIZED)


def test_connections_without_credentials_are_capped_per_address(server: JupyterProcess, room: str) -> None:
    knocking = [Client(server, room, credentials={}) for _ in range(8)]
    with Client(server, room, credentials={}) as one_more:
        assert one_more.until_closed() == ([], 1013)
    with Client(server, room) as known:
        known.hello()
    knocking[0].hello(ticket=new_ticket(server, room))
    with Client(server, room, credentials={}) as now_there_is_room:
        now_there_is_room.hello(ticket=new_ticket(server, room))
    for client in knocking:
        client.ws.close()


def test_a_ticket_names_its_bearer(server: JupyterProcess, room: str) -> None:
    body = {"room": room, "kind": "kernel", "owner": "0123456789abcdef"}
    issued = server.request("POST", "forge-rtc/api/tickets", body)
    assert issued["expires_in"] == 60
    assert issued["url"] == server.url
    with Client(server, room) as ann, Client(server, room, credentials={}) as kernel:
        user = ann.hello()["participant"]["user"]
        participant = kernel.hello("kernel", ticket=issued["ticket"])["participant"]
        assert (participant["user"], participant["owners"]) == (user, ["0123456789abcdef"])


def test_whoever_shares_the_token_is_one_user(server: JupyterProcess, room: str) -> None:
    with Client(server, room) as ann, Client(server, room) as bob:
        first, second = ann.hello()["participant"], bob.hello()["participant"]
        assert first["user"] == second["user"]
        assert first["name"] != second["name"]


def test_no_secret_reaches_the_log(server: JupyterProcess, room: str) -> None:
    ticket = new_ticket(server, room)
    with Client(server, room, credentials={}) as client:
        resume = client.hello(ticket=ticket)["resume"]
    with Client(server, room, credentials={}) as client:
        client.send("room.hello", version=1, kind="browser", ticket=ticket)
        client.until_closed()
    log = server.log_path.read_text()
    assert ticket not in log
    assert resume not in log
    assert (server.runtime_dir / KEY_FILE).read_text() not in log
