"""Data channels of our engine with each other end that a room may have, over good and bad networks (test process)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import pytest

from forge_rtc_nb.engine.datachannel.path_search import BASE, BROWSERS
from forge_rtc_nb.engine.datachannel.path_search import LARGEST as LARGEST_PACKET
from tests.bench.data_worker import Worker
from tests.engine.raw_connections import COMMANDS, connected
from tests.engine.raw_faults import Faults, impair
from tests.engine.raw_messages import Channel, messages, sixteen
from tests.support import await_for

NETWORKS = [
    Faults(),
    Faults(loss=0.01),
    Faults(loss=0.05),
    Faults(loss=0.2),
    Faults(late=0.1),
    Faults(twice=0.2),
    Faults(loss=0.02, late=0.05, twice=0.05),
]
FEW = [NETWORKS[0], NETWORKS[3], NETWORKS[-1]]
"""In CI; all of them, with more messages, in `make soak`."""
LARGEST = 256 * 1024
"""Bytes that every end takes in one message."""
NAME = "größe 尺寸 📏"


@pytest.fixture(scope="module", params=COMMANDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "wrtc" and find_spec("wrtc") is None:
        pytest.skip("there is no wrtc for this system")
    return str(request.param)


@pytest.fixture(scope="module")
def far(kind: str) -> Iterator[Worker]:
    with Worker(*COMMANDS[kind]) as worker:
        yield worker


@pytest.mark.parametrize("network", FEW, ids=str)
async def test_what_arrives_on_sixteen_channels_is_what_was_sent(far: Worker, network: Faults) -> None:
    channels = sixteen()
    out, back = ({channel: messages(channel, way, 4) for channel in channels} for way in ("out", "back"))
    async with connected(far, channels) as both:
        impair(both.near.pc, network)
        await both.exchange(out, back, 60)


@pytest.mark.parametrize("offerer", ["near", "far"])
async def test_names_that_are_not_ascii_are_the_same_at_both_ends(kind: str, far: Worker, offerer: str) -> None:
    # aiortc as it is counts characters where bytes are to be counted: what it announces is cut, and nobody can open it.
    openers = ["near"] if kind == "stock" else ["near", "far"]
    channels = [Channel(f"{NAME} {opener}", protocol=NAME, opener=opener) for opener in openers]
    plain = Channel("plain", opener=offerer)
    async with connected(far, [*channels, plain], offerer) as both:
        for opened in (await both.near.opened(), await both.ask("opened")):
            seen = {(channel["label"], channel["protocol"]) for channel in opened}
            assert seen == {("plain", ""), *((channel.label, NAME) for channel in channels)}
        said = {channel: messages(channel, "both", 1) for channel in channels}
        await both.exchange(said, said)


async def test_the_options_of_a_channel_are_the_same_at_both_ends(far: Worker) -> None:
    channels = sixteen()
    async with connected(far, channels) as both:
        for opened in (await both.near.opened(), await both.ask("opened")):
            seen = {channel["label"]: (channel["ordered"], channel["maxRetransmits"]) for channel in opened}
            assert seen == {c.label: (c.ordered, None if c.reliable else 0) for c in channels}


@pytest.mark.parametrize("opener", ["near", "far"])
async def test_a_message_of_256_kib_arrives(kind: str, far: Worker, opener: str) -> None:
    channel = Channel("large", opener=opener)
    async with connected(far, [channel], offerer=opener) as both:
        data = random.Random(opener).randbytes(LARGEST)
        await both.exchange({channel: [data]}, {channel: [data[::-1]]})
        # Only one of ours has said so in SCTP.
        assert both.near.pc.sctp._association.largest_packet == (LARGEST_PACKET if kind == "ours" else 0)


async def test_a_page_that_says_so_gets_packets_as_large_as_it_takes(kind: str, far: Worker) -> None:
    channel = Channel("pages", opener="near")
    async with connected(far, [channel]) as both:
        association = both.near.pc.sctp._association
        wanted = {"chromium": BROWSERS, "ours": LARGEST_PACKET}.get(kind, BASE)
        await await_for(lambda: association.packet_size == wanted, what="packets of that size")
        data = [random.Random(number).randbytes(LARGEST) for number in range(4)]
        await both.exchange({channel: data}, {channel: data})
        assert association.packet_size == wanted


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("network", NETWORKS, ids=str)
async def test_many_messages_arrive(far: Worker, network: Faults) -> None:
    channels = [replace(channel, label=f"many {channel.label}") for channel in sixteen()]
    out, back = ({channel: messages(channel, way, 40) for channel in channels} for way in ("out", "back"))
    async with connected(far, channels) as both:
        impair(both.near.pc, network)
        await both.exchange(out, back, 600)
