"""jupyter_rfb, which sends what a plotting library draws as JPEG over a comm (kernel)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_rfb import RemoteFrameBuffer

from tests.bench.clip import Array
from tests.bench.live.film import FPS


class FilmBuffer(RemoteFrameBuffer):  # type: ignore[misc]
    """As its examples have it: a new picture whenever one was drawn."""

    def __init__(self, film: Callable[[], Array], size: tuple[int, int]) -> None:
        self._film = film
        self.sent = 0
        super().__init__()
        self.css_width, self.css_height = f"{size[1]}px", f"{size[0]}px"
        self.max_buffered_frames = 2

    def get_frame(self) -> Array:
        self._rfb_schedule_soon()
        return self._film()

    def _rfb_schedule_soon(self) -> None:
        import asyncio

        asyncio.get_running_loop().call_later(0.5 / FPS, self.request_draw)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent += sum(map(len, buffers or ()))
        super().send(content, buffers)
