"""What is published is seen by Chromium: its colours, the right way up, at once (test process; Chromium in another)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from forge_rtc_nb.engine.aiortc_compat import PacketTrack
from forge_rtc_nb.engine.publishing.picture import Picture
from forge_rtc_nb.engine.publishing.planes import Array
from forge_rtc_nb.engine.publishing.publication import Publication
from tests.bench.data_worker import Worker
from tests.engine.pairs import new_connection
from tests.engine.published import answer
from tests.support import await_for

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[20, 40, 230], [230, 200, 40]]], np.uint8)
"""The four quarters of a picture."""
POINTS = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Worker]:
    with Worker("tests.engine.watching_chromium") as worker:
        yield worker


def quarters(height: int, width: int, colours: Array = COLOURS) -> Array:
    rows = (np.arange(height) * 2 >= height).astype(int)
    columns = (np.arange(width) * 2 >= width).astype(int)
    return np.ascontiguousarray(colours[rows][:, columns])


class Tab:
    """A viewer in Chromium."""

    def __init__(self, far: Worker, name: str) -> None:
        self._far, self._name = far, name
        self.track: PacketTrack

    async def ask(self, function: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._far.call, function, viewer=self._name, **arguments)

    async def sees(self, colours: Array) -> tuple[int, int]:
        """Wait until the quarters have these colours; (height, width)."""
        seen: list[Any] = []

        async def right() -> bool:
            seen[:] = [await self.ask("seen", points=POINTS)]
            return bool(seen[0]) and np.abs(np.array(seen[0]["pixels"]) - colours.reshape(4, 3)).max() <= 4

        condition: Callable[[], bool | Awaitable[bool]] = right
        try:
            await await_for(condition, 20)
        except AssertionError:
            raise AssertionError(f"Chromium shows {seen[0]}, not {colours.tolist()}") from None
        return seen[0]["height"], seen[0]["width"]


@asynccontextmanager
async def tab(chromium: Worker, publication: Publication, codec: str, name: str = "one") -> AsyncIterator[Tab]:
    watching = Tab(chromium, name)
    pc = new_connection()
    try:
        watching.track = await answer(pc, await watching.ask("offer"), codec)
        assert "playout-delay" in pc.localDescription.sdp  # Chromium knows it: it shows what comes at once
        watching.track.source = publication.viewer()
        await watching.ask("accept", sdp=pc.localDescription.sdp)
        yield watching
    finally:
        await watching.ask("close")
        await pc.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("size", [(240, 320), (241, 319), (720, 1280)])
async def test_colours_and_orientation_are_right(chromium: Worker, codec: str, size: tuple[int, int]) -> None:
    publication = Publication()
    publication.show(Picture(quarters(*size), "rgb24"))
    async with tab(chromium, publication, codec) as watching:
        whole = size if codec == "VP8" else (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert await watching.sees(COLOURS) == whole
        turned = COLOURS[::-1, ::-1]
        publication.show(Picture(quarters(*size, turned), "rgb24"))
        await watching.sees(turned)
    await publication.close()


@pytest.mark.parametrize(("pixel_format", "order"), [("bgr24", [2, 1, 0]), ("rgba", [0, 1, 2, 0])])
async def test_the_order_of_channels_is_kept(chromium: Worker, pixel_format: str, order: list[int]) -> None:
    publication = Publication()
    publication.show(Picture(np.ascontiguousarray(quarters(96, 128)[..., order]), pixel_format))
    async with tab(chromium, publication, "VP8") as watching:
        assert await watching.sees(COLOURS) == (96, 128)
    await publication.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_another_size_is_seen(chromium: Worker, codec: str) -> None:
    publication = Publication()
    publication.show(Picture(quarters(240, 320), "rgb24"))
    async with tab(chromium, publication, codec) as watching:
        assert await watching.sees(COLOURS) == (240, 320)
        turned = COLOURS[::-1]
        publication.show(Picture(quarters(360, 480, turned), "rgb24"))
        assert await watching.sees(turned) == (360, 480)
    await publication.close()


async def test_a_second_viewer_sees_the_still_of_the_first(chromium: Worker) -> None:
    publication = Publication()
    publication.show(Picture(quarters(240, 320), "rgb24"))
    async with tab(chromium, publication, "VP8") as first:
        await first.sees(COLOURS)
        async with tab(chromium, publication, "VP8", "two") as second:
            await second.sees(COLOURS)
            assert publication.stats.viewers == 2
            assert (await first.ask("stats"))["pliCount"] == 0
    await publication.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_connection_goes_from_one_publication_to_another_and_back(chromium: Worker, codec: str) -> None:
    first, second = Publication(), Publication()
    turned = COLOURS[::-1]
    first.show(Picture(quarters(240, 320), "rgb24"))
    second.show(Picture(quarters(240, 320, turned), "rgb24"))
    async with tab(chromium, first, codec) as watching:
        await watching.sees(COLOURS)
        for publication, colours in ((second, turned), (first, COLOURS)):
            watching.track.source = None
            watching.track.source = publication.viewer()
            await watching.sees(colours)
    await first.close()
    await second.close()
