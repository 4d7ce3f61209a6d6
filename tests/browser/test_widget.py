"""What a person sees and does in the room widget, in a real JupyterLab (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.bars import COLOURS, HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

OpenNotebook = Callable[..., NotebookPage]


def cells(room_id: str, name: str = "mine") -> list[str]:
    return ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r}, name={name!r})\nroom"]


@pytest.fixture
def notebook(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> NotebookPage:
    opened = open_notebook(context, cells(room_id))
    opened.run_all()
    opened.room_joined()
    return opened


def test_camera_by_keyboard(notebook: NotebookPage) -> None:
    notebook.camera().focus()
    notebook.page.keyboard.press("Enter")
    expect(notebook.camera()).to_have_attribute("aria-pressed", "true")
    notebook.page.keyboard.press("Space")
    expect(notebook.camera()).to_have_attribute("aria-pressed", "false")
    notebook.page.keyboard.press("Tab")
    expect(notebook.room.get_by_role("combobox", name="Which camera")).to_be_focused()


def test_menus_by_keyboard(notebook: NotebookPage) -> None:
    """The arrow keys are JupyterLab's, to go from cell to cell: not while a menu of ours has the focus."""
    menu = notebook.room.get_by_label("Camera size and rate")
    menu.focus()
    notebook.page.keyboard.press("Home")
    expect(menu).to_have_value("180p15")
    notebook.page.keyboard.press("ArrowDown")
    expect(menu).to_have_value("360p15")
    expect(menu).to_be_focused()


def test_the_preview_shows_the_camera(notebook: NotebookPage) -> None:
    notebook.switch_camera_on()
    seen = notebook.room.locator(".forge-rtc-local video").evaluate(
        """async video => {
          while (video.videoWidth < 1280) await new Promise(requestAnimationFrame);
          const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
          const context = canvas.getContext("2d");
          context.drawImage(video, 0, 0);
          return [...context.getImageData(video.videoWidth * 1.5 / 8, 200, 1, 1).data];
        }"""
    )
    assert seen[:3] == pytest.approx(COLOURS[1], abs=14)


def test_microphone_on_and_off_is_seen_by_the_others(notebook: NotebookPage) -> None:
    microphone = notebook.room.get_by_role("button", name="Microphone", exact=True)
    microphone.click()
    expect(microphone).to_have_attribute("aria-pressed", "true")
    wait_for(lambda: notebook.evaluate("[p.audio for p in room.participants]") == [False, True], what="the microphone")
    microphone.click()
    wait_for(lambda: notebook.evaluate("[p.audio for p in room.participants]") == [False, False], what="its end")


def test_a_name_with_markup_is_text(notebook: NotebookPage, jupyter: JupyterProcess, room_id: str) -> None:
    name = "<img src=x onerror='window.hacked=1'><b>bold</b>"
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        kernel.run(f"import forge_rtc_nb as rtc; room = rtc.join({room_id!r}, name={name!r})")
        person = notebook.room.locator(".forge-rtc-person[data-participant]", has_text="onerror")
        person.wait_for(state="visible")
        assert person.locator("b, img").count() == 0
        kernel.run("room.leave()")
        person.wait_for(state="detached")
    assert notebook.page.evaluate("window.hacked") is None


def test_remote_pictures_flow_only_while_their_tile_is_visible(
    notebook: NotebookPage, chromium: Browser, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook.switch_camera_on()
    sender = notebook.room.get_attribute("data-participant-id")
    context = chromium.new_context(viewport={"width": 1200, "height": 700})
    try:
        context.add_init_script(
            "window.connections = []; window.RTCPeerConnection = class extends RTCPeerConnection"
            "{ constructor(...a) { super(...a); connections.push(this); } };"
        )
        filler = "from IPython.display import HTML, display; display(HTML('<div style=\"height: 3000px\">far</div>'))"
        viewer = open_notebook(context, [*cells(room_id, "viewer"), filler])
        viewer.run_all()
        viewer.room_joined()
        tile = viewer.room.locator(f".forge-rtc-tile[data-participant='{sender}'][data-live]")
        tile.wait_for(state="attached", timeout=20_000)
        viewer.room.scroll_into_view_if_needed()
        received = _receive_counter(viewer)
        before = received()
        wait_for(lambda: received() > before, what="frames while visible")
        viewer.page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".jp-Cell-outputArea").evaluate(
            "area => area.scrollIntoView({block: 'end'})"
        )
        wait_for(lambda: _is_still(received, viewer), timeout=15, what="no frames while scrolled away")
        viewer.room.evaluate("room => room.scrollIntoView({block: 'center'})")
        still = received()
        wait_for(lambda: received() > still, timeout=15, what="frames when it is back")
    finally:
        context.close()


def _receive_counter(notebook: NotebookPage) -> Callable[[], int]:
    def received() -> int:
        count: int = notebook.page.evaluate(
            """async () => {
              let frames = 0;
              for (const connection of window.connections)
                (await connection.getStats()).forEach(s => { if (s.type === "inbound-rtp") frames += s.framesReceived ?? 0; });
              return frames;
            }"""
        )
        return count

    return received


def _is_still(received: Callable[[], int], notebook: NotebookPage) -> bool:
    before = received()
    # A condition over time needs a while to be looked at: 15 frames of a running stream.
    notebook.page.evaluate("() => new Promise(done => setTimeout(done, 500))")
    return received() == before


def test_permission_denied_says_what_to_do(launch: Callable[..., Browser], open_notebook: OpenNotebook, room_id: str) -> None:
    browser = launch("--deny-permission-prompts")
    try:
        notebook = open_notebook(browser.new_context(), cells(room_id))
        notebook.run_all()
        notebook.room_joined()
        notebook.camera().click()
        banner = notebook.room.locator(".forge-rtc-error")
        banner.wait_for(state="visible")
        assert "camera" in banner.inner_text().lower()
        assert "allow" in banner.inner_text().lower()
        expect(notebook.camera()).to_have_attribute("aria-pressed", "false")
        banner.get_by_role("button").first.click()
        banner.wait_for(state="hidden")
    finally:
        browser.close()


@pytest.fixture
def lan_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    """A server whose pages come over http from a name that is not localhost: no secure context."""
    arguments = ("--ServerApp.allow_remote_access=True",)
    with JupyterProcess(tmp_path_factory.mktemp("lan"), arguments=arguments, page_host="lab.test") as server:
        yield server


def test_an_insecure_page_says_what_to_do(
    lan_server: JupyterProcess, launch: Callable[..., Browser], open_notebook: OpenNotebook, room_id: str
) -> None:
    browser = launch("--host-resolver-rules=MAP lab.test 127.0.0.1")
    try:
        notebook = open_notebook(browser.new_context(), cells(room_id), lan_server)
        notebook.run_all()
        notebook.room_joined()
        notebook.camera().click()
        banner = notebook.room.locator(".forge-rtc-error")
        banner.wait_for(state="visible")
        assert "https" in banner.inner_text().lower()
    finally:
        browser.close()


def test_the_stream_starts_at_full_resolution(notebook: NotebookPage) -> None:
    notebook.switch_camera_on()
    sizes = notebook.evaluate("[list(f.array.shape[:2]) for f, _ in zip(room.camera, range(60))]")
    assert set(map(tuple, sizes)) == {(HEIGHT, WIDTH)}
