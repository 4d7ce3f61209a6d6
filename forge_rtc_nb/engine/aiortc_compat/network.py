"""Holes in aioice's use of sockets, closed (engine process)."""

from __future__ import annotations

from typing import Any

import aioice.ice as ice

MOST_MEDIA = 1500
"""Bytes of a media packet that pylibsrtp takes."""

_original_addresses = ice.get_host_addresses
_original_received = ice.StunProtocol.datagram_received


def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """The machine's addresses; 127.0.0.1 where there is no other, so that a machine without a network still works."""
    addresses = _original_addresses(use_ipv4, use_ipv6)
    return addresses or (["127.0.0.1"] if use_ipv4 else ["::1"])


def is_deadly(datagram: bytes) -> bool:
    """Whether aiortc would end the connection over it, though anybody can send it: an empty one, or what looks like media
    (RFC 7983) and has more bytes than pylibsrtp takes, for which it raises an error of a kind that nobody expects."""
    return not datagram or (len(datagram) > MOST_MEDIA and 128 <= datagram[0] <= 191)


def datagram_received(self: ice.StunProtocol, data: bytes | str, addr: tuple[Any, ...]) -> None:
    """`StunProtocol.datagram_received` for what does no harm."""
    if isinstance(data, bytes) and not is_deadly(data):
        _original_received(self, data, addr)


def install_network_fixes() -> None:
    ice.get_host_addresses = host_addresses
    ice.StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign]
