"""How large the packets may be that a page gets, as its description says: docs/protocol.md, Packets (engine process)."""

from __future__ import annotations

import re
from typing import Any

from aiortc import RTCPeerConnection

_LINE = re.compile(r"^a=x-forge-packet-size:(\d{1,5})\r?$", re.MULTILINE)


def heed_packet_size(pc: RTCPeerConnection, sdp: str) -> None:
    """Has data channels of the connection use what it says, where the path carries it; before the description is set."""
    said = _LINE.search(sdp)
    transport: Any = pc.sctp
    if said is not None and transport is not None:
        transport.announced_packet = int(said[1])
