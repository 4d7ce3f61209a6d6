"""No endpoint answers the unauthenticated; the endpoints are found, not listed (test process)."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from forge_rtc_nb import protocol
from forge_rtc_nb.server.handlers import ROUTES
from tests.server.client import Client
from tests.server.conftest import ROOT
from tests.support import JupyterProcess

METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS", "TRACE")


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Path and handler of everything that the extension serves."""
    script = Path(__file__).with_name("routes.py")
    environ = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path_factory.mktemp("home")), "PATH": ""}
    output = subprocess.run(
        [sys.executable, str(script)], env=environ, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return [(re.sub(r"\([^)]*\)", "any", pattern).rstrip("$"), handler) for pattern, handler, _ in json.loads(output)]


def test_every_route_is_found(endpoints: list[tuple[str, str]]) -> None:
    assert {handler for _, handler in endpoints} == {handler.__name__ for _, handler in ROUTES}


def test_no_endpoint_answers_without_credentials(server: JupyterProcess, endpoints: list[tuple[str, str]]) -> None:
    answered = []
    for path, handler in endpoints:
        for method in METHODS:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
            connection.request(method, path)
            response = connection.getresponse()
            content = response.read()
            connection.close()
            # OPTIONS is the CORS preflight, which carries no credentials: it may say which methods there are.
            preflight = method == "OPTIONS" and response.status == 200 and not content
            upgrade_only = handler == "SignalingHandler" and method == "GET" and response.status == 400
            if not (response.status in (401, 403, 405) or preflight or upgrade_only):
                answered.append((method, path, response.status, content[:80]))
    assert endpoints
    assert answered == []


def test_no_websocket_says_anything_without_credentials(
    server: JupyterProcess, endpoints: list[tuple[str, str]], room: str
) -> None:
    assert [path for path, handler in endpoints if handler == "SignalingHandler"] == ["/forge-rtc/ws/webrtc"]
    for frame in ('{"type":"room.hello","version":1,"kind":"browser"}', '{"type":"ice.request"}'):
        with Client(server, room, credentials={}) as client:
            client.ws.send(frame)
            with contextlib.suppress(ConnectionClosed):
                client.ws.send(frame)
            assert client.until_closed() == ([], protocol.CLOSE_UNAUTHORIZED)


def test_every_method_is_authorized_by_name() -> None:
    source = (ROOT / "forge_rtc_nb" / "server" / "handlers.py").read_text()
    methods = re.findall(r"((?:    @.*\n)*)    (?:async )?def (get|post|delete|_\w+_for_user|_get_as_user)\(", source)
    assert len(methods) >= len(ROUTES)
    for decorators, _ in methods:
        named = re.search(r'authenticated\n    @authorized\("(read|write|execute)", resource=RESOURCE\)', decorators)
        assert named or decorators == "    @allow_unauthenticated\n"


def test_the_server_part_imports_none_of_the_others() -> None:
    code = (
        "import sys, forge_rtc_nb.server.app\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('aiortc', 'aioice', 'av', 'anywidget')"
        " or m.startswith(('forge_rtc_nb.engine', 'forge_rtc_nb.kernel'))]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
