"""Anybody can send datagrams to the engine's ports: the stream goes on (test process)."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator

import psutil

from tests.browser.faults.conftest import Live

STUN_COOKIE = 0x2112A442


def rubbish(chance: random.Random) -> Iterator[bytes]:
    """One of each kind: nothing, noise, and what begins as STUN, DTLS, RTP and RTCP do (RFC 7983)."""
    noise = chance.randbytes(chance.randrange(1, 1400))
    number = chance.randbytes(12)
    yield b""
    yield noise
    yield bytes([chance.randrange(20, 64)]) + noise  # no DTLS record
    yield struct.pack("!BHHIH", 22, 0xFEFD, 0, 1, len(noise) + 10) + noise  # a handshake that ends early
    yield struct.pack("!BHHQH", 21, 0xFEFD, 1, 7, 2)[:11] + b"\x00\x02\x01\x00"  # close_notify of nobody
    yield bytes([128 | chance.randrange(64), chance.randrange(96, 128)]) + noise  # RTP
    yield bytes([128, chance.randrange(200, 207)]) + noise  # RTCP
    yield struct.pack("!HHI", 0x0001, 0, STUN_COOKIE) + number[:5]  # a truncated binding request
    yield struct.pack("!HHI", 0x0001, 8, STUN_COOKIE) + number + struct.pack("!HH", 6, 4) + b"a:b!"  # of nobody
    yield struct.pack("!HHI", 0x0001, 4, STUN_COOKIE) + number + struct.pack("!HH", 6, 4000)  # longer than it is
    yield struct.pack("!HHI", 0x0101, 0, STUN_COOKIE) + number  # a response to no request
    yield struct.pack("!HHI", 0x0111, 0, STUN_COOKIE) + number  # an error without a reason
    yield struct.pack("!HHI", 0x3FFF, 0, STUN_COOKIE) + number  # no such method


def addresses(pid: int) -> list[tuple[str, int]]:
    """The UDP ports of a process."""
    return [(str(entry.laddr[0]), int(entry.laddr[1])) for entry in psutil.Process(pid).net_connections("udp")]


def test_garbage_on_the_media_port_is_no_end(live: Live) -> None:
    engine = live.ask("__import__('forge_rtc_nb.kernel.engine_client', fromlist=['x']).engines._client.pid")
    ports = addresses(engine)
    assert ports
    chance = random.Random(3)
    start = time.time()
    for _ in range(150):
        for ip, port in ports:
            with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for datagram in rubbish(chance):
                    sender.sendto(datagram, (ip, port))
    after = time.time()
    live.frames_since(after, 10, count=60)
    assert live.ask(f"reader.gap({start})") < 3
    assert live.ask("reader.said('error')") == []
    assert addresses(engine) == ports, "the connection was replaced"
