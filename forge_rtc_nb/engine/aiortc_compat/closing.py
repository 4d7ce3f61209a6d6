"""Closes an RTCPeerConnection for good, also one whose description was half applied (engine process)."""

from __future__ import annotations

import logging
from typing import Any

from aiortc import RTCPeerConnection

logger = logging.getLogger(__name__)


async def close_connection(pc: RTCPeerConnection) -> None:
    """Like ``pc.close()``, which stops at the first part that raises and would leave the others' sockets and threads."""
    try:
        await pc.close()
        return
    except Exception as error:
        logger.info("a connection is closed part by part: %r", error)
    privates: Any = pc
    parts: list[Any] = [
        *pc.getTransceivers(),
        *privates._RTCPeerConnection__dtlsTransports,
        *privates._RTCPeerConnection__iceTransports,
    ]
    for part in parts:
        try:
            await part.stop()
        except Exception as error:
            logger.info("%s: %r", type(part).__name__, error)
    pc.remove_all_listeners()
