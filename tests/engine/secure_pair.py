"""Two ends of a DTLS connection in one process, connected as aiortc connects them, without a network (test process)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from forge_rtc_nb.engine.datachannel.udp import Run, join


def connect() -> tuple[SSL.Connection, SSL.Connection]:
    """Client and server, after the handshake."""
    client, server = _end(), _end()
    client.set_connect_state()
    server.set_accept_state()
    ends = [(client, server), (server, client)]
    done: set[SSL.Connection] = set()
    while len(done) < 2:
        for near, far in ends:
            with suppress(SSL.WantReadError):
                near.do_handshake()
                done.add(near)
            carry(near, far)
    return client, server


def carry(near: SSL.Connection, far: SSL.Connection) -> None:
    """What one end has to send, all at once."""
    with suppress(SSL.WantReadError):
        far.bio_write(near.bio_read(65536))


def as_read(datagrams: Iterable[bytes | bytearray]) -> tuple[bytearray, list[Run]]:
    """As a socket would have read them together."""
    buffer, runs = bytearray(), list[Run]()
    for datagram in datagrams:
        join(runs, len(buffer), len(buffer) + len(datagram), len(datagram))
        buffer += datagram
    return buffer, runs


def _end() -> SSL.Connection:
    certificate: Any = RTCCertificate.generateCertificate()
    return SSL.Connection(certificate._create_ssl_context(SRTP_PROFILES))
