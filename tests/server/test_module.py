"""The JavaScript module for authors of pages: who gets it, as what, and where it lies (test process)."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from forge_rtc_nb.server.handlers import MODULE
from tests.server.conftest import ENABLED, ROOT
from tests.support import JupyterProcess

PATH = "forge-rtc/static/forge_rtc.js"


def fetch(
    server: JupyterProcess, headers: dict[str, str], *, method: str = "GET", path: str = f"/{PATH}"
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and content of one request in which nothing is added but the Host: as of an import from a blob: URL."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def cookie(server: JupyterProcess) -> dict[str, str]:
    """What a page that logged in with the token sends by itself."""
    _, headers, _ = fetch(server, {}, path=f"/lab?token={server.token}")
    cookies = [value.split(";")[0] for value in headers.get_all("Set-Cookie") or []]
    return {"Cookie": "; ".join(cookies)}


def test_a_page_that_is_logged_in_gets_it_as_javascript(server: JupyterProcess, cookie: dict[str, str]) -> None:
    for credentials in (cookie, {"Authorization": f"token {server.token}"}):
        status, headers, content = fetch(server, credentials)
        assert (status, content) == (200, MODULE.read_bytes())
        assert headers["Content-Type"] == "text/javascript; charset=UTF-8"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_a_page_has_already_is_not_sent_again(server: JupyterProcess, cookie: dict[str, str]) -> None:
    _, headers, _ = fetch(server, cookie)
    assert headers["Cache-Control"] == "no-cache"
    status, _, content = fetch(server, {**cookie, "If-None-Match": headers["Etag"]})
    assert (status, content) == (304, b"")
    status, headers, content = fetch(server, cookie, method="HEAD")
    assert (status, content) == (200, b"")
    assert headers["Content-Type"] == "text/javascript; charset=UTF-8"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nobody_else_gets_it(server: JupyterProcess, cookie: dict[str, str], method: str) -> None:
    assert fetch(server, {}, method=method)[0] == 403
    assert fetch(server, {**cookie, "Host": "evil.example"}, method=method)[0] == 403
    assert fetch(server, {**cookie, "Origin": "http://evil.example"}, method=method)[0] == 404


class BelowBase(JupyterProcess):
    """A server with a base URL, as behind a hub."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/user/ada/"


def test_it_lies_below_the_base_url(tmp_path: Path) -> None:
    arguments = (ENABLED, "--ServerApp.base_url=/user/ada/")
    with BelowBase(tmp_path, arguments=arguments, environ={"PYTHONPATH": str(ROOT)}) as server:
        credentials = {"Authorization": f"token {server.token}"}
        assert fetch(server, credentials, path=f"/user/ada/{PATH}")[2] == MODULE.read_bytes()
        assert fetch(server, credentials)[0] == 404
