"""The Jupyter server extension; everything in this folder runs in the Jupyter server process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InvalidConfig

if TYPE_CHECKING:
    from .service import WebRTCService

SERVICE_KEY = "forge_rtc_nb_service"
"""Where the tornado settings of the server hold the service."""


def get_webrtc(serverapp: Any) -> WebRTCService:
    """The WebRTC service of a running Jupyter server, for other extensions.

    ``serverapp`` is the `jupyter_server.serverapp.ServerApp`. Raises `InvalidConfig` where the extension is not
    loaded (yet).

    Example::

        room = await get_webrtc(self.serverapp).create_room("lecture", max_participants=30)
    """
    service: WebRTCService | None = serverapp.web_app.settings.get(SERVICE_KEY)
    if service is None:
        raise InvalidConfig(
            "the forge_rtc_nb server extension is not loaded in this server; enable it with "
            "`jupyter server extension enable forge_rtc_nb`, and call get_webrtc after the extensions were loaded"
        )
    return service
