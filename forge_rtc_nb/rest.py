"""Small requests to the extension's REST interface, with the credentials of one way in; kernel and engine use it."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from .control import Way
from .errors import Forbidden, RTCError, RTCTimeout, SignalingError, Unauthorized

HOW_TO_ENABLE = "install forge_rtc_nb where that server runs, `jupyter server extension enable forge_rtc_nb`, restart it"
NOTHING_LISTENS = "nothing listens there; is the Jupyter server running, is the port right?"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the Authorization header to wherever it points; ours never redirects, login pages do."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def rest(way: Way, method: str, path: str, body: object | None = None, timeout: float = 5, room: str | None = None) -> Any:
    """The parsed JSON answer of ``{way.url}forge-rtc/api/{path}``; None where the answer is empty.

    ``timeout`` is in seconds; ``room`` is what a ticket minted from the way's secret is for.
    Raises the class that the server's error code stands for, else `Unauthorized`, `Forbidden`, `RTCTimeout`
    or `SignalingError`.

    >>> rest(way, "GET", "rooms")
    [{"id": "meeting-123", "participants": [...], "created_at": ...}]
    """
    request = urllib.request.Request(
        f"{way.url}forge-rtc/api/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Accept": "application/json", "Content-Type": "application/json", **_authorization(way, room)},
        method=method,
    )
    try:
        with _opener(way).open(request, timeout=timeout) as response:
            content = response.read()
    except urllib.error.HTTPError as error:
        raise _refusal(way, error) from None
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(way, error, timeout) from None
    return _parse(way, content)


def _authorization(way: Way, room: str | None) -> dict[str, str]:
    if way.token:
        return {"Authorization": f"token {way.token}"}
    if way.secret:
        from .tickets import mint_ticket  # with it comes `cryptography`: 20 ms that %load_ext need not wait for

        ticket = mint_ticket(way.secret, room=room or "any", user="kernel", kind="kernel")
        return {"Authorization": f"ForgeRTC-Ticket {ticket}"}
    return {}


def tls_context(way: Way) -> ssl.SSLContext | None:
    """What to trust beyond the system's authorities: the certificate file of the local server that started us.

    That server is known by its file, not by its name: we come by 127.0.0.1, which its certificate need not say.
    """
    certificate = os.environ.get("FORGE_RTC_SERVER_CERTIFICATE")
    if not certificate or way.secret is None or not way.url.startswith("https:"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    return context


def _opener(way: Way) -> urllib.request.OpenerDirector:
    # A proxy from the environment cannot reach this machine's loopback, and has no business with its token.
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), urllib.request.HTTPSHandler(context=tls_context(way))]
    if _is_loopback(urlsplit(way.url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _refusal(way: Way, error: urllib.error.HTTPError) -> RTCError:
    """The error of an answer that is not 2xx: the extension's own words where it gave them."""
    try:
        said = json.loads(error.read())
    except (OSError, ValueError):
        said = None
    where = f"{way.how} ({way.url})"
    message = str(said["message"]) if isinstance(said, dict) and said.get("message") else str(error.reason)
    if isinstance(said, dict) and said.get("code") in _BY_CODE:
        return _BY_CODE[said["code"]](f"{where}: {message}")
    if error.code == 401 or 300 <= error.code < 400:
        return Unauthorized(f"{where} wants a login: give the server's token, rtc.join(..., server=URL, token=TOKEN)")
    if error.code == 403:
        return Forbidden(f"{where} does not accept the token, or its user may not do this: {message}")
    if error.code == 404:
        return SignalingError(f"{where} has no forge_rtc_nb extension: {HOW_TO_ENABLE}")
    return SignalingError(f"{where} answered HTTP {error.code}: {message}")


def _unreachable(way: Way, error: Exception, timeout: float) -> RTCError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    where = f"{way.how} ({way.url})"
    if isinstance(reason, TimeoutError):
        return RTCTimeout(f"{where} did not answer within {timeout:g} s")
    if isinstance(reason, ConnectionRefusedError):
        return SignalingError(f"{where}: {NOTHING_LISTENS}")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return SignalingError(
            f"{where}: its TLS certificate is not trusted ({reason.verify_message}); "
            "name the authority's certificate in the environment variable SSL_CERT_FILE"
        )
    if isinstance(reason, ssl.SSLError):
        return SignalingError(f"{where}: no TLS connection ({reason}); should the URL start with http:// ?")
    if isinstance(reason, socket.gaierror):
        return SignalingError(f"{where}: there is no host of that name ({reason.strerror})")
    return SignalingError(f"{where} cannot be reached: {reason}")


def _parse(way: Way, content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        raise SignalingError(
            f"{way.how} ({way.url}) answered with a page instead of data: is this the base URL of a Jupyter server?"
        ) from None


_BY_CODE: dict[str, type[RTCError]] = {error.code: error for error in RTCError.__subclasses__()}
