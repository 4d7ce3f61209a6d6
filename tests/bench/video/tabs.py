"""Light pages that take part with a camera: the built widget without a JupyterLab around it (bench process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.bench.video.camera import Camera
from tests.bench.video.rig import Rig
from tests.support import wait_for

PAGE = "static/tab.html"


@dataclass(frozen=True)
class Tab:
    """One page in a room."""

    page: Page
    participant: str

    def switch_camera_on(self) -> None:
        """As a click would."""
        self.page.locator(
            ".forge-rtc-room button[aria-label=Camera], .forge-rtc-room button:has-text('Camera')"
        ).first.evaluate("button => button.click()")
        wait_for(lambda: self.page.evaluate("() => benchCamera.resolved"), 20, "the camera")

    @property
    def connections(self) -> int:
        """To others: to the reader, and to nobody else."""
        count: int = self.page.evaluate("() => benchConnections.filter(c => c.connectionState === 'connected').length")
        return count


@contextmanager
def open_tabs(rig: Rig, camera: Camera, room: str, count: int) -> Iterator[list[Tab]]:
    """Each in a context of its own, so that each is a page in front."""
    with ExitStack() as stack:
        yield [_open(rig, camera, room, stack) for _ in range(count)]


def _open(rig: Rig, camera: Camera, room: str, stack: ExitStack) -> Tab:
    context = stack.enter_context(rig.context(camera))
    page = context.new_page()
    page.goto(
        f"{rig.server.page_url}api/status?token={rig.server.token}"
    )  # for the cookie: static files need none and set none
    page.goto(f"{rig.server.page_url}{PAGE}?room={room}")
    joined = page.locator(".forge-rtc-room[data-state=joined][data-participant-id]")
    joined.wait_for(state="attached", timeout=30_000)
    return Tab(page, joined.get_attribute("data-participant-id") or "")
