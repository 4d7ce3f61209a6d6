"""Minutes with two cameras that are read while others join and leave all the time: nothing grows (test process)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.lab import NotebookPage
from tests.browser.soak.figures import COLLECT, FLAT, Watched
from tests.browser.soak.joins import Joins, warm_up
from tests.support import JupyterProcess, wait_for

SECONDS = float(os.environ.get("FORGE_RTC_SOAK_SECONDS", "600"))
SAMPLES = 120
SLOPE = 1.0
"""MB of RSS for 1000 joins."""
SLACK = {"descriptors": 4, "threads": 2, "children": 0, "maps": 0}
"""What may be open at one moment and not at another: a visitor's connection, a thread that just ends."""
ENGINE = "__import__('forge_rtc_nb.kernel.engine_client', fromlist=['x']).engines._client.pid"

READ = """
import sys; sys.path.insert(0, {root!r})
from tests.browser.faults.reader import Reader
readers = [Reader(room, stream, events=False) for stream in (room.camera, room.video({other!r}))]
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JupyterProcess]:
    # The visitors are one user of the server, and come more often than one user may.
    limits = "c.ForgeRTC.max_connections_per_user = c.ForgeRTC.max_participants = 100_000"
    (tmp_path / "jupyter_server_config.py").write_text(f"{COLLECT}\n{limits}\n")
    with JupyterProcess(tmp_path, arguments=(f"--config={tmp_path / 'jupyter_server_config.py'}",)) as server:
        yield server


@pytest.fixture
def open_with_camera(
    chromium: Browser, server: JupyterProcess, open_notebook: Callable[..., NotebookPage], room_id: str
) -> Iterator[Callable[[], tuple[NotebookPage, str]]]:
    """Opens a notebook of the room in a context of its own; with the participant id of its tab."""
    contexts = []

    def open_() -> tuple[NotebookPage, str]:
        contexts.append(chromium.new_context(viewport={"width": 1200, "height": 1000}))
        notebook = open_notebook(contexts[-1], ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r})\nroom"], server)
        notebook.run_all()
        tab = notebook.room_joined()
        notebook.switch_camera_on()
        return notebook, tab

    yield open_
    for context in contexts:
        context.close()


def tab_memory(page: Page) -> dict[str, float]:
    """What a page holds after its garbage was collected: MB of JavaScript objects, DOM nodes, listeners."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(2):  # what the first one finalises, the second frees
        session.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(500)
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return {"heap": found["JSHeapUsedSize"] / 1e6, "nodes": found["Nodes"], "listeners": found["JSEventListeners"]}


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows_while_participants_come_and_go(
    server: JupyterProcess,
    open_with_camera: Callable[[], tuple[NotebookPage, str]],
    room_id: str,
    pytestconfig: pytest.Config,
) -> None:
    (notebook, tab), (_, other) = open_with_camera(), open_with_camera()
    notebook.execute(COLLECT)
    notebook.execute(READ.format(root=str(pytestconfig.rootpath), other=other))
    wait_for(lambda: notebook.evaluate("all(r.taken > 30 for r in readers)"), 30, "both cameras are read")
    warm_up(server, room_id, f"{room_id}-warm")
    kernel, engine = notebook.evaluate("__import__('os').getpid()"), notebook.evaluate(ENGINE)
    watched = [
        Watched("server", server.pid, collects=True),
        Watched("engine", engine),
        Watched("kernel", kernel, collects=True),
    ]
    page_before = tab_memory(notebook.page)
    with Joins(server, room_id, [tab, other]) as joins:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            joins.check()
            for process in watched:
                process.collect()
            notebook.page.wait_for_timeout(1000 * SECONDS / SAMPLES)
            for process in watched:
                process.sample(joins.count)
    print(f"\n{joins.light} bare joins, {joins.readers} that read a frame, in {SECONDS:.0f} s")
    print("\n".join(process.line() for process in watched))
    page_after = tab_memory(notebook.page)
    print("tab    " + ", ".join(f"{what} {page_before[what]:.1f} -> {page_after[what]:.1f}" for what in page_before))
    joins.check()
    assert_flat(watched)
    assert page_after["heap"] - page_before["heap"] < 1 + SLOPE * joins.count / 1000
    assert page_after["nodes"] < 1.2 * page_before["nodes"]
    assert page_after["listeners"] < 1.1 * page_before["listeners"]
    now = time.time()
    assert notebook.evaluate("[reader.end for reader in readers]") == ["", ""]
    wait_for(lambda: notebook.evaluate(f"all(r.count({now}) > 5 for r in readers)"), 10, "both cameras are read on")
    wait_for(lambda: notebook.evaluate("len(room.participants)") == 4, 60, "the visitors are gone")
    assert notebook.errors == []


def assert_flat(watched: list[Watched]) -> None:
    for process in watched:
        slope, error = process.slope()
        assert slope - 2 * error < SLOPE, f"the {process.name} grows"
        for what in FLAT:
            before, after = process.growth(what)
            assert after - before <= SLACK[what], f"{what} of the {process.name} grow from {before} to {after}"
