"""JPEG over the comm of an anywidget: each picture when the page has shown the one before (kernel)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
from PIL import Image

from tests.bench.clip import Array
from tests.bench.live.film import FPS


class JpegWidget(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("jpeg.js")

    def __init__(self, film: Callable[[], Array]) -> None:
        self._film = film
        self._due = time.monotonic()
        self.sent = 0
        super().__init__()
        self.on_msg(self._received)

    def _received(self, _widget: Any, _content: Any, _buffers: Any) -> None:
        self._due = max(self._due + 1 / FPS, time.monotonic())
        time.sleep(max(0.0, self._due - time.monotonic()))
        buffer = io.BytesIO()
        Image.fromarray(self._film()).save(buffer, "JPEG", quality=75)
        self.sent += buffer.tell()
        self.send({"picture": True}, [buffer.getvalue()])
