"""What all parts of the bench run in: one JupyterLab, one Chromium, pages with a made-up camera (bench process)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.bench.video.camera import Camera
from tests.browser.conftest import QUIET
from tests.browser.lab import NotebookPage
from tests.support import JupyterProcess, chromium_path, wait_for

PROJECT = Path(__file__).resolve().parents[3]

# For the light pages, and the widget that they load. Pages that Playwright serves in Jupyter's place would not do: Chromium
# keeps them from connecting to 127.0.0.1, as they did not come from there (Local Network Access).
STATIC = tuple(f"--ServerApp.extra_static_paths={folder}" for folder in (Path(__file__).parent, PROJECT / "forge_rtc_nb"))

RECORD_CONNECTIONS = """
window.benchConnections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...a) { super(...a); window.benchConnections.push(this); }
};
"""
SENT = """async () => {
  const sent = {bytes: 0, frames: 0, width: 0, height: 0, codec: ""};
  for (const connection of window.benchConnections) {
    if (connection.connectionState === "closed") continue;
    const stats = await connection.getStats();
    stats.forEach(s => {
      if (s.type !== "outbound-rtp" || s.kind !== "video") return;
      sent.bytes += s.bytesSent + s.headerBytesSent;
      sent.frames += s.framesSent ?? 0;
      sent.width = Math.max(sent.width, s.frameWidth ?? 0);
      sent.height = Math.max(sent.height, s.frameHeight ?? 0);
      sent.codec = stats.get(s.codecId)?.mimeType ?? "";
    });
  }
  return sent;
}"""


@dataclass
class Rig:
    """A context manager's worth of processes; `open_rig` makes it."""

    server: JupyterProcess
    browser: Browser

    @contextmanager
    def context(self, camera: Camera, *scripts: str) -> Iterator[BrowserContext]:
        """Pages whose camera is the made-up one. Scripts run before, in each page: the proxy's, for example."""
        # Allowed the camera, Chromium shows its addresses; it asks nobody, as no real camera is opened.
        context = self.browser.new_context(viewport={"width": 1200, "height": 1000}, permissions=["camera", "microphone"])
        try:
            # As one: Playwright promises no order of several.
            context.add_init_script("\n;".join([*scripts, RECORD_CONNECTIONS, camera.script]))
            yield context
        finally:
            context.close()

    @contextmanager
    def notebook(self, context: BrowserContext, cells: list[str]) -> Iterator[NotebookPage]:
        """A notebook of its own, with a kernel of its own that ends with it."""
        notebook = NotebookPage.open(self.server, context, cells)
        try:
            yield notebook
        finally:
            notebook.shut_down()
            wait_for(lambda: not self.server.kernels(), 30, "the kernel's end")


@contextmanager
def open_rig() -> Iterator[Rig]:
    """Starts server and browser, and ends them."""
    with (
        tempfile.TemporaryDirectory(prefix="forge-rtc-bench-") as root,
        JupyterProcess(Path(root), arguments=STATIC) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        try:
            yield Rig(server, browser)
        finally:
            browser.close()


def camera_state(page: Page) -> dict[str, Any]:
    """When getUserMedia resolved (ms), and how many pictures were drawn, came late, or were not wanted."""
    state: dict[str, Any] = page.evaluate("async () => ({resolved: benchCamera.resolved, ...await benchCamera.counts()})")
    return state
