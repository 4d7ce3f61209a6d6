"""The main job: a webcam's frames in numpy, in a real JupyterLab (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.bars import COLOURS, HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.browser.lobby import run_first
from tests.support import JupyterProcess, wait_for

OpenNotebook = Callable[..., NotebookPage]

TOLERANCE = 14
"""Of 255, for a codec at a camera's bitrate."""

RECORD_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...a) { super(...a); window.connections.push(this); }
};
"""
SENT_CODECS = """async () => {
  const codecs = new Set();
  for (const connection of window.connections) {
    const stats = await connection.getStats();
    stats.forEach(s => s.type === "outbound-rtp" && s.kind === "video" && codecs.add(stats.get(s.codecId).mimeType));
  }
  return [...codecs];
}"""

READ_BARS = """
import sys; sys.path.insert(0, {project!r})
from tests.browser.bars import bar_colours
frames, times = cam.take(20, timeout=20)
"""


def cells(room_id: str, codecs: str = "") -> list[str]:
    """A notebook that joins, shows the room, waits for the camera and shows a frame."""
    return [
        f"import os; os.environ['FORGE_RTC_VIDEO_CODECS'] = {codecs!r}\n%load_ext forge_rtc_nb\nimport forge_rtc_nb as rtc",
        f"room = rtc.join({room_id!r})\nroom",
        "cam = room.camera\nframe = cam.latest(timeout=60)\nprint(frame.array.shape, frame.array.dtype)",
        "frame",
    ]


def assert_bars(notebook: NotebookPage, project: str) -> None:
    """What the kernel has is what the camera shows: every bar's colour, at full size, and moving."""
    notebook.execute(READ_BARS.format(project=project))
    assert notebook.evaluate("list(frames.shape)") == [20, HEIGHT, WIDTH, 3]
    for seen, wanted in zip(notebook.evaluate("bar_colours(frames[-1])"), COLOURS, strict=True):
        assert seen == pytest.approx(wanted, abs=TOLERANCE)
    assert notebook.evaluate("len({frames[i][-60, :, 0].tobytes() for i in range(20)})") > 5
    assert notebook.evaluate("bool((__import__('numpy').diff(times) > 0).all())")


@pytest.fixture
def project(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.rootpath)


@pytest.mark.parametrize("codecs", ["VP8", "H264"])
def test_frames_in_numpy_are_what_the_camera_shows(
    codecs: str, context: BrowserContext, open_notebook: OpenNotebook, room_id: str, project: str
) -> None:
    run_first(context, RECORD_CONNECTIONS)
    notebook = open_notebook(context, cells(room_id, codecs))
    notebook.run_all()
    notebook.room_joined()
    notebook.switch_camera_on()
    assert notebook.text(2) == f"({HEIGHT}, {WIDTH}, 3) uint8"
    notebook.output(3).locator("img").wait_for(state="attached")
    assert_bars(notebook, project)
    assert notebook.page.evaluate(SENT_CODECS) == [f"video/{codecs}"]
    assert notebook.errors == []


def test_permission_granted_by_the_browser_itself(
    launch: Callable[..., Browser], jupyter: JupyterProcess, open_notebook: OpenNotebook, room_id: str, project: str
) -> None:
    # Without the fake-ui flag Chromium hides its addresses behind .local names until a camera is allowed.
    browser = launch()
    context = browser.new_context(permissions=["camera", "microphone"])
    try:
        notebook = open_notebook(context, cells(room_id))
        notebook.run_all()
        notebook.room_joined()
        notebook.switch_camera_on()
        assert notebook.text(2).endswith("uint8")
        assert_bars(notebook, project)
    finally:
        browser.close()


@pytest.fixture
def notebook_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterProcess]:
    with JupyterProcess(tmp_path_factory.mktemp("notebook7"), app="notebook") as server:
        yield server


def test_notebook_7(
    notebook_server: JupyterProcess, context: BrowserContext, open_notebook: OpenNotebook, room_id: str, project: str
) -> None:
    notebook = open_notebook(context, cells(room_id), notebook_server)
    for number in range(3):
        notebook.run_cell(number)
    notebook.room_joined()
    notebook.switch_camera_on()
    assert notebook.text(2).endswith("uint8")
    assert_bars(notebook, project)


def test_camera_off_ends_the_stream_and_on_starts_the_next(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = open_notebook(context, cells(room_id))
    notebook.run_all()
    notebook.room_joined()
    notebook.switch_camera_on()
    notebook.text(2)
    notebook.execute("import threading\nseen = []\nloop = threading.Thread(target=lambda: seen.extend(f.index for f in cam))")
    notebook.execute("loop.start()")
    wait_for(lambda: notebook.evaluate("len(seen)") > 5, what="frames in a loop")
    notebook.camera().click()
    wait_for(lambda: not notebook.evaluate("loop.is_alive()"), what="the loop's end")
    assert notebook.evaluate("room.streams") == []
    notebook.switch_camera_on()
    assert notebook.evaluate("list(cam.latest(timeout=20).array.shape)") == [HEIGHT, WIDTH, 3]
