"""The JavaScript module for authors of pages: who gets it, as what, and where it lies (test process)."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from forge_rtc_nb.server.handlers import MODULE
from tests.server.conftest import ENABLED, ROOT, make_server
from tests.support import JupyterProcess, chromium_path

PATH = "forge-rtc/static/forge_rtc.js"
CHROMIUM = [
    "--no-sandbox",
    "--disable-background-networking",
    "--no-first-run",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # not every machine resolves the names that stand for addresses
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
EXCHANGE = """
  const { joinRoom } = await import(URL.createObjectURL(blob));
  const [ann, bob] = [await joinRoom(id, { name: "Ann", ...way }), await joinRoom(id, { name: "Bob", ...way })];
  const [one, other] = [await ann.channel("spectra"), await bob.channel("spectra")];
  const told = () => ann.participants.some(({ channels }, i) => i > 0 && channels.includes("spectra"));
  while (!told()) await new Promise((resolve) => ann.addEventListener("updated", resolve, { once: true }));
  const limit = { timeout: 20 };
  await one.send(Float32Array.of(1, 2, 3), limit);
  const { value, sender } = await other.receive(limit);
  const third = await joinRoom(id, { name: "Carol", ...way });
  const refusal = await third.channel("spectra", { maxsize: 3 }).catch((error) => [error.code, error.message]);
  for (const room of [ann, bob, third]) room.leave();
  return { shape: value.shape, data: [...value.data], sender: sender.name, refusal };
}"""
AS_A_WIDGET_DOES = (
    """async ([id]) => {
  const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  const { href } = new URL(`${baseUrl}forge-rtc/static/forge_rtc.js`, location.href);
  const blob = new Blob([`export * from ${JSON.stringify(href)}`], { type: "text/javascript" });
  const way = {};
"""
    + EXCHANGE
)
AS_ANOTHER_PAGE_DOES = (
    """async ([id, server, token]) => {
  const headers = { Authorization: `token ${token}` };
  const blob = await (await fetch(`${server}forge-rtc/static/forge_rtc.js`, { headers })).blob();
  const way = { server, token };
"""
    + EXCHANGE
)


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


def exchange(url: str, script: str, *arguments: str) -> None:
    """Have a page import the module and send an array from one participant of its to another."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM)
        page = browser.new_page()
        page.goto(url, wait_until="domcontentloaded")
        seen = page.evaluate(script, list(arguments))
        browser.close()
    assert (seen["shape"], seen["data"], seen["sender"]) == ([3], [1, 2, 3], "Ann")
    code, words = seen["refusal"]
    assert code == "channel-options"
    assert "channel 'spectra' is open with ordered=True" in words


def test_a_widget_imports_it_and_exchanges_arrays(server: JupyterProcess, room: str) -> None:
    # The modules of widgets have blob: URLs: what they import is asked for without a Referer.
    exchange(f"{server.url}lab?token={server.token}", AS_A_WIDGET_DOES, room)


class EmptyPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of a page that is no Jupyter server's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


def test_any_page_that_the_server_allows_and_that_has_its_token_does_so(tmp_path: Path, elsewhere: str) -> None:
    with make_server(tmp_path, f"--ServerApp.allow_origin={elsewhere}") as server:
        exchange(elsewhere, AS_ANOTHER_PAGE_DOES, "r", server.url, server.token)
