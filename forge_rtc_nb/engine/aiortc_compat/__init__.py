"""All that touches privates of aiortc and aioice (engine process); each piece has a test that fails when they change."""

import os

from .closing import close_connection
from .datachannels import install_channel_fixes
from .network import install_network_fixes
from .receiver import LiveReceiver, VideoSink, install_live_receiver
from .sctp_transport import install_fast_channels

__all__ = ["LiveReceiver", "VideoSink", "close_connection", "install"]


def install() -> None:
    """Put our parts in the place of aiortc's; once a process, before the first peer connection."""
    install_network_fixes()
    install_live_receiver()
    install_channel_fixes()
    if os.environ.get("FORGE_RTC_DATA_CHANNELS") == "fast":
        install_fast_channels()
