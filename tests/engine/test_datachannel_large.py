"""Large packets between two engines, on real sockets (test process)."""

from __future__ import annotations

from typing import Any

from aiortc import RTCPeerConnection

from forge_rtc_nb.engine.datachannel.path_search import BASE, LARGEST
from forge_rtc_nb.engine.datachannel.setup import MOST_ROOM
from tests.engine.fast_pair import FastPair, dtls, fast_pair
from tests.support import await_for


def association(end: RTCPeerConnection) -> Any:
    transport: Any = end.sctp
    return transport._association


async def grown(pair: FastPair) -> None:
    ends = (pair.near, pair.far)
    await await_for(lambda: all(association(end).packet_size == LARGEST for end in ends), what="large packets both ways")


async def test_two_engines_find_the_largest_packets() -> None:
    async with fast_pair() as pair:
        await grown(pair)
        before = dtls(pair.near)._RTCDtlsTransport__tx_packets
        pair.out.send(bytes(160_000))
        await await_for(lambda: pair.heard == [bytes(160_000)], what="the message")
        assert dtls(pair.near)._RTCDtlsTransport__tx_packets - before < 40


async def test_each_knows_how_much_waits_in_the_others_socket() -> None:
    async with fast_pair() as pair:
        for end, other in ((pair.near, pair.far), (pair.far, pair.near)):
            room = dtls(other).receive_room
            assert association(end)._block.outbound.congestion._queue_limit == max(192 << 10, min(room, MOST_ROOM))


async def test_a_path_that_stops_carrying_them_loses_nothing() -> None:
    """As a router on the way would, of which nothing is heard."""
    async with fast_pair() as pair:
        await grown(pair)
        path, whole = dtls(pair.near)._path, [True]
        send, may_fragment = path.send_run, path.socket.may_fragment

        def send_some(run: memoryview, segment: int) -> None:
            if segment <= 1500 or not whole[0]:
                send(run, segment)

        def cut() -> None:
            whole[0] = False
            may_fragment()

        path.send_run, path.socket.may_fragment = send_some, cut
        messages = [bytes([number]) * 50_000 for number in range(20)]
        for message in messages:
            pair.out.send(message)
        await await_for(lambda: len(pair.heard) == len(messages), what="all messages", timeout=20)
        assert pair.heard == messages
        assert association(pair.near).packet_size == BASE


async def test_another_pair_of_candidates_is_searched_anew() -> None:
    async with fast_pair() as pair:
        await grown(pair)
        transport: Any = pair.near.sctp
        dtls(pair.near)._path._owner.path_changed()
        assert association(pair.near).packet_size == BASE
        assert transport._search.at is not None
        await grown(pair)
        await pair.works("after it")
