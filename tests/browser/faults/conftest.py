"""Notebooks with the camera on that are read all the time, for faults to happen to (test process)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.lab import NotebookPage
from tests.support import JupyterProcess, wait_for


class Live:
    """A notebook in a room, its tab's camera on, and a `Reader` in its kernel that takes every frame."""

    def __init__(self, notebook: NotebookPage, tab: str) -> None:
        self.notebook = notebook
        self.tab = tab
        """Participant id of the tab."""

    def ask(self, expression: str) -> Any:
        """Value of an expression of the kernel's ``reader`` or ``room``."""
        return self.notebook.evaluate(expression)

    def read_anew(self) -> None:
        """Another reader, of the room's present camera."""
        self.notebook.execute("reader = Reader(room)")
        wait_for(lambda: self.ask("len(reader.arrivals)") > 5, 20, "frames in a loop")

    def frames_since(self, moment: float, timeout: float, count: int = 5) -> float:
        """Wait until that many frames came after a moment; the seconds that the first of them took."""
        wait_for(lambda: self.ask(f"reader.count({moment})") >= count, timeout, f"{count} frames")
        took: float = self.ask(f"min(a for a in reader.arrivals if a > {moment})") - moment
        return took

    def watch(self, seconds: float) -> float:
        """Let time pass, and say what the longest gap between frames was in it."""
        start = time.time()
        wait_for(lambda: time.time() - start > seconds, seconds + 1)
        gap: float = self.ask(f"reader.gap({start})")
        return gap


GoLive = Callable[..., Live]


@pytest.fixture
def go_live(
    context: BrowserContext,
    jupyter: JupyterProcess,
    open_notebook: Callable[..., NotebookPage],
    room_id: str,
    pytestconfig: pytest.Config,
) -> GoLive:
    """Opens the notebook, in another context, on another server, or with its room on the server ``host``."""

    def go(context: BrowserContext = context, server: JupyterProcess = jupyter, host: str | None = None) -> Live:
        where = "" if host is None else f", server={host!r}"
        cells = ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r}{where})\nroom"]
        notebook = open_notebook(context, cells, server)
        notebook.run_all()
        live = Live(notebook, notebook.room_joined())
        notebook.switch_camera_on()
        root = str(pytestconfig.rootpath)
        notebook.execute(f"import sys; sys.path.insert(0, {root!r})\nfrom tests.browser.faults.reader import Reader")
        live.read_anew()
        return live

    return go


@pytest.fixture
def live(go_live: GoLive) -> Live:
    return go_live()
