"""A publication encodes once, for whoever watches, over real connections (test process)."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiortc.rtp import is_rtcp

from forge_rtc_nb.engine.publishing import group, schedule
from forge_rtc_nb.engine.publishing.encoder import VideoEncoder
from forge_rtc_nb.engine.publishing.picture import Picture
from forge_rtc_nb.engine.publishing.publication import Publication
from forge_rtc_nb.engine.publishing.viewer import MOST_WAITING
from tests.bench.clip import clip
from tests.engine.published import connected, film, flat, luma, noise, watched
from tests.support import await_for, wait_for


def encoder_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "video-encoder"]


def noisy(count: int) -> Picture:
    return Picture(noise(count % 8), "rgb24")


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("size", [(240, 320), (241, 319), (90, 161)])
async def test_who_comes_late_sees_the_picture_that_was_shown(codec: str, size: tuple[int, int]) -> None:
    async with watched(codec=codec, picture=flat(180, size)) as (_, (watcher,)):
        await watcher.sees(180)
        whole = size if codec == "VP8" else (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert watcher.sink.pictures[-1].size == whole


async def test_pictures_follow_each_other() -> None:
    async with watched() as (publication, (watcher,)):
        for value in (200, 30, 120):
            publication.show(flat(value))
            await watcher.sees(value)
        assert publication.stats.work.keyframes == 1
        assert publication.stats.shown == 4


async def test_one_encoder_is_for_all() -> None:
    async with watched(3) as (publication, watchers):
        publication.show(flat(200))
        for watcher in watchers:
            await watcher.sees(200)
        assert len(encoder_threads()) == 1
        assert publication.stats.viewers == 3
        assert publication.stats.work.frames <= 5 * schedule.REFRESH_COUNT


async def test_each_codec_has_an_encoder() -> None:
    async with watched() as (publication, (first,)), connected(publication.viewer(), "H264") as second:
        await second.sees(50)
        publication.show(flat(200))
        await asyncio.gather(first.sees(200), second.sees(200))
        assert len(encoder_threads()) == 2


async def test_without_viewers_nothing_is_encoded_and_nothing_runs() -> None:
    told: list[int] = []
    publication = Publication(audience=told.append)
    publication.show(flat(50))
    assert not encoder_threads()
    async with connected(publication.viewer()) as watcher:
        await watcher.sees(50)
        assert told == [1]
    await await_for(lambda: not encoder_threads(), what="the thread ends")
    assert told == [1, 0]
    before = publication.stats.work.frames
    publication.show(flat(90))
    assert publication.stats.viewers == 0
    assert publication.stats.work.frames == before > 0
    async with connected(publication.viewer()) as watcher:
        await watcher.sees(90)
    await publication.close()


async def test_a_still_becomes_good_and_then_costs_little() -> None:
    async with watched(picture=Picture(next(clip(240, 320, 1)), "rgb24")) as (publication, (watcher,)):
        wanted = 1 + schedule.REFRESH_COUNT
        await await_for(lambda: publication.stats.work.frames >= wanted, what="it is encoded again")
        before = publication.stats.work.bytes
        await await_for(lambda: publication.stats.work.frames >= wanted + 2, what="and goes on, slowly")
        assert publication.stats.work.keyframes == 1
        assert publication.stats.work.bytes - before < before / 4
        await await_for(lambda: len(watcher.sink.pictures) >= wanted)


async def test_a_request_for_a_keyframe_gives_one() -> None:
    async with watched() as (publication, (watcher,)):
        await await_for(lambda: publication.stats.work.frames > schedule.REFRESH_COUNT, what="all is calm")
        watcher.receiver.ask_keyframe()
        await await_for(lambda: publication.stats.work.keyframes == 2, what="a keyframe")
        assert watcher.viewer.watching.keyframe_requests >= 1


async def test_requests_of_all_viewers_give_one_keyframe() -> None:
    async with watched(4) as (publication, watchers):
        keyframes = publication.stats.work.keyframes
        for watcher in 5 * watchers:
            watcher.sender._send_keyframe()
        await film(publication, lambda: publication.stats.work.keyframes > keyframes, "a keyframe", noisy)
        pictures = [len(watcher.sink.pictures) for watcher in watchers]
        enough = lambda: all(len(w.sink.pictures) > n + 5 for w, n in zip(watchers, pictures, strict=True))  # noqa: E731
        await film(publication, enough, "more frames", noisy)
        assert publication.stats.work.keyframes == keyframes + 1


async def test_a_viewer_that_stops_stops_nobody_and_goes_on_with_a_keyframe(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(2) as (publication, (slow, other)):
        gate = asyncio.Event()
        transport: Any = slow.sender.transport
        send = transport._send_rtp

        async def stuck(data: bytes) -> None:
            if not is_rtcp(data):
                await gate.wait()
            await send(data)

        monkeypatch.setattr(transport, "_send_rtp", stuck)
        keyframes, before = publication.stats.work.keyframes, replace(other.viewer.watching)
        await film(publication, lambda: slow.viewer.watching.dropped > 3 * MOST_WAITING, "frames are dropped", noisy)
        assert other.viewer.watching.dropped == before.dropped
        assert other.viewer.watching.frames - before.frames > 3 * MOST_WAITING
        assert publication.stats.work.keyframes == keyframes  # who does not read needs none
        publication.show(flat(200))
        gate.set()
        await asyncio.gather(slow.sees(200), other.sees(200))
        assert publication.stats.work.keyframes == keyframes + 1


async def test_losses_of_one_viewer_cost_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(2) as (publication, (lossy, other)):
        transport: Any = lossy.sender.transport
        send, count = transport._send_rtp, 0

        async def losing(data: bytes) -> None:
            nonlocal count
            count += not is_rtcp(data)
            if is_rtcp(data) or count % 20:
                await send(data)

        monkeypatch.setattr(transport, "_send_rtp", losing)
        keyframes, before = publication.stats.work.keyframes, len(other.sink.pictures)
        frames = publication.stats.work.frames
        await film(publication, lambda: len(lossy.sink.pictures) > 60, "frames arrive at the lossy one, too", noisy)
        assert count > 100
        assert publication.stats.work.keyframes == keyframes
        await await_for(lambda: len(other.sink.pictures) - before >= publication.stats.work.frames - frames, what="all frames")


async def test_the_bitrate_follows_the_slowest_without_a_new_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[VideoEncoder] = []
    open_ = VideoEncoder._open

    def counting(encoder: VideoEncoder, *arguments: int) -> Any:
        opened.append(encoder)
        return open_(encoder, *arguments)

    monkeypatch.setattr(VideoEncoder, "_open", counting)
    async with watched(2, bitrate=2_000_000, picture=noisy(0)) as (publication, (slow, other)):
        await film(publication, lambda: publication.stats.work.bytes > 200_000, "the full bitrate", noisy)
        assert publication.stats.work.bitrate == 2_000_000
        keyframes = publication.stats.work.keyframes
        await other.estimates(8_000_000)
        await slow.estimates(600_000)
        is_slow = lambda: publication.stats.work.bitrate == pytest.approx(600_000, rel=0.01)  # noqa: E731
        await film(publication, is_slow, "the slower one's bitrate", noisy)
        await slow.estimates(1_500_000)
        is_faster = lambda: publication.stats.work.bitrate == pytest.approx(1_500_000, rel=0.01)  # noqa: E731
        await film(publication, is_faster, "a higher one", noisy)
        assert publication.stats.work.keyframes == keyframes
        assert len(opened) == 1


async def test_a_viewer_below_the_floor_gets_keyframes_only_and_slows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_PERIOD", 0.05)
    async with watched(2, bitrate=2_000_000, picture=noisy(0)) as (publication, (poor, other)):
        await film(publication, lambda: publication.stats.work.bytes > 100_000, "frames", noisy)
        await poor.estimates(40_000)
        await film(publication, lambda: publication.stats.keyframes_only == 1, "it is below the floor", noisy)
        await film(publication, lambda: publication.stats.work.bitrate == 2_000_000, "the others' bitrate", noisy)
        had, others = poor.viewer.watching.frames, other.viewer.watching.frames
        await film(publication, lambda: other.viewer.watching.frames > others + 20, "the other sees all", noisy)
        assert poor.viewer.watching.frames <= had + 1
        monkeypatch.setattr(schedule, "STARVING_INTERVAL", 0.1)
        await film(publication, lambda: poor.viewer.watching.frames > had + 1, "a keyframe for it", noisy)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_another_size_is_seen_at_once(codec: str) -> None:
    async with watched(codec=codec) as (publication, (watcher,)):
        publication.show(flat(200, (120, 200)))
        await watcher.sees(200)
        assert watcher.sink.pictures[-1].size == (120, 200)


async def test_a_torn_picture_is_not_shown() -> None:
    async with watched() as (publication, (watcher,)):
        publication.show(Picture(flat(250).pixels, "gray", is_whole=lambda: False))
        await await_for(lambda: publication.stats.work.torn == 1, what="it is looked at")
        publication.show(flat(100))
        await watcher.sees(100)
        assert not [picture for picture in watcher.sink.pictures if abs(picture.value - luma(250)) < 6]


async def test_a_picture_that_cannot_be_encoded_is_reported_and_the_next_is_seen() -> None:
    failures: list[str] = []
    publication = Publication(failed=failures.append)
    publication.show(flat(50))
    async with connected(publication.viewer()) as watcher:
        await watcher.sees(50)
        for _ in range(3):  # VP8 counts to 16383
            publication.show(Picture(np.zeros((20_000, 8), np.uint8), "gray"))
            await await_for(lambda: publication._groups["VP8"].worker._picture is None, what="it is tried")
            await await_for(lambda: failures, what="a report")
        publication.show(flat(120))
        await watcher.sees(120)
        assert len(failures) == 1
    await publication.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_encoders_memory_goes_with_the_last_viewer(codec: str) -> None:
    gc.disable()  # it would take its time
    try:
        async with watched(codec=codec) as (publication, (watcher,)):
            worker = publication._groups[codec].worker
            encoder: Any = worker._encoder._encoder
            left = weakref.ref(encoder)
            del encoder
            watcher.track.source = None
            await await_for(lambda: not worker.running, what="the thread ends")
            assert left() is None
    finally:
        gc.enable()


async def test_timestamps_go_on_from_one_publication_to_the_next() -> None:
    """Chromium shows nothing for seconds where they go back."""
    timestamps = []
    for _ in range(3):
        publication = Publication()
        publication.show(flat(50))
        viewer = publication.viewer()
        for _ in range(2):
            frame = await viewer.next_frame("VP8")
            assert frame is not None
            timestamps.append(frame.timestamp)
        await publication.close()
    assert timestamps == sorted(set(timestamps))


async def test_opening_and_closing_leaves_nothing() -> None:
    for _ in range(20):
        publication = Publication()
        publication.show(flat(50))
        viewer = publication.viewer()
        assert await viewer.next_frame("VP8") is not None
        await publication.close()
        assert await viewer.next_frame("VP8") is None
        await publication.close()
    wait_for(lambda: not encoder_threads(), what="all threads end")
