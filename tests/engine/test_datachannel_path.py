"""The way of datagrams around aiortc's queues, on real connections: STUN, media and TURN go on as before (test process)."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aioice.ice
import pylibsrtp
import pytest
from aioice import stun
from aioice.turn import TurnTransport
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from forge_rtc_nb.engine.aiortc_compat import LiveReceiver
from forge_rtc_nb.engine.aiortc_compat.dtls_transport import FastDtlsTransport
from forge_rtc_nb.engine.aiortc_compat.network import MOST_MEDIA
from forge_rtc_nb.engine.datachannel.path_search import BASE
from forge_rtc_nb.engine.datachannel.udp_transport import UdpTransport
from tests.engine.fast_pair import FastPair, coturn, dtls, fast_pair, ice, run_on, sockets
from tests.engine.pairs import HandTrack, MemorySink
from tests.support import await_for

LOOPS = ["asyncio", "uvloop"]


def address(connection: RTCPeerConnection) -> tuple[str, int]:
    """Where its socket listens."""
    transport = ice(connection)._nominated[1].protocol.transport
    assert isinstance(transport, UdpTransport)
    found: tuple[str, int] = transport.get_extra_info("sockname")[:2]
    return found


@pytest.mark.parametrize("loop", LOOPS)
def test_the_nominated_pairs_socket_is_ours_and_carries_data_both_ways(loop: str) -> None:
    async def test() -> None:
        async with fast_pair() as pair:
            for end in (pair.near, pair.far):
                assert isinstance(ice(end)._nominated[1].protocol.transport, UdpTransport)
                assert ice(end)._queue.empty()
            data = [random.Random(n).randbytes(n * 997 % 60_000 + 1) for n in range(100)]
            for message in data:
                pair.out.send(message)
                pair.in_.send(message)
            await await_for(lambda: len(pair.heard) == len(pair.back) == len(data), what="all messages")
            assert pair.heard == pair.back == data

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_consent_is_still_asked_for_and_given(loop: str) -> None:
    async def test() -> None:
        async with fast_pair() as pair:
            for end in (pair.near, pair.far):
                connection = ice(end)
                nominated = connection._nominated[1]
                request = connection.build_request(nominated, nominate=False)
                key = connection.remote_password.encode()
                response, source = await nominated.protocol.request(request, nominated.remote_addr, key, 0)
                assert response.message_class == stun.Class.RESPONSE
                assert source == nominated.remote_addr
            await pair.works("after it")

    run_on(loop, test)


def with_camera(near: RTCPeerConnection, far: RTCPeerConnection) -> None:
    near.addTrack(HandTrack())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_camera_beside_data_is_seen(loop: str) -> None:
    async def test() -> None:
        async with fast_pair(prepare=with_camera) as pair:
            receiver: Any = pair.far.getTransceivers()[0].receiver
            assert isinstance(receiver, LiveReceiver)
            assert isinstance(receiver.transport, FastDtlsTransport)
            receiver.sink = sink = MemorySink()
            track: Any = pair.near.getSenders()[0].track
            for value in (60, 120, 180):
                pair.out.send(bytes(200_000))

                def seen(value: int = value) -> bool:
                    track.show(value)
                    return sink.has(value)

                await await_for(seen, what=f"the picture {value}")
            await await_for(lambda: len(pair.heard) == 3, what="the data")
            reports = pair.near.getSenders()[0]
            stats = await reports.getStats()
            await await_for(lambda: stats, what="statistics")
            await pair.works("after it")

    run_on(loop, test)


@pytest.fixture(params=["127.0.0.1", "::1"], ids=["IPv4", "IPv6"])
def hostile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A stranger's, of the family that both ends of a connection have: with both families either may be nominated."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [request.param])
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        yield stranger


def rubbish() -> list[bytes]:
    """Anything that anybody can send."""
    chance = random.Random(7)
    firsts = [first for first in range(256) for _ in range(3)]
    some = [bytes([first]) + chance.randbytes(chance.randrange(200)) for first in firsts]
    sound = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    return [b"", b"\x16", b"\x17\xfe\xfd", *some, sound, sound[:10], b"\x17" + bytes(60_000), b"\x80" * 30_000, b""]


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_that_a_stranger_sends_ends_anything(loop: str, hostile: socket.socket) -> None:
    async def test() -> None:
        async with fast_pair(prepare=with_camera) as pair:
            for end in (pair.near, pair.far):
                for datagram in rubbish():
                    hostile.sendto(datagram, address(end))
                    await asyncio.sleep(0)
            await pair.works("after it")
            assert pair.near.connectionState == pair.far.connectionState == "connected"

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_rubbish_from_the_peers_own_address_ends_nothing(loop: str) -> None:
    async def test() -> None:
        async with fast_pair(prepare=with_camera) as pair:
            protocol = ice(pair.near)._nominated[1].protocol
            for datagram in rubbish():
                protocol.transport.sendto(datagram, address(pair.far))
                await asyncio.sleep(0)
            await pair.works("after it")

    run_on(loop, test)


@pytest.mark.skipif(sys.platform != "linux", reason="groups are Linux's")
async def test_a_group_of_datagrams_of_all_kinds_is_told_apart() -> None:
    async with fast_pair(prepare=with_camera) as pair:
        queued: list[bytes] = []
        path = dtls(pair.far)._path
        path._others = lambda data, component: queued.append(data)
        protocol = ice(pair.near)._nominated[1].protocol
        request = ice(pair.near).build_request(ice(pair.near)._nominated[1], nominate=False)
        request.add_message_integrity(ice(pair.near).remote_password.encode())
        size = len(bytes(request))
        media, record = b"\x80" + bytes(size - 1), b"\x17" + bytes(size - 1)
        answers: list[bytes] = []
        protocol.datagram_received = lambda data, source: answers.append(data)
        protocol.transport.send_run(memoryview(record + bytes(request) + media * 2), size, address(pair.far))
        await await_for(lambda: answers, what="an answer")
        assert stun.parse_message(answers[0]).transaction_id == request.transaction_id
        assert queued == [media, media]
        await pair.works("after it")


async def test_another_pair_that_is_nominated_is_used_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1", "127.0.0.2"])
    async with fast_pair() as pair:
        nominated = ice(pair.near)._nominated
        other = next(protocol for protocol in ice(pair.near)._protocols if protocol is not nominated[1].protocol)
        nominated[1] = aioice.ice.CandidatePair(other, nominated[1].remote_candidate)
        await pair.works("on the other pair")
        assert isinstance(other.transport, UdpTransport)
        assert dtls(pair.near)._path.socket is other.transport.socket


async def test_without_a_nominated_pair_nothing_can_be_sent() -> None:
    async with fast_pair() as pair:
        ice(pair.near)._nominated.clear()
        with pytest.raises(ConnectionError):
            dtls(pair.near).send_packets([b"x"])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_through_turn_data_takes_aioices_way(loop: str, transport: str, tmp_path: Path) -> None:
    async def test() -> None:
        server = RTCIceServer(f"turn:127.0.0.1:{port}?transport={transport}", username="nb", credential="secret")
        relayed = RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
        async with fast_pair(relayed) as pair:
            assert isinstance(ice(pair.near)._nominated[1].protocol.transport, TurnTransport)
            data = [os.urandom(50_000) for _ in range(20)]
            for message in data:
                pair.out.send(message)
                pair.in_.send(message)
            await await_for(lambda: len(pair.heard) == len(pair.back) == len(data), 30, "all messages")
            assert pair.heard == pair.back == data
            assert dtls(pair.near)._path.socket is None

    with coturn(tmp_path) as port:
        run_on(loop, test)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("both", [True, False], ids=["from relay to relay", "to a relay"])
async def test_two_engines_that_have_only_relays_exchange_all_in_small_packets(
    transport: str, both: bool, tmp_path: Path
) -> None:
    with coturn(tmp_path) as port:
        server = RTCIceServer(f"turn:127.0.0.1:{port}?transport={transport}", username="nb", credential="secret")
        relayed = RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
        async with fast_pair(relayed, far_config=relayed if both else None) as pair:
            data = [random.Random(n).randbytes(262_144) for n in range(16)]
            for message in data:
                pair.out.send(message)
                pair.in_.send(message)
            await await_for(lambda: len(pair.heard) == len(pair.back) == len(data), 60, "all messages")
            assert [sha256(each).digest() for each in pair.heard] == [sha256(each).digest() for each in data]
            assert pair.heard == pair.back
            for end in (pair.near, pair.far):
                transports: Any = end.sctp
                assert dtls(end)._path.relayed
                assert transports._search.at is None
                assert transports._association.packet_size == BASE


async def test_where_the_socket_cannot_be_taken_over_data_takes_aioices_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sock: Any) -> socket.socket:
        raise OSError("no descriptor is left")

    monkeypatch.setattr("forge_rtc_nb.engine.aiortc_compat.ice_path.duplicate", fail)
    async with fast_pair() as pair:
        assert dtls(pair.near)._path.socket is None
        pair.out.send(bytes(100_000))
        await await_for(lambda: pair.heard == [bytes(100_000)], what="the message")
        await pair.works("after it")


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_leaves_no_socket_and_no_task(loop: str) -> None:
    async def test() -> None:
        async with fast_pair() as pair:
            await pair.works("once, for what stays open")
        before, tasks = sockets(), len(asyncio.all_tasks())
        for _ in range(3):
            async with fast_pair() as pair:
                await pair.works("something")
        await await_for(lambda: sockets() <= before and len(asyncio.all_tasks()) <= tasks, what="all is closed")

    run_on(loop, test)


async def test_who_is_left_learns_that_the_other_closed() -> None:
    async with fast_pair() as pair:
        closed: list[str] = []
        pair.in_.on("close", lambda: closed.append("in"))
        await pair.near.close()
        await await_for(lambda: pair.far.connectionState == "closed" and closed, what="the far end is closed")


async def test_a_closing_dtls_ends_receivers_as_aiortc_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    original = RTCRtpReceiver._handle_disconnect

    def ending(self: RTCRtpReceiver) -> None:
        ended.append(True)
        original(self)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_disconnect", ending)
    async with fast_pair(prepare=with_camera) as pair:
        await pair.near.close()
        await await_for(lambda: ended, what="the receiver is told")


async def test_statistics_count_what_goes_the_fast_way() -> None:
    async with fast_pair() as pair:
        pair.out.send(bytes(120_000))
        await await_for(lambda: pair.heard, what="the message")
        near, far = (next(iter(dtls(end)._get_stats().values())) for end in (pair.near, pair.far))
        assert near.bytesSent > 120_000
        assert far.bytesReceived > 120_000
        assert 8 <= far.packetsReceived <= near.packetsSent


async def test_records_that_wait_in_aioices_queue_come_before_those_that_come_later() -> None:
    async with fast_pair() as pair:
        got: list[bytes] = []
        transport = dtls(pair.far)
        transport._data_receiver = type("Keeping", (), {"packets_received": got.extend, "batch_ended": lambda: None})
        sent = [f"packet {number}".encode() for number in range(4)]
        records = [bytes(run[:segment]) for packet in sent for run, segment in dtls(pair.near)._records.encrypt([packet])]
        for record in records[:3]:
            ice(pair.far)._queue.put_nowait((record, 1))
        ice(pair.far)._queue.put_nowait((b"\x80 media", 1))
        transport._path.take_waiting()
        transport._path._data_received(records[3], 1)
        assert got == sent


# ---- what is private in aiortc and aioice ----


async def test_what_is_private_is_where_it_was() -> None:
    async with fast_pair() as pair:
        connection, transport = ice(pair.near), dtls(pair.near)
        nominated = connection._nominated[1]
        assert isinstance(nominated, aioice.ice.CandidatePair)
        assert nominated.protocol.receiver is connection
        assert isinstance(connection._queue, asyncio.Queue)
        assert callable(connection.data_received)
        assert callable(nominated.protocol.connection_lost)
        for name in ("_ssl", "_state", "_data_receiver", "_role"):
            assert hasattr(transport, name)
        for way in ("rx", "tx"):
            for what in ("bytes", "packets"):
                assert f"_RTCDtlsTransport__{way}_{what}" in transport.__dict__
        for name in ("_set_state", "_send_data", "_register_data_receiver", "_unregister_data_receiver", "_recv_next"):
            assert callable(getattr(RTCDtlsTransport, name))


async def test_media_packets_may_be_as_large_as_pylibsrtp_takes_them() -> None:
    async with fast_pair() as pair:
        session = dtls(pair.near)._rx_srtp
        with pytest.raises(pylibsrtp.Error):
            session.unprotect(b"\x80" * MOST_MEDIA)
        with pytest.raises(ValueError, match="too long"):
            session.unprotect(b"\x80" * (MOST_MEDIA + 1))


async def test_data_from_aioice_goes_through_the_method_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sock: Any) -> socket.socket:
        raise OSError("no descriptor is left")

    monkeypatch.setattr("forge_rtc_nb.engine.aiortc_compat.ice_path.duplicate", fail)
    async with fast_pair() as pair:
        await used_way(pair)


async def used_way(pair: FastPair) -> None:
    seen: list[int] = []
    path, connection = dtls(pair.far)._path, ice(pair.far)
    original = connection.data_received
    assert original == path._data_received

    def counting(data: bytes, component: int) -> None:
        seen.append(data[0])
        original(data, component)

    connection.data_received = counting
    await pair.works("seen")
    assert set(seen) <= set(range(20, 64))
    assert seen
