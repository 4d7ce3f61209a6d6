"""The engine's side of a pair: answers, mappings, epochs, bad offers, and what happens when the other end is gone."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from forge_rtc_nb.engine import heartbeat
from forge_rtc_nb.engine import peer as peer_module
from forge_rtc_nb.engine.inbox import BURST
from forge_rtc_nb.engine.peer import Peer, preferred_codecs
from forge_rtc_nb.protocol import (
    Answer,
    Candidate,
    IceCandidate,
    Message,
    Negotiate,
    Offer,
    SessionDescription,
    Subscribe,
    Unsubscribe,
)
from tests.engine.browser import Browser, browser, camera_of, seen
from tests.engine.pairs import HandTrack, MemorySink
from tests.support import await_for, wait_for

# ---- subscriptions and mappings ----


async def test_a_stream_is_asked_for_answered_and_shown() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        assert tab.messages[0] == Subscribe(to="tab-1", stream="camera-1")
        (answer,) = tab.sent(Answer)
        assert answer.to == "tab-1"
        assert "a=candidate:" in answer.sdp.sdp  # there is no trickle from us
        assert "x-google-start-bitrate=" in answer.sdp.sdp
        await seen(track.show, sink, 200)
        assert tab.faults == []


async def test_streams_that_nobody_reads_are_not_delivered() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        other = HandTrack()
        await tab.offer({"camera-1": track, "other": other})
        other.show(200)
        await seen(track.show, sink, 100)
        assert not any(abs(picture.value - 200) < 6 for picture in sink.pictures)


def announced(tab: Browser) -> Any:
    """What the engine's end was told."""
    assert tab.peer._pc is not None
    transport: Any = tab.peer._pc.sctp
    return transport.announced_packet


async def test_it_is_heeded_how_large_packets_a_page_takes() -> None:
    async with browser() as tab:
        tab.connect()
        await tab.offer({}, edit=lambda sdp: sdp.replace("a=sctp-port", "a=x-forge-packet-size:2040\r\na=sctp-port"))
        assert announced(tab) == 2040


@pytest.mark.parametrize("said", ["", "-1", "2e3", "123456", "2040 8"])
async def test_what_is_no_size_of_packets_says_nothing(said: str) -> None:
    async with browser() as tab:
        tab.connect()
        await tab.offer({}, edit=lambda sdp: sdp.replace("a=sctp-port", f"a=x-forge-packet-size:{said}\r\na=sctp-port"))
        assert announced(tab) == 0


async def test_two_streams_go_to_their_own_sinks() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        screen, screen_sink = HandTrack(), MemorySink()
        tab.peer.subscribe("screen-1", screen_sink)
        await tab.offer({"camera-1": track, "screen-1": screen})
        await seen(screen.show, screen_sink, 200)
        await seen(track.show, sink, 100)
        assert {round(p.value, -2) for p in screen_sink.pictures} == {200}


async def test_an_m_line_may_carry_another_stream_after_a_new_offer() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        second = MemorySink()
        tab.peer.subscribe("camera-2", second)
        await tab.offer({"camera-2": track})
        await seen(track.show, second, 200)
        before = len(sink.pictures)  # what was under way at the change has come
        await seen(track.show, second, 60)
        assert len(sink.pictures) == before
        assert len(tab.pc.getTransceivers()) == 1


async def test_a_stream_let_go_and_taken_again_needs_no_new_offer() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        tab.peer.unsubscribe("camera-1")
        assert tab.messages[-1] == Unsubscribe(to="tab-1", stream="camera-1")
        track.show(60)
        again = MemorySink()
        tab.peer.subscribe("camera-1", again)
        await seen(track.show, again, 200)
        before = len(sink.pictures)  # what was under way at the change has come
        await seen(track.show, again, 60)
        assert len(sink.pictures) == before
        assert len(tab.sent(Answer)) == 1


async def test_after_signaling_was_away_every_wish_is_repeated() -> None:
    async with browser() as tab:
        tab.peer.subscribe("a", MemorySink())
        tab.peer.subscribe("b", MemorySink())
        tab.peer.unsubscribe("a")
        tab.messages.clear()
        tab.peer.resubscribe()
        assert tab.messages == [Subscribe(to="tab-1", stream="b")]


async def test_the_codec_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted, codecs in (
        (" h264 ", ("H264",)),
        ("VP8,H264", ("VP8", "H264")),
        ("VP9", ("H264", "VP8")),
        ("", ("H264", "VP8")),
    ):
        monkeypatch.setenv("FORGE_RTC_VIDEO_CODECS", wanted)
        assert preferred_codecs() == codecs
    monkeypatch.setenv("FORGE_RTC_VIDEO_CODECS", "H264")
    async with browser() as tab:
        await camera_of(tab)
        assert tab.pc.getTransceivers()[0]._codecs[0].name == "H264"


# ---- epochs ----


async def test_an_offer_of_an_older_connection_is_ignored() -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        old = Offer(from_="tab-1", epoch=tab.epoch - 1, sdp=SessionDescription(type="offer", sdp="v=0\r\nnonsense"))
        tab.peer.receive(old)
        await tab.offer({"camera-1": track})
        assert len(tab.sent(Answer)) == 2
        await seen(track.show, sink, 200)
        assert tab.faults == []


async def test_a_new_epoch_replaces_the_connection() -> None:
    async with browser() as tab:
        _, sink = await camera_of(tab)
        first = tab.pc
        track = HandTrack()
        tab.connect()
        await tab.offer({"camera-1": track})
        await tab.connected()
        await seen(track.show, sink, 200)
        await await_for(lambda: first.connectionState == "closed", what="the first connection is closed by the engine")
        assert tab.faults == []
        assert tab.sent(Negotiate) == []


async def test_the_present_ice_servers_are_asked_for_at_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser() as tab:
        asked: list[int] = []

        async def answer() -> list[object]:
            asked.append(1)
            return []

        monkeypatch.setattr(tab.peer, "_ice_servers", answer)
        await camera_of(tab)
        tab.connect()
        await tab.offer({})
        assert len(asked) == 2


# ---- candidates ----


def without_candidates(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(keepends=True) if "candidate" not in line)


def candidates_of(sdp: str) -> list[str]:
    return [line.strip().removeprefix("a=") for line in sdp.splitlines() if line.startswith("a=candidate:")]


async def trickle(tab: Browser, line: str | None, epoch: int | None = None) -> None:
    content = None if line is None else Candidate(candidate=line, sdpMid="0", sdpMLineIndex=0)
    tab.peer.receive(IceCandidate(from_="tab-1", epoch=tab.epoch if epoch is None else epoch, candidate=content))


async def test_candidates_may_come_one_by_one() -> None:
    async with browser() as tab:
        tab.connect()
        sink, track = MemorySink(), HandTrack()
        tab.peer.subscribe("camera-1", sink)
        # The browser's side learns nothing either, or its checks would connect the pair.
        await tab.offer({"camera-1": track}, edit=without_candidates, answered=False)
        await trickle(tab, "candidate:1 1 udp 1 0a1b.local 9 typ host")
        await trickle(tab, "candidate:1 1 udp 1 192.0.2.1 9 typ host", epoch=tab.epoch - 1)
        await trickle(tab, "")
        for line in candidates_of(tab.pc.localDescription.sdp):
            await trickle(tab, line)
        await trickle(tab, None)
        await await_for(lambda: tab.sent(Answer), what="the answer")
        from aiortc import RTCSessionDescription

        answer = without_candidates(tab.sent(Answer)[0].sdp.sdp)
        await tab.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await tab.connected()
        await seen(track.show, sink, 200)


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1 1 udp 1 host.invalid 9 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host",
        "candidate:x",
        "x" * 1000,
        "\0",
    ],
)
async def test_a_candidate_that_is_of_no_use_changes_nothing(line: str) -> None:
    async with browser() as tab:
        track, sink = await camera_of(tab)
        await trickle(tab, line)
        tab.peer.receive(IceCandidate(from_="tab-1", epoch=tab.epoch, candidate=Candidate(candidate=line)))
        await tab.offer({"camera-1": track})
        await seen(track.show, sink, 200)
        assert tab.faults == []


async def test_of_a_flood_of_offers_the_newest_is_answered_and_few_others() -> None:
    async with browser() as tab:
        track, _ = await camera_of(tab)
        offer = await tab.offer({"camera-1": track})
        answers = len(tab.sent(Answer))
        for number in range(200):
            tab.peer.receive(offer)
            if number % 10 == 0:
                await asyncio.sleep(0)
        tab.connect()
        await tab.offer({"camera-1": track})  # answered, though it comes last
        assert len(tab.sent(Answer)) - answers <= BURST + 2
        await tab.connected()


async def test_an_offer_whose_answer_is_too_long_to_be_sent_is_no_use() -> None:
    async with browser() as tab:
        tab.peer.subscribe("camera-1", MemorySink())
        tab.connect()
        tab.too_long = True
        await tab.offer({"camera-1": HandTrack()}, answered=False)
        await await_for(lambda: tab.faults, what="it is reported")
        assert "its offer cannot be used (InvalidMessage" in tab.faults[0]


# ---- the end ----


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.05)
    monkeypatch.setattr(heartbeat, "DEAD_AFTER", 0.3)
    monkeypatch.setattr(peer_module, "RETRY_FIRST", 0.05)


@pytest.mark.usefixtures("quick")
async def test_a_tab_that_is_silent_is_asked_for_a_new_connection() -> None:
    async with browser() as tab:
        _, sink = await camera_of(tab)
        tab.answers_pings = False
        await await_for(lambda: tab.sent(Negotiate), what="a new offer is asked for")
        assert tab.sent(Negotiate)[0] == Negotiate(to="tab-1", epoch=tab.epoch, restart=True)
        assert tab.faults == ["the connection was lost"]
        tab.answers_pings = True
        track = HandTrack()
        tab.connect()
        await tab.offer({"camera-1": track})
        await seen(track.show, sink, 200)


@pytest.mark.usefixtures("quick")
async def test_a_silent_tab_whose_streams_nobody_wants_is_left_alone() -> None:
    async with browser() as tab:
        await camera_of(tab)
        tab.peer.unsubscribe("camera-1")
        tab.answers_pings = False
        await await_for(lambda: tab.pc.connectionState == "closed", what="the engine closes the connection")
        assert tab.sent(Negotiate) == []
        assert tab.faults == []


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_never_comes_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_LIMIT", 0.3)
    async with browser() as tab:
        tab.peer.subscribe("camera-1", MemorySink())
        tab.connect()
        await tab.offer({"camera-1": HandTrack()}, edit=without_candidates, answered=False)
        await await_for(lambda: tab.sent(Negotiate), what="a new offer is asked for")
        assert tab.sent(Negotiate) == [Negotiate(to="tab-1", epoch=tab.epoch, restart=True)]
        assert "no connection within 0.3 s" in tab.faults[0]


@pytest.mark.usefixtures("quick")
async def test_a_connection_that_came_up_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_LIMIT", 0.3)
    async with browser() as tab:
        track, sink = await camera_of(tab)
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.5
        await await_for(lambda: loop.time() > end, what="the limit passes")
        await seen(track.show, sink, 200)
        assert tab.faults == []


async def test_the_tabs_clock_is_known_to_its_receivers() -> None:
    async with browser() as tab:
        await camera_of(tab)
        # The tab of these tests says that it is 1970.
        await await_for(lambda: tab.peer._offset < -(10**9), what="an offset")
        assert all(receiver.clock.offset == tab.peer._offset for receiver in tab.peer._receivers())


async def test_closing_leaves_no_task_and_no_thread() -> None:
    threads = set(threading.enumerate())
    tasks = asyncio.all_tasks()
    async with browser() as tab:
        await camera_of(tab)
    async with browser() as tab:
        tab.connect()
        await tab.offer({"camera-1": HandTrack()}, answered=False)  # closed in the middle of answering

    def decoders() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in threads and "decoder" in t.name]

    await await_for(lambda: not decoders(), what="the decoder threads end")
    await await_for(lambda: asyncio.all_tasks() == tasks, what="the tasks end")


async def test_a_closed_peer_is_collected() -> None:
    async with browser() as tab:
        await camera_of(tab)
    del tab
    wait_for(lambda: gc.collect() >= 0 and not [o for o in gc.get_objects() if isinstance(o, Peer)], what="collected")


async def test_a_peer_that_nobody_offers_to_closes_at_once() -> None:
    sent: list[Message] = []

    async def none() -> list[object]:
        return []

    peer = Peer("tab-1", sent.append, none, sent.append)  # type: ignore[arg-type]
    peer.subscribe("camera-1", MemorySink())
    await asyncio.wait_for(peer.close(), 1)
