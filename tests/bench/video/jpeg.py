"""Peer (b), what needs no WebRTC: each picture as a JPEG through the widget's comm (kernel)."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from PIL import Image

from tests.bench.video.recorder import Recorder


class JpegWidget(anywidget.AnyWidget):
    """Shown in a cell, it sends the page's camera as JPEGs; each is acknowledged, so that few are under way."""

    _esm = Path(__file__).with_name("jpeg.js")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__()
        self.on_msg(self._received)

    def _received(self, _widget: Any, _content: Any, buffers: list[memoryview]) -> None:
        pixels = np.array(Image.open(io.BytesIO(buffers[0])).convert("RGB"))
        arrived = time.time()
        self.send({"received": True})
        self._recorder.add(pixels, arrived, len(buffers[0]))
