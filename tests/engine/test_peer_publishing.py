"""What a kernel publishes reaches those who want it, over connections that either side may have offered (test process)."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCSessionDescription

from forge_rtc_nb.control import Control, PublicationState, Publish
from forge_rtc_nb.engine.aiortc_compat import LiveReceiver
from forge_rtc_nb.engine.published import PublishedStream
from forge_rtc_nb.protocol import Answer, Offer, SessionDescription, Stream, Subscribe, Unsubscribe, Want
from forge_rtc_nb.ring import Reader, Writer, create_memory
from tests.engine.browser import Browser, browser
from tests.engine.pairs import MemorySink
from tests.engine.published import luma
from tests.engine.two_engines import Side, two
from tests.support import await_for

_numbers = itertools.count(1)


class Source:
    """The kernel's end of a publication, in this process."""

    def __init__(self, region: int, codec: str | None = None) -> None:
        self.posted: list[Control] = []
        memory = create_memory()
        self._writer = Writer(memory, region)
        request = Publish(1, "room", next(_numbers), f"plot {region}", codec=codec)
        self.stream = PublishedStream(request, f"pub-{region}", Reader(memory, region), self.posted.append)

    def show(self, gray: int) -> None:
        self._writer.begin(240, 320, "gray")[:] = gray
        if self._writer.end(0.0, 0):
            self.stream.look()

    @property
    def codecs(self) -> list[str]:
        """Those that it is encoded in."""
        return list(self.stream.publication._groups)

    @property
    def viewers(self) -> int:
        states = [message for message in self.posted if isinstance(message, PublicationState)]
        return states[-1].viewers if states else 0


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    source = Source(0)
    yield source
    await source.stream.close()


@pytest.fixture
async def another() -> AsyncIterator[Source]:
    source = Source(1)
    yield source
    await source.stream.close()


async def sees(sink: MemorySink, source: Source, gray: int) -> None:
    source.show(gray)
    await await_for(lambda: sink.has(luma(gray)), 20, f"a picture {gray} arrives")


def publish(side: Side | Browser, *sources: Source) -> None:
    side.published.update({source.stream.stream.id: source.stream for source in sources})


# ---- between two kernels ----


@pytest.mark.parametrize("sender", ["a", "b"])
async def test_a_kernel_sees_what_another_publishes_whichever_of_them_offers(sender: str, source: Source) -> None:
    async with two() as (low, high):
        here, there = (low, high) if sender == "a" else (high, low)
        publish(here, source)
        sink = MemorySink()
        there.peer.subscribe("pub-0", sink)
        await sees(sink, source, 80)
        assert source.viewers == 1
        assert high.of(Offer) == []
        there.peer.unsubscribe("pub-0")
        await await_for(lambda: source.viewers == 0, what="nobody watches")
        there.peer.subscribe("pub-0", sink)
        await sees(sink, source, 180)
        assert len(low.of(Offer)) == 1, "its m-line was still there"


@pytest.mark.parametrize("sender", ["a", "b"])
async def test_a_second_stream_has_an_m_line_of_its_own_on_the_same_connection(
    sender: str, source: Source, another: Source
) -> None:
    async with two() as (low, high):
        here, there = (low, high) if sender == "a" else (high, low)
        publish(here, source, another)
        first, second = MemorySink(), MemorySink()
        there.peer.subscribe("pub-0", first)
        await sees(first, source, 80)
        there.peer.subscribe("pub-1", second)
        await sees(second, another, 120)
        await sees(first, source, 200)
        assert len({offer.epoch for offer in low.of(Offer)}) == 1
        assert not second.has(luma(200))


@pytest.mark.parametrize("sender", ["a", "b"])
async def test_a_line_waits_for_its_stream_while_others_come_and_go(sender: str, source: Source, another: Source) -> None:
    async with two() as (low, high):
        here, there = (low, high) if sender == "a" else (high, low)
        publish(here, source, another)
        first, second = MemorySink(), MemorySink()
        there.peer.subscribe("pub-0", first)
        there.peer.subscribe("pub-1", second)
        await sees(first, source, 80)
        await sees(second, another, 120)
        there.peer.unsubscribe("pub-0")
        there.peer.unsubscribe("pub-1")
        await await_for(lambda: source.viewers == another.viewers == 0, what="nobody watches")
        third = Source(2)
        publish(here, third)
        sink = MemorySink()
        there.peer.subscribe("pub-2", sink)  # takes the line of one of them
        await sees(sink, third, 60)
        there.peer.subscribe("pub-0", first)
        there.peer.subscribe("pub-1", second)
        await sees(first, source, 200)
        await sees(second, another, 220)
        await third.stream.close()


@pytest.mark.parametrize("sender", ["a", "b"])
@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_codec_is_insisted_on_whichever_side_offers(sender: str, codec: str) -> None:
    source = Source(0, codec)
    async with two() as (low, high):
        here, there = (low, high) if sender == "a" else (high, low)
        publish(here, source)
        sink = MemorySink()
        there.peer.subscribe("pub-0", sink)
        await sees(sink, source, 80)
        assert source.codecs == [codec]
    await source.stream.close()


async def test_an_m_line_keeps_the_codec_of_its_first_stream() -> None:
    first, second = Source(0, "H264"), Source(1, "VP8")
    async with browser() as tab:
        publish(tab, first, second)
        tab.connect()
        await offer(tab, ["pub-0"])
        (sink,) = watch(tab)
        await sees(sink, first, 80)
        await offer(tab, ["pub-1"])
        await sees(sink, second, 180)
        assert second.codecs == ["H264"]
    await first.stream.close()
    await second.stream.close()


async def test_who_asks_for_what_there_is_not_is_not_remembered(source: Source) -> None:
    async with browser() as tab:
        publish(tab, source)
        for number in range(100):
            tab.peer.asked_for(Subscribe(from_="tab-1", stream=f"nothing-{number}"))
        tab.peer.asked_for(Subscribe(from_="tab-1", stream="pub-0"))
        assert tab.peer._sending.asked == {"pub-0"}


async def test_a_line_that_nobody_wants_any_more_carries_the_next_stream(source: Source, another: Source) -> None:
    async with two() as (low, high):
        publish(high, source, another)
        first, second = MemorySink(), MemorySink()
        low.peer.subscribe("pub-0", first)
        await sees(first, source, 80)
        low.peer.unsubscribe("pub-0")
        low.peer.subscribe("pub-1", second)
        await sees(second, another, 120)
        assert low.of(Offer)[-1].wants == [Want(stream="pub-1", mid=low.of(Offer)[0].wants[0].mid)]


async def test_both_publish_and_both_watch_over_one_connection(source: Source, another: Source) -> None:
    async with two() as (low, high):
        publish(low, source)
        publish(high, another)
        here, there = MemorySink(), MemorySink()
        high.peer.subscribe("pub-0", there)
        low.peer.subscribe("pub-1", here)
        await sees(there, source, 80)
        await sees(here, another, 160)
        assert len({offer.epoch for offer in low.of(Offer)}) == 1


async def test_another_publication_takes_over_the_stream_and_its_viewers(source: Source) -> None:
    async with two() as (low, high):
        publish(low, source)
        sink = MemorySink()
        high.peer.subscribe("pub-0", sink)
        await sees(sink, source, 80)
        successor = Source(0)
        low.published["pub-0"] = successor.stream
        low.peer.publications_changed()
        await sees(sink, successor, 200)
        assert (source.viewers, successor.viewers) == (0, 1)
        await successor.stream.close()


async def test_a_stream_that_ended_is_sent_no_more(source: Source) -> None:
    async with two() as (low, high):
        publish(low, source)
        sink = MemorySink()
        high.peer.subscribe("pub-0", sink)
        await sees(sink, source, 80)
        del low.published["pub-0"]
        low.peer.publications_changed()
        await await_for(lambda: source.viewers == 0, what="nobody watches")


# ---- to a tab ----


async def offer(tab: Browser, streams: list[str]) -> Answer:
    """The tab wants exactly these; it has an m-line for each."""
    while len(tab.pc.getTransceivers()) < len(streams):
        tab.pc.addTransceiver("video", direction="recvonly")
    await tab.pc.setLocalDescription(await tab.pc.createOffer())
    mids = [transceiver.mid or "" for transceiver in tab.pc.getTransceivers()]
    wants = [Want(stream=stream, mid=mid) for stream, mid in zip(streams, mids, strict=False)]
    description = SessionDescription(type="offer", sdp=tab.pc.localDescription.sdp)
    count = len(tab.sent(Answer))
    tab.peer.receive(Offer(from_=tab.peer.id, epoch=tab.epoch, sdp=description, wants=wants))
    await await_for(lambda: len(tab.sent(Answer)) > count, what="an answer")
    answer = tab.sent(Answer)[-1]
    await tab.pc.setRemoteDescription(RTCSessionDescription(answer.sdp.sdp, "answer"))
    return answer


def watch(tab: Browser) -> list[MemorySink]:
    """What arrives on each m-line."""
    sinks = []
    for transceiver in tab.pc.getTransceivers():
        receiver = transceiver.receiver
        assert isinstance(receiver, LiveReceiver)
        receiver.sink = sink = MemorySink()
        sinks.append(sink)
    return sinks


async def test_a_tab_gets_what_its_offer_wants(source: Source, another: Source) -> None:
    async with browser() as tab:
        publish(tab, source, another)
        tab.connect()
        await offer(tab, ["pub-0", "pub-1"])
        first, second = watch(tab)
        await sees(first, source, 80)
        await sees(second, another, 160)
        await offer(tab, ["pub-1"])
        await await_for(lambda: source.viewers == 0, what="nobody watches the first")
        await sees(first, another, 220)


async def test_an_unsubscribe_that_follows_an_offer_stays_in_force(source: Source) -> None:
    async with browser() as tab:
        publish(tab, source)
        tab.connect()
        await offer(tab, ["pub-0"])
        (sink,) = watch(tab)
        await sees(sink, source, 80)
        tab.peer.asked_for(Unsubscribe(from_="tab-1", stream="pub-0"))
        await await_for(lambda: source.viewers == 0, what="nobody watches")
        tab.peer.asked_for(Subscribe(from_="tab-1", stream="pub-0"))
        await sees(sink, source, 180)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_publication_may_insist_on_its_codec(codec: str) -> None:
    source = Source(0, codec)
    async with browser() as tab:
        publish(tab, source)
        tab.connect()
        answer = await offer(tab, ["pub-0"])
        other = {"VP8": "H264", "H264": "VP8"}[codec]
        assert f" {codec}/90000" in answer.sdp.sdp
        assert f" {other}/90000" not in answer.sdp.sdp
    await source.stream.close()


async def test_what_is_not_published_is_an_m_line_that_carries_nothing(source: Source) -> None:
    async with browser() as tab:
        tab.connect()
        await offer(tab, ["pub-0"])
        publish(tab, source)  # later
        tab.peer.publications_changed()
        (sink,) = watch(tab)
        await sees(sink, source, 80)


async def test_an_offer_names_the_streams_that_it_carries(source: Source) -> None:
    async with two() as (low, high):
        publish(low, source)
        high.peer.subscribe("pub-0", MemorySink())
        await await_for(lambda: low.of(Offer), what="an offer")
        (stream,) = low.of(Offer)[0].streams
        assert stream == Stream(id="pub-0", name="plot 0", kind="video", source="other", mid=stream.mid)
        assert f"a=mid:{stream.mid}" in low.of(Offer)[0].sdp.sdp
