"""Every notebook that we ship runs from top to bottom: with a camera in a browser, and headless (test process)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import BrowserContext

from tests.browser.bars import HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.support import JupyterProcess, wait_for

RED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 0 && value > 100).length;
}"""
"""How many pixels of a canvas are warm."""

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_not_committed(path: Path) -> None:
    saved = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in saved.cells), "they hold pictures of people"


def test_the_first_one_without_server_and_browser(tmp_path: Path) -> None:
    notebook = nbformat.read(named("01-"), as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("timeout=20", "timeout=2")  # nobody is there to click
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()


def named(start: str) -> Path:
    return next(path for path in NOTEBOOKS if path.name.startswith(start))


@contextmanager
def opened(jupyter: JupyterProcess, context: BrowserContext, start: str) -> Iterator[NotebookPage]:
    """A copy of one of our notebooks in JupyterLab, all of whose cells are being run."""
    shutil.copy(named(start), jupyter.root / f"{start}copy.ipynb")
    notebook = NotebookPage.visit(jupyter, context, f"{start}copy.ipynb")
    try:
        notebook.run_all()
        yield notebook
        notebook.wait_until_idle()
        assert notebook.page.locator("[data-mime-type='application/vnd.jupyter.error'], .jp-RenderedError").count() == 0
        assert notebook.errors == []
    finally:
        notebook.shut_down()


def test_the_first_one_with_a_camera(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "01-") as notebook:
        notebook.room_joined()
        notebook.switch_camera_on()
        wait_for(lambda: notebook.page.get_by_text(f"(30, {HEIGHT}, {WIDTH}, 3)").count(), 60, "frames of the camera")
        wait_for(lambda: "kernel" in notebook.text(14), what="%rtc who")
        assert "synthetic" not in notebook.text(4)


def test_the_second_one_shares_arrays_with_another_participant(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "02-") as notebook:
        notebook.room_joined()
        wait_for(lambda: "the other one has ended: 0" in notebook.page.inner_text(".jp-Notebook"), 60, "the last cell")
        assert "complex128 (513,) from spectrometer" in notebook.page.inner_text(".jp-Notebook")
        assert notebook.page.get_by_role("cell", name="weights").count()


def test_the_third_one_has_a_widget_that_draws_and_sends(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "03-") as notebook:
        field = notebook.page.locator(".jp-OutputArea canvas")
        wait_for(lambda: field.count() and field.evaluate(RED) > 10, 60, "something warm is drawn")
        field.click(position={"x": 40, "y": 200})
        wait_for(lambda: "1 clicks: [(" in notebook.page.inner_text(".jp-Notebook"), 60, "the last cell")
        assert "'my widget')]" in notebook.page.inner_text(".jp-Notebook")


def test_the_fourth_one_sends_the_processed_camera_back(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "04-") as notebook:
        notebook.room_joined()
        notebook.switch_camera_on()
        wait_for(lambda: f"({HEIGHT}, {WIDTH}, 3)" in notebook.page.inner_text(".jp-Notebook"), 60, "frames of the camera")
        published_tile(notebook, "edges")
        wait_for(
            lambda: "<Publication 'edges': live, 1 viewer>" in notebook.page.inner_text(".jp-Notebook"), 60, "the last cell"
        )


def test_the_fifth_one_shows_a_figure_and_an_animation(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "05-") as notebook:
        notebook.room_joined()
        for name in ("plot", "waves"):
            published_tile(notebook, name)
        wait_for(
            lambda: "<Publication 'waves': live, 1 viewer>" in notebook.page.inner_text(".jp-Notebook"), 60, "the last cell"
        )


def test_the_sixth_one_hears_the_microphone_and_plays(context: BrowserContext, jupyter: JupyterProcess) -> None:
    with opened(jupyter, context, "06-") as notebook:
        notebook.room_joined()
        notebook.room.get_by_role("button", name="Microphone", exact=True).click()
        wait_for(lambda: "((96000, 1), 48000)" in notebook.page.inner_text(".jp-Notebook"), 60, "sound of the microphone")
        wait_for(lambda: "(48000, 1)" in notebook.page.inner_text(".jp-Notebook"), 60, "the last cell")
        text = notebook.page.inner_text(".jp-Notebook")
        assert "<AudioPublication 'melody': live" in text
        assert "<AudioPublication 'robot': live" in text
        strongest = re.search(r"strongest: (\d+) Hz", text)
        assert strongest is not None
        assert 350 < int(strongest[1]) < 450  # Chromium's fake microphone beeps


def published_tile(notebook: NotebookPage, name: str) -> None:
    """Wait for the tile of a kernel's stream, and for a picture in it."""
    tile = notebook.room.locator(".forge-rtc-tile").filter(has_text=f": {name}")
    tile.wait_for(state="visible", timeout=60_000)
    tile.scroll_into_view_if_needed()  # running the cells has scrolled, and what is not on screen gets no pictures
    wait_for(lambda: tile.locator("video").evaluate("video => video.videoWidth"), what="a picture in the tile")
