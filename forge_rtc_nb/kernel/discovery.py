"""Lists the ways by which this kernel may enter a Jupyter server; runs in the kernel, opens no connection.

The order is the one of `join`'s documentation; the engine tries the ways one after the other.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from ..control import Way
from ..errors import InvalidConfig

WAY_OUT = 'rtc.join(..., server="http://127.0.0.1:8888/?token=...") takes the URL that `jupyter server list` prints'


def candidates(
    server: str | None, token: str | None, environ: Mapping[str, str], runtime_dir: Callable[[], Path]
) -> tuple[list[Way], list[str]]:
    """The ways in, best first, and one sentence for each way that is not there.

    ``server`` and ``token`` are `join`'s arguments; given a server, it is the only way. ``runtime_dir`` is asked for
    only when the running servers are looked at. Raises `InvalidConfig` where ``server`` cannot be a server's URL.

    >>> candidates("http://127.0.0.1:8888/lab?token=abc", None, {}, default_runtime_dir)
    ([Way('the server= argument', 'http://127.0.0.1:8888/')], [])
    """
    if server is not None:
        return [_explicit(server, token, environ)], []
    if token is not None:
        raise InvalidConfig(f"token= goes with server=: {WAY_OUT}")
    ways: list[Way] = []
    missing: list[str] = []
    for found in (_extension(environ), _hub(environ, runtime_dir), _parent(environ, runtime_dir)):
        if isinstance(found, Way):
            ways.append(found)
        else:
            missing.append(found)
    return ways, missing


def default_runtime_dir() -> Path:
    """Where Jupyter servers of this user leave their files."""
    from jupyter_core.paths import jupyter_runtime_dir  # 30 ms that only the last way needs

    return Path(jupyter_runtime_dir())


def _explicit(server: str, token: str | None, environ: Mapping[str, str]) -> Way:
    url, url_token = base_url(server)
    return Way("the server= argument", url, token or url_token or environ.get("FORGE_RTC_TOKEN") or None)


def _extension(environ: Mapping[str, str]) -> Way | str:
    url, secret = environ.get("FORGE_RTC_SERVER_URL"), environ.get("FORGE_RTC_SERVER_SECRET")
    if url and not url.startswith(("http://", "https://")):
        return "the extension's environment: its server listens on a Unix socket, which a kernel cannot use yet"
    if url and secret:
        return Way("the extension's environment", _slashed(url), secret=secret)
    return (
        "the extension's environment: this process was not started by a Jupyter server in which forge_rtc_nb is "
        "enabled (`jupyter server extension list` shows it)"
    )


def _hub(environ: Mapping[str, str], runtime_dir: Callable[[], Path]) -> Way | str:
    token = environ.get("JUPYTERHUB_API_TOKEN")
    if not token:
        return "JupyterHub: this is not a kernel of one (JUPYTERHUB_API_TOKEN is not set)"
    url = _hub_url(environ)
    if url is None:
        # The hub let the server choose its port: only the server's own file tells it.
        running = _running(environ, runtime_dir)
        if isinstance(running, str):
            return f"JupyterHub: it does not say where this user's server is (JUPYTERHUB_SERVICE_URL); {running}"
        url = running[0]
    return Way("JupyterHub", url, token)


def _hub_url(environ: Mapping[str, str]) -> str | None:
    """Where the user's server listens, reachable from its own machine; None where the hub does not say."""
    try:
        parts = urlsplit(environ.get("JUPYTERHUB_SERVICE_URL", ""))
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or port == 0:
        return None
    netloc = parts.netloc
    if _is_any_address(parts.hostname or ""):
        # Told to listen on every address: nobody can connect to that one, but this machine's own is among them.
        netloc = "127.0.0.1" if port is None else f"127.0.0.1:{port}"
    path = environ.get("JUPYTERHUB_SERVICE_PREFIX") or parts.path
    return _slashed(urlunsplit((parts.scheme, netloc, path, "", "")))


def _is_any_address(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == "*"


def _parent(environ: Mapping[str, str], runtime_dir: Callable[[], Path]) -> Way | str:
    running = _running(environ, runtime_dir)
    if isinstance(running, str):
        return f"a running server: {running}"
    url, token = running
    how = f"the running server with pid {environ['JPY_PARENT_PID']}"
    if not token:
        return f"{how}: it has no token (a password login, or JupyterHub), so there is nothing to enter with"
    return Way(how, url, token)


def _running(environ: Mapping[str, str], runtime_dir: Callable[[], Path]) -> tuple[str, str] | str:
    """URL and token (maybe empty) of the server that started this kernel, or why they are not known."""
    pid = environ.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return "no Jupyter server started this process (JPY_PARENT_PID is not set)"
    file = runtime_dir() / f"jpserver-{pid}.json"
    try:
        info = json.loads(file.read_text("utf-8"))
        url, token = str(info["url"]), str(info["token"])
    except FileNotFoundError:
        return f"the one with pid {pid} left no {file.name} in {file.parent}: it runs elsewhere, or as another user"
    except (OSError, ValueError, TypeError, KeyError) as error:
        return f"{file} cannot be read ({type(error).__name__})"
    if not url.startswith(("http://", "https://")):
        return f"the one with pid {pid} listens on a Unix socket, which a kernel cannot use yet"
    return _slashed(url), token


def base_url(server: str) -> tuple[str, str | None]:
    """The server's base URL and the token, out of whatever URL of that server a person copied.

    >>> base_url("http://127.0.0.1:8888/user/jo/lab/tree/x.ipynb?token=abc")
    ('http://127.0.0.1:8888/user/jo/', 'abc')
    """
    # Never quote what was given: it may hold a token.
    try:
        parts = urlsplit(server.strip())
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidConfig(f"server= is not an http:// or https:// URL of a Jupyter server: {WAY_OUT}")
    if "@" in parts.netloc:
        raise InvalidConfig(f"server= holds a user name or password, which Jupyter does not use: {WAY_OUT}")
    segments = [segment for segment in parts.path.split("/") if segment]
    if "hub" in segments and "user" not in segments[: segments.index("hub")]:
        raise InvalidConfig("server= is a page of the hub: give the address of your own server, https://HOST/user/NAME/")
    path = "/".join(["", *segments[: _page_start(segments)]])
    token = parse_qs(parts.query).get("token", [None])[-1]
    return _slashed(urlunsplit((parts.scheme, parts.netloc, path, "", ""))), token


def _page_start(segments: list[str]) -> int:
    """Index of the segment with which Jupyter's own pages begin; all before it is the base URL."""
    # What follows "user" is a name, though it be "lab".
    first = segments.index("user") + 2 if "user" in segments else 0
    for is_page in (_is_main_page, _is_other_page):
        for index in range(first, len(segments)):
            if is_page(segments[index:]):
                return index
    return len(segments)


def _is_main_page(segments: list[str]) -> bool:
    return segments[0] == "tree" or (
        segments[0] in {"lab", "doc"} and (len(segments) == 1 or segments[1] in {"tree", "workspaces"})
    )


def _is_other_page(segments: list[str]) -> bool:
    if segments[0] in {"login", "logout"}:
        return len(segments) == 1
    # With nothing behind it each of these may as well be a base URL that somebody chose.
    pages = {"api", "consoles", "edit", "files", "forge-rtc", "nbclassic", "notebooks", "terminals", "view", "voila"}
    return segments[0] in pages and len(segments) > 1


def _slashed(url: str) -> str:
    return url if url.endswith("/") else url + "/"
