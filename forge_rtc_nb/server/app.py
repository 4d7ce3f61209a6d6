"""The extension application: settings as traits, start and stop; Jupyter server process."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Dict, Float, Int, List, TraitError, Unicode

from ..errors import InvalidConfig
from ..protocol import MAX_MESSAGE
from ..tickets import MAX_RESUME_SECONDS, MAX_TICKET_SECONDS
from . import SERVICE_KEY
from .handlers import ROUTES
from .ice import IceServers
from .service import WebRTCService
from .settings import Settings
from .tickets import TicketOffice, load_key

URL_VARIABLE = "FORGE_RTC_SERVER_URL"
SECRET_VARIABLE = "FORGE_RTC_SERVER_SECRET"
CERTIFICATE_VARIABLE = "FORGE_RTC_SERVER_CERTIFICATE"

MAX_DATA = 2**53 - 1
"""The largest whole number that JavaScript is sure of: a welcome with a larger one would be refused there."""


class ForgeRTC(ExtensionApp):
    """WebRTC for notebooks: rooms, signaling, and the tickets with which kernels and tabs enter them."""

    name = "forge_rtc_nb"
    load_other_extensions = True

    stun_servers = List(
        Unicode(),
        help="""STUN servers that clients may use, as URLs of RFC 7064 ("stun:stun.example.com:3478").

        Default: none, which is right where kernel and browser reach each other directly. ${VAR} stands for an
        environment variable.""",
    ).tag(config=True)

    turn_servers = List(
        Dict(),
        help="""TURN servers that clients may use: mappings of urls (RFC 7065), username and credential.

        Default: none. ${VAR} stands for an environment variable; every client that is in a room is told the
        credentials, so make them short-lived.""",
    ).tag(config=True)

    settings_file = Unicode(
        "",
        help="""A YAML file with stun_servers and turn_servers under extensions: webrtc:, added to those set here.

        Relative to the folder in which the server was started. It is read again when it changes. Empty: none.""",
    ).tag(config=True)

    max_message_bytes = Int(
        MAX_MESSAGE,
        min=1024,
        max=MAX_MESSAGE,
        help="Bytes in one signaling message, at most 65536 (the default).",
    ).tag(config=True)

    hello_seconds = Float(
        5.0,
        min=0.1,
        help="Seconds that a new connection has for its first message, the hello. Default 5.",
    ).tag(config=True)

    burst = Int(100, min=1, help="Messages that one participant may send at once. Default 100.").tag(config=True)

    messages_per_second = Float(
        50.0,
        min=0.1,
        help="Messages a second that one participant may send beyond the burst. Default 50.",
    ).tag(config=True)

    outbound_bytes = Int(
        1024 * 1024,
        min=4 * MAX_MESSAGE,
        help="""Bytes that may wait for one client that reads slowly, or that is reconnecting; at least 262144. Half of
        it is for what others send, of one sender at most a quarter. Default 1 MiB.""",
    ).tag(config=True)

    max_data_bytes = Int(
        1024**3,
        min=1,
        max=MAX_DATA,
        help="""Bytes in one message of a channel. Such messages go from participant to participant, so that it is they who
        refuse longer ones, to send and to receive. Default 1024 MiB.""",
    ).tag(config=True)

    max_shared_bytes = Int(
        1024**3,
        min=1,
        max=MAX_DATA,
        help="""Bytes in the shared mapping of one room altogether. Every kernel in the room holds them: more needs memory in
        each. Default 1024 MiB.""",
    ).tag(config=True)

    max_rooms = Int(1000, min=1, help="Rooms open at the same time. Default 1000.").tag(config=True)

    max_participants = Int(
        64,
        min=1,
        help="Participants of one room: every tab and every kernel is one. Default 64.",
    ).tag(config=True)

    max_connections_per_user = Int(
        16,
        min=1,
        help="""Connected participants of one user in all rooms together; with those that are reconnecting twice as many.
        A user may join twice as often at once, then an eighth of it a second. All who share the server's token are one
        user. Default 16.""",
    ).tag(config=True)

    max_pending_per_address = Int(
        32,
        min=1,
        help="""Connections from one address that have shown neither Jupyter credentials nor a ticket yet.
        Default 32.""",
    ).tag(config=True)

    ping_seconds = Float(10.0, min=0.05, help="Seconds between WebSocket pings. Default 10.").tag(config=True)

    dead_seconds = Float(
        30.0,
        min=0.1,
        help="Seconds of silence, pongs included, after which a connection counts as broken. Default 30.",
    ).tag(config=True)

    resume_seconds = Float(
        30.0,
        min=0.0,
        help="""Seconds for which a participant whose connection broke is kept, so that it can come back unnoticed.
        Default 30; 0: it has left at once.""",
    ).tag(config=True)

    empty_room_seconds = Float(
        60.0,
        min=0.0,
        help="Seconds for which a room stays when nobody is in it. Default 60; 0: it ends with its last participant.",
    ).tag(config=True)

    ticket_seconds = Float(
        MAX_TICKET_SECONDS,
        min=1.0,
        max=MAX_TICKET_SECONDS,
        help="Seconds for which a ticket can be used (once). Default and most: 60.",
    ).tag(config=True)

    resume_token_seconds = Float(
        MAX_RESUME_SECONDS,
        min=1.0,
        max=MAX_RESUME_SECONDS,
        help="""Seconds after its last hello for which a participant can come back under the same id, also after a
        restart of the server. Default and most: 43200 (12 hours).""",
    ).tag(config=True)

    service: WebRTCService
    _exported: dict[str, str]

    def _link_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        try:
            super()._link_jupyter_server_extension(serverapp)
        except TraitError as problem:
            self.serverapp = serverapp
            self._refuse(InvalidConfig(f"c.ForgeRTC: {problem}"))

    def initialize_settings(self) -> None:
        """Build the service out of the traits; settings that cannot be used stop the server."""
        self._exported = {}
        try:
            self.service = self._build_service()
        except InvalidConfig as problem:
            self._refuse(problem)
        self.settings[SERVICE_KEY] = self.service

    def initialize_handlers(self) -> None:
        """Add the endpoints."""
        self.handlers.extend(ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        # Only now the port is known: jupyter_server tries others when the wanted one is taken.
        self.service.tickets.server = server_name(serverapp)
        self._exported = local_access(serverapp, self.service.tickets.kernel_secret)
        os.environ.update(self._exported)

    async def stop_extension(self) -> None:
        """End all connections and take back what kernels inherit."""
        for name, value in self._exported.items():
            if os.environ.get(name) == value:
                del os.environ[name]
        self._exported = {}
        await self.service.close()

    def current_activity(self) -> dict[str, int] | None:
        """Keep a server with `shutdown_no_activity_timeout` alive while somebody is in a room."""
        return {"participants": self.service.participants} if self.service.participants else None

    def _build_service(self) -> WebRTCService:
        app = self._server()
        try:
            key = load_key(Path(app.runtime_dir), app.log)
        except OSError as problem:
            raise InvalidConfig(f"the signing key in Jupyter's runtime folder cannot be used: {problem}") from None
        settings = Settings(**{name: getattr(self, name) for name in Settings.__dataclass_fields__})
        tickets = TicketOffice(key, ticket_seconds=settings.ticket_seconds, resume_seconds=settings.resume_token_seconds)
        ice = IceServers(lambda: (self.stun_servers, self.turn_servers, self.settings_file), self._origin, app.log)
        return WebRTCService(settings, tickets, ice, app.log)

    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # jupyter_server links before it initializes
        return self.serverapp

    def _refuse(self, problem: InvalidConfig) -> None:
        """Stop the server with one line: jupyter_server would go on without the extension, 200 lines of log away."""
        app = self._server()
        if app.reraise_server_extension_failures:
            raise problem
        app.log.critical("forge_rtc_nb: %s", problem)
        app.exit(1)

    def _origin(self, trait: str) -> str:
        """The configuration files that mention a trait, for error messages."""
        files = [*self._server().loaded_config_files, *self.loaded_config_files]
        naming = [name for name in dict.fromkeys(files) if trait in Path(name).read_text(errors="replace")]
        return "in " + " or ".join(naming) if naming else "on the command line"


def server_name(serverapp: Any) -> str:
    """What tells this server from others of the same account, also after its restart."""
    return str(os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or serverapp.sock or serverapp.port)


def local_access(serverapp: Any, secret: str) -> dict[str, str]:
    """Environment variables with which a kernel that the server starts on this machine reaches it."""
    variables = {URL_VARIABLE: local_url(serverapp), SECRET_VARIABLE: secret}
    if serverapp.certfile and not serverapp.sock:
        # Made for a public name, often self-signed: a kernel trusts this very certificate, whatever name it has.
        variables[CERTIFICATE_VARIABLE] = str(Path(serverapp.certfile).absolute())
    return variables


def local_url(serverapp: Any) -> str:
    """The server's base URL as seen from this machine: http, https or http+unix, ending in a slash."""
    if serverapp.sock:
        return f"http+unix://{urllib.parse.quote(serverapp.sock, safe='')}{serverapp.base_url}"
    address = serverapp.ip
    if address in ("", "0.0.0.0", "localhost", "*"):
        address = "127.0.0.1"
    elif address == "::":
        address = "::1"
    host = f"[{address}]" if ":" in address else address
    scheme = "https" if serverapp.certfile else "http"
    return f"{scheme}://{host}:{serverapp.port}{serverapp.base_url}"
