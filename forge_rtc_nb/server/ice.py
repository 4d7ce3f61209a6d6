"""The ICE servers that clients are told: reads, expands and checks the settings; Jupyter server process."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from ..errors import InvalidConfig
from ..protocol import IceServer

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST_LABELS = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?)*\.?"
)
_URL = re.compile(r"(?P<scheme>stuns?|turns?):(?P<host>\[[^\]]*\]|[^:?\[\]/@]+)(:(?P<port>[0-9]{1,5}))?(?P<query>\?.*)?")

Where = str
"""Names a setting in an error: its path, and the file it stands in."""


class IceServers:
    """The present list of ICE servers.

    The traits are read at each call and the settings file again whenever it changed, so that short-lived
    credentials can be exchanged while the server runs. A list that became wrong meanwhile is logged and the last
    good one stays.
    """

    def __init__(self, source: Callable[[], tuple[Any, Any, str]], origin: Callable[[str], str], log: logging.Logger):
        self._source = source
        """Gives the values of stun_servers, turn_servers and settings_file."""
        self._origin = origin
        """Says where a trait of that name was set ("in <file>"), for error messages."""
        self._log = log
        self._file: tuple[tuple[str, int, int], Any] | None = None
        self._last_problem = ""
        self._good = self.load()

    def load(self) -> list[IceServer]:
        """The list out of the present settings, or `InvalidConfig`."""
        stun, turn, settings_file = self._source()
        servers = parse_servers(stun, turn, lambda name: f"c.ForgeRTC.{name}", self._origin)
        if settings_file:
            section = self._section(settings_file)
            servers += parse_servers(
                section.get("stun_servers", []),
                section.get("turn_servers", []),
                lambda name: f"extensions.webrtc.{name}",
                lambda name: f"in {settings_file}",
            )
        return servers

    def current(self) -> list[IceServer]:
        """The list for a client that asks now; never fails."""
        try:
            self._good, self._last_problem = self.load(), ""
        except InvalidConfig as problem:
            if str(problem) != self._last_problem:
                self._log.error("forge_rtc_nb: the ICE servers stay as they were: %s", problem)
                self._last_problem = str(problem)
        return self._good

    def _section(self, settings_file: str) -> Mapping[str, Any]:
        path = Path(settings_file).expanduser()
        try:
            status = path.stat()
            version = (settings_file, status.st_mtime_ns, status.st_size)
            if self._file is None or self._file[0] != version:
                self._file = (version, read_settings_file(path))
        except (OSError, UnicodeError) as problem:
            raise InvalidConfig(f"c.ForgeRTC.settings_file: {path} cannot be read: {problem}") from None
        section: Mapping[str, Any] = self._file[1]
        return section


def read_settings_file(path: Path) -> Mapping[str, Any]:
    """The section ``extensions: webrtc:`` of a YAML file."""
    try:
        section = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as problem:
        raise InvalidConfig(f"c.ForgeRTC.settings_file: {path} is not YAML: {' '.join(str(problem).split())}") from None
    for key in ("extensions", "webrtc"):
        section = section.get(key) if isinstance(section, dict) else None
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise InvalidConfig(f"extensions.webrtc in {path} must be a mapping of stun_servers and turn_servers")
    unknown = set(section) - {"stun_servers", "turn_servers"}
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise InvalidConfig(f"extensions.webrtc in {path} knows stun_servers and turn_servers, but not {names}")
    return section


def parse_servers(stun: Any, turn: Any, label: Callable[[str], str], origin: Callable[[str], str]) -> list[IceServer]:
    """Checked ICE servers out of the two settings; ``label`` and ``origin`` name them in `InvalidConfig`."""
    servers = []
    for index, url in enumerate(_list(stun, label("stun_servers"), origin("stun_servers"))):
        servers.append(IceServer(urls=[_url(url, "stun", f"{label('stun_servers')}[{index}]", origin("stun_servers"))]))
    for index, entry in enumerate(_list(turn, label("turn_servers"), origin("turn_servers"))):
        servers.append(_turn_server(entry, f"{label('turn_servers')}[{index}]", origin("turn_servers")))
    return servers


def _turn_server(entry: Any, where: Where, origin: str) -> IceServer:
    if not isinstance(entry, dict) or not set(entry) <= {"urls", "username", "credential"}:
        raise InvalidConfig(f"{where} {origin} must be a mapping with urls, username and credential")
    urls = entry.get("urls")
    urls = _list([urls] if isinstance(urls, str) else urls, f"{where}.urls", origin)
    checked = [_url(url, "turn", f"{where}.urls", origin) for url in urls]
    if not checked:
        raise InvalidConfig(f"{where}.urls {origin} is empty")
    # A browser refuses a TURN server without both (W3C WebRTC 1.0, set a configuration).
    return IceServer(
        urls=checked,
        username=_text(entry.get("username"), f"{where}.username", origin),
        credential=_text(entry.get("credential"), f"{where}.credential", origin),
    )


def _url(value: Any, family: Literal["stun", "turn"], where: Where, origin: str) -> str:
    return check_url(_text(value, where, origin), family, f"{where} {origin}")


def _list(value: Any, where: Where, origin: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidConfig(f"{where} {origin} must be a list")
    return list(value)


def _text(value: Any, where: Where, origin: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidConfig(f"{where} {origin} must be a text that is not empty")
    return expand(value, f"{where} {origin}")


def expand(text: str, where: Where, environ: Mapping[str, str] | None = None) -> str:
    """``text`` with each ``${VAR}`` replaced by that environment variable; ``$${`` stands for ``${`` itself."""
    variables = os.environ if environ is None else environ

    def value(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name = match.group(1)
        if name is None or not _VARIABLE_NAME.fullmatch(name):
            raise InvalidConfig(f"{where}: {match.group()!r} is no variable; write ${{NAME}}, or $${{ for a plain ${{")
        if name not in variables:
            raise InvalidConfig(f"{where}: the environment variable {name} is not set")
        return variables[name]

    return _VARIABLE.sub(value, text)


def check_url(url: str, family: Literal["stun", "turn"], where: Where) -> str:
    """The URL itself, when it is one of RFC 7064 (``stun``) or RFC 7065 (``turn``); else `InvalidConfig`."""
    match = _URL.fullmatch(url)
    problem = None
    if not match or match["scheme"].rstrip("s") != family:
        problem = f"it reads {family}:host, {family}:host:port or {family}s:..., without //"
    elif not _is_host(match["host"]):
        problem = f"{match['host']!r} is no host name or address"
    elif match["port"] is not None and not 0 < int(match["port"]) < 65536:
        problem = f"{match['port']} is no port"
    elif match["query"] and (family == "stun" or match["query"] not in ("?transport=udp", "?transport=tcp")):
        problem = "only a turn URL may end in ?transport=udp or ?transport=tcp"
    if problem:
        raise InvalidConfig(f"{where}: {url!r} is no {family} URL: {problem}")
    return url


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            return bool(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return False
    return bool(_HOST_LABELS.fullmatch(host))
