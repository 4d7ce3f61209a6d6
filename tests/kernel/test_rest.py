"""REST calls of a kernel: credentials go where they belong, and every failure says what to do."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from forge_rtc_nb.control import Way
from forge_rtc_nb.errors import Forbidden, RoomNotFound, RTCTimeout, SignalingError, Unauthorized
from forge_rtc_nb.rest import rest
from tests.support import free_port

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Way]:
    """A web server that gives one answer to everything; yields a way with a token into it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Way("the test server", f"{scheme}://127.0.0.1:{server.server_port}/base/", token="t0ken")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(status: int, body: str = "", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def test_the_token_goes_in_the_header_and_nowhere_else() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["Authorization"]))
        reply(200, '[{"id": "a"}]')(handler)

    with serving(answer) as way:
        assert rest(way, "GET", "rooms") == [{"id": "a"}]
    assert seen == [("/base/forge-rtc/api/rooms", "token t0ken")]


def test_a_secret_signs_a_ticket_and_stays_at_home() -> None:
    seen: list[str] = []
    secret = "0123456789abcdef0123456789abcdef"

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        reply(200, "[]")(handler)

    with serving(answer) as way:
        rest(Way("env", way.url, secret=secret), "GET", "rooms", room="lab-1")
    scheme, _, ticket = seen[0].partition(" ")
    claims = jwt.decode(ticket, secret, ["HS256"], audience="forge_rtc_nb")
    assert (scheme, claims["room"], claims["kind"]) == ("ForgeRTC-Ticket", "lab-1", "kernel")
    assert secret not in seen[0]


def test_an_empty_answer_is_none() -> None:
    with serving(reply(204)) as way:
        assert rest(way, "GET", "rooms/a") is None


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (reply(401), Unauthorized, "token=TOKEN"),
        (reply(403), Forbidden, "does not accept the token"),
        (reply(404, "<html>"), SignalingError, "jupyter server extension enable forge_rtc_nb"),
        (reply(404, '{"message": "no such room", "code": "room-not-found"}'), RoomNotFound, "no such room"),
        (reply(500, '{"message": "bad day"}'), SignalingError, "HTTP 500: bad day"),
        (reply(200, "<html>"), SignalingError, "base URL"),
    ],
)
def test_a_refusal_says_what_to_do(answer: Answer, error: type[Exception], words: str) -> None:
    with serving(answer) as way, pytest.raises(error, match=words) as caught:
        rest(way, "GET", "rooms")
    assert "t0ken" not in str(caught.value)


def test_a_redirect_is_a_login_page_and_never_gets_the_token() -> None:
    asked: list[str] = []
    with (
        serving(lambda handler: asked.append(handler.path)) as elsewhere,
        serving(reply(302, Location=elsewhere.url)) as way,
        pytest.raises(Unauthorized, match="wants a login"),
    ):
        rest(way, "GET", "rooms")
    assert asked == []


def test_nobody_listens() -> None:
    way = Way("server=", f"http://127.0.0.1:{free_port()}/", token="t")
    with pytest.raises(SignalingError, match="is the Jupyter server running"):
        rest(way, "GET", "health")


def test_no_answer_in_time() -> None:
    release = threading.Event()
    with serving(lambda handler: (release.wait(10), None)[1]) as way:
        with pytest.raises(RTCTimeout, match=r"within 0\.2 s"):
            rest(way, "GET", "health", timeout=0.2)
        release.set()


def test_tls_towards_a_server_without_it() -> None:
    with serving(reply(200, "[]")) as way, pytest.raises(SignalingError, match="http://"):
        rest(Way("server=", way.url.replace("http:", "https:")), "GET", "health")


def test_a_certificate_of_nobody_we_trust(tmp_path: Path) -> None:
    with (
        serving(reply(200, "[]"), self_signed(tmp_path)) as way,
        pytest.raises(SignalingError, match="SSL_CERT_FILE"),
    ):
        rest(way, "GET", "health")


def test_the_local_server_is_known_by_the_certificate_file_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(reply(200, "[]"), self_signed(tmp_path)) as way:
        monkeypatch.setenv("FORGE_RTC_SERVER_CERTIFICATE", str(tmp_path / "server.pem"))
        assert rest(Way("env", way.url, secret="0123456789abcdef0123456789abcdef"), "GET", "rooms") == []
        with pytest.raises(SignalingError, match="not trusted"):
            rest(Way("server=", way.url, token="t0ken"), "GET", "rooms")


def test_a_proxy_from_the_environment_does_not_see_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with serving(reply(200, '{"status": "ok"}')) as way:
        assert rest(way, "GET", "health") == {"status": "ok"}


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
