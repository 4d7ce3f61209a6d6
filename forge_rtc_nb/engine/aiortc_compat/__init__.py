"""All that touches privates of aiortc and aioice (engine process); each piece has a test that fails when they change."""

from .closing import close_connection
from .network import install_network_fixes
from .packet_sender import PacketTrack, install_packet_sender, packet_track
from .packet_size import heed_packet_size
from .receiver import LiveReceiver, Sink, install_live_receiver
from .sctp_transport import install_fast_channels

__all__ = ["LiveReceiver", "PacketTrack", "Sink", "close_connection", "heed_packet_size", "install", "packet_track"]


def install() -> None:
    """Put our parts in the place of aiortc's; once a process, before the first peer connection."""
    install_network_fixes()
    install_live_receiver()
    install_fast_channels()
    install_packet_sender()
