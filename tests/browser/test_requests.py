"""What Python asks of a tab: another size of the camera, a microphone that is off; and another camera (test process)."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Playwright, expect

from tests.browser.conftest import QUIET
from tests.browser.lab import NotebookPage
from tests.browser.lobby import run_first
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, chromium_path, wait_for

OpenNotebook = Callable[..., NotebookPage]

JOIN = "import numpy as np\nimport forge_rtc_nb as rtc\nroom = rtc.join({room!r})\nroom"
COUNT_OFFERS = """
window.offers = 0;
const describe = RTCPeerConnection.prototype.setLocalDescription;
RTCPeerConnection.prototype.setLocalDescription = function (...description) {
  window.offers += 1;
  return describe.apply(this, description);
};
"""

DEVICE = "document.querySelector('.forge-rtc-local video').srcObject.getTracks()[0].getSettings().deviceId"


def opened(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> NotebookPage:
    run_first(context, COUNT_OFFERS)
    notebook = open_notebook(context, [JOIN.format(room=room_id)])
    notebook.run_all()
    notebook.room_joined()
    return notebook


def has_shape(notebook: NotebookPage, height: int, width: int) -> None:
    wait_for(
        lambda: notebook.evaluate("list(room.camera.latest(timeout=20).array.shape)") == [height, width, 3],
        30,
        f"pictures of {width} x {height}",
    )


def test_the_cameras_size_is_chosen_from_python_and_in_the_widget_without_a_new_offer(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = opened(context, open_notebook, room_id)
    notebook.switch_camera_on()
    has_shape(notebook, 720, 1280)
    offers = notebook.page.evaluate("offers")
    assert notebook.evaluate("list(room.camera.constrain(width=640, height=360, fps=15))") == [640, 360, 15]
    has_shape(notebook, 360, 640)
    menu = notebook.room.get_by_label("Camera size and rate")
    assert menu.evaluate("menu => menu.selectedOptions[0].text") == "360p15"
    assert notebook.evaluate("list(room.camera.constrain(width=800, height=600))")[:2] == [800, 600]
    wait_for(lambda: menu.evaluate("menu => menu.selectedOptions[0].text").startswith("800"), what="the menu has it")
    menu.focus()
    menu.select_option("720p30")
    has_shape(notebook, 720, 1280)
    assert notebook.page.evaluate("offers") == offers


def test_who_asks_for_a_size_that_cannot_be_is_told_why(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = opened(context, open_notebook, room_id)
    for arguments, words in {
        "width=0": "ValueError: width is 1 to 16384 pixels",
        "fps=29.97": "TypeError: fps is a whole number",
        "": "ValueError: constrain takes",
        "width=640": "StreamNotFound: no camera is on: click Camera",
    }.items():
        notebook.execute(
            f"try: room.camera.constrain({arguments})\nexcept Exception as error: said = f'{{type(error).__name__}}: {{error}}'"
        )
        assert words in notebook.evaluate("said")


def test_a_microphone_is_muted_from_python_and_its_person_is_told(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = opened(context, open_notebook, room_id)
    button = notebook.room.get_by_role("button", name="Microphone", exact=True)
    button.click()
    wait_for(lambda: notebook.evaluate("[p.audio for p in room.participants]") == [False, True], what="it is on")
    notebook.execute("room.mute(room.participants[1])")
    expect(button).to_have_attribute("aria-pressed", "false")
    name = notebook.evaluate("room.me.name")
    expect(notebook.room.get_by_role("alert")).to_contain_text(f"{name} switched your microphone off.")
    wait_for(lambda: notebook.evaluate("[p.audio for p in room.participants]") == [False, False], what="everybody knows")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    notebook.switch_camera_on()
    notebook.execute("room.mute(room.participants[1].name, kind='video')")
    wait_for(lambda: notebook.evaluate("[s.kind for s in room.streams]") == ["audio"], 10, "the camera is off")
    notebook.execute(
        "try: room.mute(room.participants[1], kind='video')\nexcept rtc.StreamNotFound as error: said = str(error)"
    )
    assert "sends no camera" in notebook.evaluate("said")


def test_a_kernel_elsewhere_mutes_and_is_named(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str, jupyter: JupyterProcess
) -> None:
    notebook = opened(context, open_notebook, room_id)
    button = notebook.room.get_by_role("button", name="Microphone", exact=True)
    button.click()
    wait_for(lambda: notebook.evaluate("[p.audio for p in room.participants]") == [False, True], what="it is on")
    tab = notebook.evaluate("room.participants[1].id")
    with RemoteKernel(jupyter.url, jupyter.token) as ann:
        ann.run(
            f"import forge_rtc_nb as rtc\nroom = rtc.join({room_id!r}, name='ann')\nroom.wait_for({tab!r})\nroom.mute({tab!r})"
        )
        expect(button).to_have_attribute("aria-pressed", "false")
        expect(notebook.room.get_by_role("alert")).to_contain_text("ann switched your microphone off.")


def test_another_camera_feeds_the_same_stream_and_what_is_made_of_it(
    playwright: Playwright, open_notebook: OpenNotebook, room_id: str
) -> None:
    # The second of these devices is a depth camera, which sends nothing.
    devices = "--use-fake-device-for-media-stream=device-count=3"
    flags = [*(flag for flag in QUIET if "fake-device" not in flag), "--use-fake-ui-for-media-stream", devices]
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
    try:
        notebook = opened(browser.new_context(viewport={"width": 1200, "height": 1000}), open_notebook, room_id)
        notebook.switch_camera_on()
        notebook.execute("live = room.camera.map(lambda picture: 255 - picture)\npub = room.publish(live, name='inverted')")
        wait_for(lambda: notebook.evaluate("[pub.viewers, pub.stats().frames > 1]") == [1, True], 30, "it is seen")
        stream, offers = notebook.evaluate("[s.id for s in room.streams]"), notebook.page.evaluate("offers")
        menu = notebook.room.get_by_label("Which camera")
        menu.select_option(index=2)
        chosen = menu.input_value()
        wait_for(lambda: notebook.page.evaluate(DEVICE) == chosen, what="the preview is of that camera")
        frame = notebook.evaluate("room.camera.read().index")
        wait_for(lambda: notebook.evaluate("room.camera.read().index") > frame + 10, 20, "pictures of the other one")
        sent = notebook.evaluate("pub.stats().frames")
        wait_for(lambda: notebook.evaluate("pub.stats().frames") > sent + 10, 20, "what is made of them")
        assert not notebook.room.get_by_role("alert").is_visible()
        assert notebook.evaluate("[s.id for s in room.streams]") == stream
        assert notebook.page.evaluate("offers") == offers
        assert notebook.evaluate("[pub.state, pub.viewers]") == ["live", 1]
        notebook.page.close()
    finally:
        browser.close()


def test_another_microphone_feeds_the_same_stream_and_what_is_made_of_it(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = opened(context, open_notebook, room_id)
    notebook.room.get_by_role("button", name="Microphone", exact=True).click()
    notebook.execute("live = room.microphone.map(lambda block: block / 2)\npub = room.publish(live, name='half')")
    wait_for(lambda: notebook.evaluate("[pub.viewers, pub.stats().played > 1]") == [1, True], 30, "it is heard")
    stream, offers = notebook.evaluate("[s.id for s in room.streams]"), notebook.page.evaluate("offers")
    menu = notebook.room.get_by_label("Which microphone")
    before = menu.input_value()
    others = menu.evaluate("menu => [...menu.options].map(({value}) => value).filter((value) => value !== menu.value)")
    menu.select_option(others[-1])
    wait_for(lambda: menu.input_value() != before and not notebook.room.get_by_role("alert").is_visible(), what="it is chosen")
    notebook.evaluate("list(room.microphone.read(1, timeout=20).shape)")  # what is still on its way from the other one
    assert notebook.evaluate("bool(np.abs(room.microphone.read(2)).max() > 0.1)")
    assert notebook.evaluate("[s.id for s in room.streams]") == stream
    assert notebook.page.evaluate("offers") == offers
    assert notebook.evaluate("[pub.state, pub.viewers, room.microphone.dropped]") == ["live", 1, 0.0]
