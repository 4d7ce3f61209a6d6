"""Who is in the room after reloads, restarts, kills and second visitors: nobody twice, nobody too long (test process)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.bars import HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, wait_for

OpenNotebook = Callable[..., NotebookPage]
GONE = 12.0
"""Twice the promise: whoever ends is gone from the others within 6 s."""


def cells(room_id: str, name: str = "mine") -> list[str]:
    return ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r}, name={name!r})\nroom", "cam = room.camera"]


class Observer:
    """Another notebook's kernel in the same room."""

    def __init__(self, kernel: RemoteKernel, room_id: str) -> None:
        self.kernel = kernel
        kernel.run("import forge_rtc_nb as rtc; events = []")
        kernel.run(f"room = rtc.join({room_id!r}, name='observer')")
        for event in ("joined", "left"):
            kernel.run(f"room.on({event!r}, lambda p: events.append([{event!r}, p.id]))")

    def people(self) -> dict[str, str]:
        """Ids of everybody else, with their kinds."""
        return dict(self.kernel.evaluate("[[p.id, p.kind] for p in room.participants if p.id != room.me.id]"))

    def wait_people(self, browsers: int, kernels: int, timeout: float = GONE) -> None:
        wanted = sorted(["browser"] * browsers + ["kernel"] * kernels)
        wait_for(lambda: sorted(self.people().values()) == wanted, timeout, f"{browsers} tabs and {kernels} kernels")

    def wait_gone(self, who: str) -> None:
        """Until somebody is no longer in the room; prints how long that took."""
        start = time.monotonic()
        wait_for(lambda: who not in self.people(), GONE, f"the end of {who}")
        print(f"\ngone from the others after {time.monotonic() - start:.2f} s (promise 6 s)")

    def find(self, kind: str) -> str:
        """The id of the only tab or kernel beside this one."""
        return next(who for who, its_kind in self.people().items() if its_kind == kind)

    def events(self) -> list[list[str]]:
        events: list[list[str]] = self.kernel.evaluate("events")
        return events


@pytest.fixture
def observer(jupyter: JupyterProcess, room_id: str) -> Iterator[Observer]:
    with RemoteKernel(jupyter.url, jupyter.token) as kernel:
        yield Observer(kernel, room_id)


@pytest.fixture
def notebook(context: BrowserContext, open_notebook: OpenNotebook, room_id: str, observer: Observer) -> NotebookPage:
    """In the room with the camera on."""
    opened = open_notebook(context, cells(room_id))
    opened.run_all()
    opened.room_joined()
    opened.switch_camera_on()
    observer.wait_people(browsers=1, kernels=1)
    return opened


def test_a_second_browser_is_seen_and_its_camera_read_by_name(
    notebook: NotebookPage, chromium: Browser, open_notebook: OpenNotebook, room_id: str
) -> None:
    context = chromium.new_context(viewport={"width": 1200, "height": 1000})
    try:
        other = open_notebook(context, cells(room_id, "theirs"))
        other.run_all()
        tab = other.room_joined()
        other.switch_camera_on()
        people = wait_for(
            lambda: notebook.evaluate("[[p.id, p.name, p.kind, p.video] for p in room.participants]"), what="participants"
        )
        wait_for(lambda: len(notebook.evaluate("[p.id for p in room.participants]")) == 5, what="both tabs, three kernels")
        names = {p[0]: p[1] for p in notebook.evaluate("[[p.id, p.name] for p in room.participants]")}
        assert len(set(names.values())) == 5
        shape = notebook.evaluate(f"list(room.video({names[tab]!r}).latest(timeout=20).array.shape)")
        assert shape == [HEIGHT, WIDTH, 3]
        assert people
        tile = notebook.room.locator(f".forge-rtc-tile[data-participant='{tab}'][data-live] video")
        tile.wait_for(state="visible", timeout=20_000)
        wait_for(lambda: tile.evaluate("video => video.videoWidth"), what="a picture in the remote tile")
    finally:
        context.close()


def test_a_cell_run_twice_leaves_one_participant_and_the_camera_on(notebook: NotebookPage, observer: Observer) -> None:
    before = observer.people()
    notebook.evaluate("cam.latest(timeout=20).index")
    first = notebook.evaluate("id(room)")
    notebook.run_cell(1)  # Camera still has the focus: Shift+Enter must reach the notebook, not the button
    wait_for(lambda: notebook.evaluate("id(room)") != first, what="the cell's second run")
    wait_for(lambda: notebook.evaluate("room is not None and room.state") == "joined", what="the second join")
    notebook.room_joined()
    assert notebook.evaluate("list(room.camera.latest(timeout=20).array.shape)") == [HEIGHT, WIDTH, 3]
    assert notebook.camera().get_attribute("aria-pressed") == "true"
    assert observer.people() == before
    assert [event for event, _ in observer.events() if event == "left"] == []
    with pytest.raises(AssertionError, match="NotInRoom"):
        notebook.execute("cam.latest()")


def test_a_reloaded_tab_comes_back_once_with_its_camera_off(notebook: NotebookPage, observer: Observer) -> None:
    old_tab = observer.find("browser")
    notebook.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")  # what a reload shows is what was saved
    notebook.page.reload()
    observer.wait_gone(old_tab)
    notebook.wait_until_idle()
    notebook.room_joined()
    observer.wait_people(browsers=1, kernels=1)
    assert notebook.camera().get_attribute("aria-pressed") == "false"
    assert notebook.evaluate("room.streams") == []
    notebook.switch_camera_on()
    assert notebook.evaluate("list(room.camera.latest(timeout=20).array.shape)") == [HEIGHT, WIDTH, 3]


def test_a_closed_tab_is_gone(notebook: NotebookPage, observer: Observer) -> None:
    tab = observer.find("browser")
    notebook.page.close()
    observer.wait_gone(tab)
    observer.wait_people(browsers=0, kernels=1)


def test_a_restarted_kernel_is_gone_and_the_new_one_finds_the_camera_on(
    notebook: NotebookPage, observer: Observer, room_id: str
) -> None:
    old = observer.find("kernel")
    notebook.server.request("POST", f"api/kernels/{notebook.kernel_id}/restart")
    observer.wait_gone(old)
    notebook.wait_until_idle()
    notebook.run_all()
    observer.wait_people(browsers=1, kernels=1, timeout=30)
    assert notebook.evaluate("list(room.camera.latest(timeout=20).array.shape)") == [HEIGHT, WIDTH, 3]
    assert notebook.camera().get_attribute("aria-pressed") == "true"


def test_restart_and_run_all_shows_the_widget_while_a_cell_waits_for_the_camera(
    context: BrowserContext, open_notebook: OpenNotebook, room_id: str
) -> None:
    notebook = open_notebook(context, [*cells(room_id), "print(cam.latest(timeout=60).array.shape)"])
    notebook.run_all()
    notebook.room_joined()
    before = notebook.room.element_handle()
    notebook.command("notebook:restart-run-all")
    notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
    before.wait_for_element_state("hidden")
    notebook.room_joined()
    notebook.switch_camera_on()
    assert str((HEIGHT, WIDTH, 3)) in notebook.text(3)


def test_a_killed_kernel_leaves_nobody_and_nothing(notebook: NotebookPage, observer: Observer) -> None:
    old = observer.find("kernel")
    engine = notebook.evaluate("__import__('forge_rtc_nb.kernel.engine_client', fromlist=['x']).engines._client.pid")
    notebook.execute("import os, signal, threading")
    notebook.execute("threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()")
    observer.wait_gone(old)
    wait_for(lambda: not _alive(engine), GONE, "its engine's end")


def test_leaving_takes_the_tab_along(notebook: NotebookPage, observer: Observer) -> None:
    tab = observer.find("browser")
    notebook.execute("room.leave()")
    observer.wait_gone(tab)
    observer.wait_people(browsers=0, kernels=0)
    notebook.room.locator("xpath=self::*[@data-state='left']").wait_for()
    assert "forge-rtc" not in notebook.evaluate("' '.join(t.name for t in __import__('threading').enumerate())")


def _alive(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
