"""The made-up camera as an init script for a page (bench process)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bench.video.stamps import LAYOUT

SCRIPT = Path(__file__).with_name("camera.js")
WORKER = Path(__file__).with_name("camera_worker.js")


@dataclass(frozen=True)
class Camera:
    """What a camera delivers."""

    width: int
    height: int
    fps: int = 30

    @property
    def name(self) -> str:
        """As in ``720p30``."""
        return f"{self.height}p{self.fps}"

    @property
    def script(self) -> str:
        """For `BrowserContext.add_init_script`: getUserMedia gives this camera."""
        options = {"width": self.width, "height": self.height, "fps": self.fps, "stamp": LAYOUT}
        script = SCRIPT.read_text().replace("__OPTIONS__", json.dumps(options))
        return script.replace("__WORKER__", json.dumps(WORKER.read_text()))


SD, HD, FULL_HD = Camera(640, 480), Camera(1280, 720), Camera(1920, 1080)
