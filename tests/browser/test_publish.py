"""What a kernel publishes, seen in browsers: pixels read back from the page's video (test process)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.lab import NotebookPage
from tests.support import wait_for

OpenNotebook = Callable[..., NotebookPage]

JOIN = "import numpy as np\nimport forge_rtc_nb as rtc\nroom = rtc.join({room_id!r})\nroom"
CORNERS = """
def corners(height, width):
    picture = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:] = (230, 20, 20), (20, 200, 20)
    picture[top:, :left], picture[top:, left:] = (20, 20, 230), (240, 240, 240)
    return picture
"""
COLOURS = [[230, 20, 20], [20, 200, 20], [20, 20, 230], [240, 240, 240]]
"""Top left, top right, bottom left, bottom right."""

PIXELS = """(name) => {
  const tile = [...document.querySelectorAll(".forge-rtc-tile")].find((tile) =>
    tile.querySelector(".forge-rtc-tile-name")?.textContent.endsWith(`: ${name}`));
  const video = tile?.querySelector("video");
  if (!video || !video.videoWidth || video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  const { videoWidth: width, videoHeight: height } = video;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const at = (x, y) => [...context.getImageData(width * x | 0, height * y | 0, 1, 1).data].slice(0, 3);
  return { size: [height, width], pixels: [at(.25, .25), at(.75, .25), at(.25, .75), at(.75, .75)] };
}"""
TOLERANCE = 16


def shows(page: Page, name: str, colours: list[list[int]], size: tuple[int, int] | None = None) -> None:
    """Wait until the tile of that name shows these colours in its quarters, each of 255 within `TOLERANCE`."""

    def right() -> bool:
        seen = page.evaluate(PIXELS, name)
        if seen is None or (size is not None and max(abs(a - b) for a, b in zip(seen["size"], size, strict=True)) > 1):
            return False
        off = [
            abs(a - b)
            for found, wanted in zip(seen["pixels"], colours, strict=True)
            for a, b in zip(found, wanted, strict=True)
        ]
        return bool(max(off) <= TOLERANCE)

    try:
        wait_for(right, 30, f"{name} shows {colours}")
    except AssertionError:
        print("it shows", page.evaluate(PIXELS, name))
        raise


def gray(value: int) -> list[list[int]]:
    return [[value] * 3] * 4


@pytest.fixture
def notebook(context: BrowserContext, open_notebook: OpenNotebook, room_id: str) -> NotebookPage:
    """In a room, whose widget it shows."""
    notebook = open_notebook(context, [JOIN.format(room_id=room_id)])
    notebook.run_all()
    notebook.room_joined()
    notebook.execute(CORNERS)
    return notebook


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("size", [(240, 320), (241, 321)])
def test_colours_orientation_and_size_are_right(notebook: NotebookPage, codec: str, size: tuple[int, int]) -> None:
    notebook.execute(f"pub = room.publish(corners{size}, name='plot', codec={codec!r})")
    shows(notebook.page, "plot", COLOURS, size)
    wait_for(lambda: notebook.evaluate("pub.viewers") == 1, 10, "the viewer is counted")


def test_an_animation_is_seen_in_two_browsers_and_encoded_once(
    notebook: NotebookPage, chromium: Browser, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook.execute("value = 60\ndef draw(): return np.full((240, 320), value, np.uint8)")
    notebook.execute("pub = room.publish(draw, name='plot', fps=30)")
    other = chromium.new_context()
    second = open_notebook(other, [JOIN.format(room_id=room_id)])
    second.run_all()
    second.room_joined()
    for value in (60, 200):
        notebook.execute(f"value = {value}")
        for page in (notebook.page, second.page):
            shows(page, "plot", gray(value))
    wait_for(lambda: notebook.evaluate("pub.viewers") == 2, 10, "the viewers are counted")
    other.close()
    wait_for(lambda: notebook.evaluate("pub.viewers") == 1, 20, "one of them is gone")


def test_the_camera_goes_through_numpy_and_back_to_everybody(notebook: NotebookPage) -> None:
    notebook.switch_camera_on()
    notebook.execute("mapped = room.camera.map(lambda picture: np.full_like(picture, 90))")
    notebook.execute("pub = room.publish(mapped, name='mapped')")
    shows(notebook.page, "mapped", gray(90))
    notebook.execute("mapped.fn = lambda picture: np.full_like(picture, 190)")
    shows(notebook.page, "mapped", gray(190))


def test_a_figure_that_changes_is_seen_to_change(notebook: NotebookPage) -> None:
    notebook.execute("from matplotlib.figure import Figure\nfigure = Figure(figsize=(3.2, 2.4), dpi=100, facecolor=(.4,) * 3)")
    notebook.execute("pub = room.publish(figure, name='figure')")
    shows(notebook.page, "figure", gray(102))
    notebook.execute("figure.set_facecolor((.8,) * 3)")
    shows(notebook.page, "figure", gray(204))


def test_several_streams_come_and_go(notebook: NotebookPage) -> None:
    notebook.execute("pubs = [room.publish(np.full((120, 160), 60 * n, np.uint8), name=f'plot {n}') for n in (1, 2, 3)]")
    for number in (1, 2, 3):
        shows(notebook.page, f"plot {number}", gray(60 * number))
    notebook.execute("pubs[0].stop()")
    wait_for(lambda: notebook.page.evaluate(PIXELS, "plot 1") is None, 20, "its tile is gone")
    notebook.execute("fourth = room.publish(np.full((120, 160), 240, np.uint8), name='plot 4')")
    shows(notebook.page, "plot 4", gray(240))
    shows(notebook.page, "plot 2", gray(120))


def test_the_tile_says_that_the_kernel_is_busy_and_the_picture_stays(notebook: NotebookPage) -> None:
    notebook.execute("import ctypes, threading")
    notebook.execute("pub = room.publish(lambda: np.full((240, 320), 120, np.uint8), name='plot')")
    shows(notebook.page, "plot", gray(120))
    note = notebook.room.locator(".forge-rtc-tile").filter(has_text=": plot").locator(".forge-rtc-note")
    expect(note).to_be_hidden()
    notebook.execute("threading.Timer(0.5, ctypes.PyDLL(None).sleep, [8]).start()")
    expect(note).to_have_text("Kernel busy…", timeout=10_000)
    expect(note).to_be_visible()
    shows(notebook.page, "plot", gray(120))
    expect(note).to_be_hidden(timeout=20_000)
