"""When a socket is left alone for a moment, and that nothing is lost by it (test process)."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from forge_rtc_nb.engine.datachannel import udp_transport
from forge_rtc_nb.engine.datachannel.association import Association
from forge_rtc_nb.engine.datachannel.read_pauses import SPAN, ReadPauses
from forge_rtc_nb.engine.datachannel.setup import Capacity
from forge_rtc_nb.engine.datachannel.udp_transport import UdpTransport
from tests.engine.fast_pair import run_on
from tests.engine.udp_sockets import LOOPS, Listener, bound, two
from tests.support import await_for
from tests.unit.sctp_network import Network


def pausing(listener: Listener) -> UdpTransport:
    """One that reads with pauses, whatever comes."""
    transport = UdpTransport(asyncio.get_running_loop(), bound(), listener)
    transport._pauses.wanted = True
    transport._pauses._begun = float("inf")  # it is not measured anew
    return transport


def streamed(rate: float, seconds: float) -> ReadPauses:
    """Read in pieces of a millisecond, after a long silence."""
    pauses = ReadPauses()
    for piece in range(int(seconds * 1000) + 1):
        pauses.note(int(rate / 1000), 1000 + piece / 1000)
    return pauses


@pytest.mark.parametrize(
    ("rate", "seconds", "wanted"),
    [(1e6, 1, False), (40e6, 1, True), (200e6, 1, False), (40e6, SPAN / 2, False)],
    ids=["slow", "a stream", "fast", "a burst"],
)
def test_only_a_stream_of_some_speed_is_read_with_pauses(rate: float, seconds: float, wanted: bool) -> None:
    assert streamed(rate, seconds).wanted is wanted


def test_after_a_silence_there_are_none() -> None:
    pauses = streamed(40e6, 1)
    pauses.note(1000, 1002)
    assert not pauses.wanted


@pytest.mark.parametrize("loop", LOOPS)
def test_what_comes_in_a_pause_is_read_after_it(loop: str) -> None:
    async def test() -> None:
        listener = Listener()
        transport = pausing(listener)
        with two() as (near, _, _):
            for number in range(200):
                near.sock.sendto(bytes([number]), transport.get_extra_info("sockname"))
                await asyncio.sleep(0)
            await await_for(lambda: len(listener.got) == 200, what="all of it")
            assert listener.got == [bytes([number]) for number in range(200)]
            assert listener.batches < 100
        transport.close()
        await await_for(lambda: listener.lost, what="connection_lost")

    run_on(loop, test)


def test_who_may_not_wait_has_none() -> None:
    async def test() -> None:
        listener = Listener()
        listener.may_wait = False
        transport = pausing(listener)
        with two() as (near, _, _):
            near.sock.sendto(b"1", transport.get_extra_info("sockname"))
            await await_for(lambda: listener.batches, what="the end of a batch")
            assert transport._pause is None
        transport.close()

    run_on("asyncio", test)


@pytest.mark.parametrize(("capacity", "amid"), [(Capacity(), True), (Capacity(9000), False)], ids=["others", "ours"])
def test_more_is_expected_amid_a_message_of_a_peer_that_is_not_ours(capacity: Capacity, amid: bool) -> None:
    network = Network()
    network.server.association = Association(capacity=capacity, random=Random(2).randbytes)
    network.establish()
    association, expected = network.client.association, []
    assert not association.expects_more
    network.server.association.send(1, 51, bytes(20_000), now=network.now)
    network.run(lambda: expected.append(association.expects_more) or bool(network.client.messages))  # type: ignore[func-returns-value]
    assert (True in expected) is amid
    assert not association.expects_more


@pytest.mark.parametrize("loop", LOOPS)
def test_closing_in_a_pause_ends_it(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_transport, "PAUSE", 60)

    async def test() -> None:
        listener = Listener()
        transport = pausing(listener)
        with two() as (near, _, _):
            near.sock.sendto(b"1", transport.get_extra_info("sockname"))
            timer = await await_for(lambda: transport._pause, what="a pause")
            assert timer is not None
            transport.close()
            assert timer.cancelled()
        await await_for(lambda: listener.lost == [None], what="connection_lost")

    run_on(loop, test)
