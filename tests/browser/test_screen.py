"""A screen that is shared from the widget, read in numpy and seen by the others (test process)."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext

from tests.browser.lab import NotebookPage
from tests.support import wait_for

OpenNotebook = Callable[..., NotebookPage]


def test_a_screen_is_shared_beside_the_camera_and_read_in_numpy(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = open_notebook(context, [f"import forge_rtc_nb as rtc\nroom = rtc.join({room_id!r})\nroom"])
    notebook.run_all()
    notebook.room_joined()
    notebook.switch_camera_on()
    button = notebook.room.get_by_role("button", name="Share screen")
    button.focus()
    notebook.page.keyboard.press("Enter")
    wait_for(lambda: button.get_attribute("aria-pressed") == "true" and not button.get_attribute("aria-busy"), what="it is on")
    height, width, channels = notebook.evaluate("list(room.screen.latest(timeout=20).array.shape)")
    assert height > 0
    assert width > 0
    assert channels == 3
    assert notebook.evaluate("sorted(s.source for s in room.streams)") == ["camera", "screen"]
    assert notebook.evaluate("list(room.camera.latest(timeout=20).array.shape)") == [720, 1280, 3]
    button.click()
    wait_for(lambda: notebook.evaluate("[s.source for s in room.streams]") == ["camera"], 10, "it is off")
