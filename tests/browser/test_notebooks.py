"""Every notebook that we ship runs from top to bottom: with a camera in a browser, and headless (test process)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import BrowserContext

from tests.browser.bars import HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.support import JupyterProcess, wait_for

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_headless(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    saved = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in saved.cells), "outputs are not committed: they hold pictures of people"


def test_the_first_one_with_a_camera(
    context: BrowserContext, jupyter: JupyterProcess, open_notebook: Callable[..., NotebookPage]
) -> None:
    shutil.copy(next(path for path in NOTEBOOKS if path.name.startswith("01-")), jupyter.root / "01.ipynb")
    notebook = NotebookPage.visit(jupyter, context, "01.ipynb")
    try:
        notebook.run_all()
        notebook.room_joined()
        notebook.switch_camera_on()
        wait_for(lambda: notebook.page.get_by_text(f"(30, {HEIGHT}, {WIDTH}, 3)").count(), 60, "frames of the camera")
        wait_for(lambda: "kernel" in notebook.text(14), what="%rtc who")
        notebook.wait_until_idle()
        assert notebook.page.locator("[data-mime-type='application/vnd.jupyter.error'], .jp-RenderedError").count() == 0
        assert "synthetic" not in notebook.text(4)
    finally:
        notebook.shut_down()
