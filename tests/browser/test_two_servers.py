"""A notebook on one server joins a room on another: its widget goes there too, or says why not (test process)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.bars import HEIGHT, WIDTH
from tests.browser.lab import NotebookPage
from tests.support import JupyterProcess, wait_for

OpenNotebook = Callable[..., NotebookPage]
StartOther = Callable[..., JupyterProcess]


@pytest.fixture
def start_other(tmp_path: Path) -> Iterator[StartOther]:
    """Starts the second server, with further arguments."""
    with ExitStack() as servers:
        yield lambda *arguments: servers.enter_context(JupyterProcess(tmp_path, arguments=arguments))


def join_elsewhere(open_notebook: OpenNotebook, context: BrowserContext, room_id: str, other: JupyterProcess) -> NotebookPage:
    """A notebook of the session's server, run, whose kernel joined the room on the other one."""
    address = f"{other.url}?token={other.token}"
    cells = ["import forge_rtc_nb as rtc", f"room = rtc.join({room_id!r}, server={address!r})\nroom"]
    notebook = open_notebook(context, cells)
    notebook.run_all()
    return notebook


def kinds(server: JupyterProcess, room_id: str) -> list[str]:
    """Who is in the server's room of that name: "kernel", "browser"."""
    rooms: list[dict[str, Any]] = server.request("GET", "forge-rtc/api/rooms")
    return sorted(person["kind"] for room in rooms if room["id"] == room_id for person in room["participants"])


def test_a_server_that_does_not_allow_the_page_is_named_with_what_to_do(
    context: BrowserContext, jupyter: JupyterProcess, start_other: StartOther, open_notebook: OpenNotebook, room_id: str
) -> None:
    other = start_other()
    notebook = join_elsewhere(open_notebook, context, room_id, other)
    banner = notebook.room.locator(".forge-rtc-error")
    expect(banner).to_contain_text(f"on another server, 127.0.0.1:{other.port},", timeout=60_000)
    expect(banner).to_contain_text("Open the notebook on that server")
    expect(banner).to_contain_text(f'c.ServerApp.allow_origin = "{jupyter.url.rstrip("/")}"')
    expect(notebook.room).to_have_attribute("data-state", "error")
    assert notebook.evaluate("room.state") == "joined"
    assert (kinds(other, room_id), kinds(jupyter, room_id)) == (["kernel"], [])
    assert notebook.errors == []


def test_the_tab_joins_the_kernels_server_where_that_allows_the_page(
    context: BrowserContext, jupyter: JupyterProcess, start_other: StartOther, open_notebook: OpenNotebook, room_id: str
) -> None:
    other = start_other(f"--ServerApp.allow_origin={jupyter.url.rstrip('/')}")
    notebook = join_elsewhere(open_notebook, context, room_id, other)
    notebook.room_joined()
    assert (kinds(other, room_id), kinds(jupyter, room_id)) == (["browser", "kernel"], [])
    notebook.switch_camera_on()
    notebook.execute("camera = room.camera\nfirst = camera.latest(timeout=60)")
    assert notebook.evaluate("list(first.array.shape)") == [HEIGHT, WIDTH, 3]
    wait_for(lambda: notebook.evaluate("camera.latest().index > first.index"), what="further frames")
    assert notebook.evaluate("room.participants[1].owner == room.me.id")
    assert notebook.errors == []
