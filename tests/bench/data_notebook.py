"""A notebook whose widget exchanges arrays with its own front end: both ends of the comm's way (bench process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.data_page import PageEnd
from tests.bench.video.rig import PROJECT, Rig
from tests.browser.lab import NotebookPage
from tests.support import wait_for

CELL = f"""
import sys; sys.path.insert(0, {str(PROJECT)!r})
from tests.bench.data_comm import CommWidget
bench = CommWidget()
bench
"""


@contextmanager
def comm_ends(rig: Rig) -> Iterator[tuple[PageEnd, PageEnd]]:
    """The kernel and its page."""
    context = rig.browser.new_context(viewport={"width": 1200, "height": 1000})
    try:
        notebook = NotebookPage.open(rig.server, context, [CELL])
        notebook.run_all()
        wait_for(lambda: notebook.page.evaluate("() => 'benchEnd' in window"), 60, "the widget")
        notebook.wait_until_idle()
        yield PageEnd(notebook.page, "benchKernel"), PageEnd(notebook.page)
        notebook.shut_down()
        wait_for(lambda: not rig.server.kernels(), 30, "the kernel's end")
    finally:
        context.close()
