"""A tab with a camera, aiortc in the place of Chromium, that runs beside a blocking test (test process)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiortc.mediastreams import MediaStreamTrack

from tests.engine.pairs import HandTrack
from tests.engine.tab import Tab
from tests.engine.tones import ToneTrack
from tests.support import JupyterProcess

T = TypeVar("T")


class RunningTab:
    """Sends pictures of one brightness, 30 a second, and a tone of that frequency, if any, to whoever subscribes."""

    def __init__(
        self,
        server: JupyterProcess,
        room: str,
        stream: str = "camera-1",
        owners: list[str] | None = None,
        tone: float | None = None,
    ) -> None:
        self.value = 100
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(1, "tab's names"))  # one: who counts threads finds as many as before
        self._thread = threading.Thread(target=self._loop.run_forever, name="tab")
        self._thread.start()
        self._track = self.call(self._make_track())
        tracks: dict[str, MediaStreamTrack] = {stream: self._track}
        if tone is not None:
            tracks["microphone-1"] = ToneTrack(tone)
        self.tab = Tab(server, room, tracks, owners)
        self.call(self.tab.__aenter__())
        self._showing = asyncio.run_coroutine_threadsafe(self._show(), self._loop)

    @property
    def id(self) -> str:
        """Its participant id."""
        return self.tab.id

    @property
    def connections(self) -> int:
        """How many it has."""
        return len(self.tab._pcs)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it in the tab's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _make_track(self) -> HandTrack:
        return HandTrack()

    async def _show(self) -> None:
        while True:
            if self._track.all_taken:
                self._track.show(self.value)
            await asyncio.sleep(1 / 30)

    def leave(self) -> None:
        """Close the tab, before `close` ends what runs here."""
        self.call(self.tab.__aexit__(None, None, None))

    def close(self) -> None:
        self._showing.cancel()
        self.call(self.tab.__aexit__(None, None, None))
        self.call(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def running_tab(server: JupyterProcess, room: str, **options: Any) -> Iterator[RunningTab]:
    tab = RunningTab(server, room, **options)
    try:
        yield tab
    finally:
        tab.close()
