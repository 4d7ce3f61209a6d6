"""The peers that are compared, as cells of a notebook (bench process)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from tests.bench.video.rig import PROJECT
from tests.browser.lab import NotebookPage

PREPARE = f"""
import os, sys, time
sys.path.insert(0, {str(PROJECT)!r})
from tests.bench.video.recorder import Recorder
recorder = Recorder()
"""
JOIN = "import forge_rtc_nb as rtc\nroom = rtc.join({room!r})\nroom"
READ = "cam = room.camera\nreading = recorder.follow(cam)"


@dataclass(frozen=True)
class Peer:
    """One way of a webcam's pictures into a kernel."""

    name: str
    label: str
    codec: str = ""
    """``FORGE_RTC_VIDEO_CODECS``; empty for the others."""

    @property
    def is_ours(self) -> bool:
        return bool(self.codec)

    def cells(self, read: str = READ) -> list[str]:
        """A notebook that shows the widget and reads; each time in a room of its own, and our own peer as ``read`` says."""
        if self.is_ours:
            prepare = f"{PREPARE}os.environ['FORGE_RTC_VIDEO_CODECS'] = {self.codec!r}"
            return [prepare, JOIN.format(room=f"bench-{secrets.token_hex(4)}"), read]
        return [PREPARE + _OTHERS[self.name]]


OURS = Peer("ours", "ours, H264", "H264,VP8")
"""As it is installed: `negotiation.DEFAULT_CODECS`."""
OURS_VP8 = Peer("ours-vp8", "ours, VP8", "VP8")
STOCK = Peer("stock", "(a) aiortc in a thread")
JPEG = Peer("jpeg", "(b) JPEG over comm")
PEERS = (OURS, STOCK, JPEG, OURS_VP8)


def hint() -> str:
    """The bitrates that our engine asks Chromium for; peer (a) asks for the same."""
    from forge_rtc_nb.engine.negotiation import MAX_KBPS, MIN_KBPS, START_KBPS

    return f"x-google-start-bitrate={START_KBPS};x-google-min-bitrate={MIN_KBPS};x-google-max-bitrate={MAX_KBPS}"


_OTHERS = {
    "stock": f"from tests.bench.video.stock import StockWidget\nStockWidget(recorder, {hint()!r})",
    "jpeg": "from tests.bench.video.jpeg import JpegWidget\nJpegWidget(recorder)",
}


def start(peer: Peer, notebook: NotebookPage) -> None:
    """Run the notebook and switch the camera on; pictures come some time later."""
    notebook.run_all()
    if peer.is_ours:
        notebook.room_joined()
        notebook.switch_camera_on()
